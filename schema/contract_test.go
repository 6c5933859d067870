package schema_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"accountd/schema"
)

// TestContract compares the contract's types with ours, by field and argument. testdata/conformance does the same
// with graphql-js's findBreakingChanges.
func TestContract(t *testing.T) {
	t.Parallel()
	api := newSite(t).api
	for flavour, name := range map[schema.Flavour]string{schema.Plain: "plain.graphql", schema.Relay: "relay.graphql"} {
		raw, err := os.ReadFile(filepath.Join("..", "testdata", "contract", name))
		if err != nil {
			t.Fatal(err)
		}
		promised := gqlparser.MustLoadSchema(&ast.Source{Name: name, Input: string(raw)})
		ours := gqlparser.MustLoadSchema(&ast.Source{Name: "ours", Input: api.SDL(flavour)})
		for typeName, theirs := range promised.Types {
			if !theirs.BuiltIn && ours.Types[typeName] == nil {
				t.Errorf("%s: got no type %s, want one", name, typeName)
			}
		}
		for typeName, mine := range ours.Types {
			theirs := promised.Types[typeName]
			if mine.BuiltIn {
				continue
			}
			if theirs == nil || theirs.Kind != mine.Kind {
				t.Errorf("%s: got the type %s, want what the contract has", name, typeName)
				continue
			}
			for _, f := range mine.Fields {
				if theirs.Fields.ForName(f.Name) == nil {
					t.Errorf("%s: got the field %s.%s, want what the contract has", name, typeName, f.Name)
				}
			}
			for _, f := range theirs.Fields {
				got := mine.Fields.ForName(f.Name)
				if got == nil {
					t.Errorf("%s: got no field %s.%s, want one", name, typeName, f.Name)
					continue
				}
				if got.Type.String() != f.Type.String() || len(got.Arguments) != len(f.Arguments) {
					t.Errorf("%s: %s.%s: got %s with %d arguments, want %s with %d", name, typeName, f.Name,
						got.Type, len(got.Arguments), f.Type, len(f.Arguments))
				}
				for _, arg := range f.Arguments {
					if a := got.Arguments.ForName(arg.Name); a == nil || a.Type.String() != arg.Type.String() {
						t.Errorf("%s: %s.%s(%s:): got %v, want %s", name, typeName, f.Name, arg.Name, a,
							arg.Type)
					}
				}
			}
		}
	}
}

// TestRegisterWithoutLogin: if unverified users cannot log in, register has no tokens.
func TestRegisterWithoutLogin(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *options) { o.accounts.AllowLoginNotVerified = false })
	for _, flavour := range []schema.Flavour{schema.Plain, schema.Relay} {
		ours := gqlparser.MustLoadSchema(&ast.Source{Name: "ours", Input: s.api.SDL(flavour)})
		name := map[schema.Flavour]string{schema.Plain: "Register", schema.Relay: "RegisterPayload"}[flavour]
		if typ := ours.Types[name]; typ.Fields.ForName("token") != nil || typ.Fields.ForName("refreshToken") != nil {
			t.Errorf("%s: got tokens, want none", name)
		}
	}
	for _, f := range flavours {
		if got := s.run(t, f, "register", registration(f.name),
			"success errors"); got != `{"success":true,"errors":null}` {
			t.Errorf("%s: got %s, want %s", f.name, got, `{"success":true,"errors":null}`)
		}
		login := `username: "` + f.name + `", password: "` + goodPassword + `"`
		want := `{"success":false,"errors":{"nonFieldErrors":[{"message":"Please verify your account.",` +
			`"code":"not_verified"}]},"token":null,"unarchiving":false}`
		if got := s.run(t, f, "tokenAuth", login, "success errors token unarchiving"); got != want {
			t.Errorf("%s: got %s, want %s", f.name, got, want)
		}
		if got := s.run(t, f, "verifyAccount", `token: "`+s.activationToken(t, f.name)+`"`,
			"success"); got != `{"success":true}` {
			t.Errorf("%s: got %s, want %s", f.name, got, `{"success":true}`)
		}
		s.session(t, f, "tokenAuth", login)
	}
}

// TestDocumented: every type and field has a description, except for names that need none.
func TestDocumented(t *testing.T) {
	t.Parallel()
	api := newSite(t).api
	ours := gqlparser.MustLoadSchema(&ast.Source{Name: "ours", Input: api.SDL(schema.Plain)})
	self := map[string]bool{"firstName": true, "lastName": true}
	for _, typ := range ours.Types {
		if typ.BuiltIn {
			continue
		}
		if typ.Description == "" {
			t.Errorf("%s: got no description, want one", typ.Name)
		}
		for _, f := range typ.Fields {
			if f.Description == "" && !self[f.Name] && f.Name[0] != '_' {
				t.Errorf("%s.%s: got no description, want one", typ.Name, f.Name)
			}
		}
	}
}
