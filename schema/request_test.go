package schema_test

import (
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"accountd/schema"
)

func withArgument(name string) func(*options) {
	return func(o *options) {
		o.schema = func(s *schema.Settings) { s.AllowArgument, s.ArgumentName = true, name }
	}
}

// TestTokenArgument: the argument determines the caller of its field, whatever the header is, and of no other field.
func TestTokenArgument(t *testing.T) {
	t.Parallel()
	for _, f := range flavours {
		s := newSite(t, withArgument("accessToken"))
		ada := s.session(t, f, "register", registration("ada"))
		bob := s.session(t, f, "register", registration("bob"))
		const asAda, asBob, nobody = `{"username":"ada"}`, `{"username":"bob"}`, "null"
		for _, test := range []struct{ header, argument, want string }{
			{"", "", nobody},
			{"", `(accessToken: "` + ada.Token + `")`, asAda},
			{"JWT " + bob.Token, "", asBob},
			{"JWT " + bob.Token, `(accessToken: "` + ada.Token + `")`, asAda},
			{"JWT " + bob.Token, `(accessToken: null)`, asBob},
			{"JWT " + bob.Token, `(accessToken: "")`, nobody},
			{"JWT " + bob.Token, `(accessToken: "nonsense")`, nobody},
			{"JWT " + bob.Token, `(accessToken: "` + ada.RefreshToken + `")`, nobody},
			{"JWT " + bob.Token, `(accessToken: "JWT ` + ada.Token + `")`, nobody},
			{"JWT nonsense", `(accessToken: "` + ada.Token + `")`, asAda},
		} {
			want := `{"data":{"me":` + test.want + `}}`
			if _, got := s.post(t, f, "{ me"+test.argument+" { username } }", "Authorization",
				test.header); got != want {
				t.Errorf("%s: header %q, argument %s: %s, want %s", f.name, test.header, test.argument, got, want)
			}
		}
		_, got := s.post(t, f, `{ a: me(accessToken: "`+ada.Token+
			`") { username } b: me { username } c: me(accessToken: "x") { username } }`, "Authorization", "JWT "+
			bob.Token)
		if want := `{"data":{"a":` + asAda + `,"b":` + asBob + `,"c":null}}`; got != want {
			t.Errorf("%s: got %s, want %s", f.name, got, want)
		}
		if log := s.log.String(); strings.Contains(log, ada.Token) {
			t.Errorf("got the token in the log, want none: %s", log)
		}
	}
}

// TestTokenArgumentIsEverywhere: with the setting every query field has the argument, and no mutation has it.
func TestTokenArgumentIsEverywhere(t *testing.T) {
	t.Parallel()
	for _, flavour := range []schema.Flavour{schema.Plain, schema.Relay} {
		with := gqlparser.MustLoadSchema(&ast.Source{Name: "with",
			Input: newSite(t, withArgument("accessToken")).api.SDL(flavour)})
		without := newSite(t).api.SDL(flavour)
		for _, f := range with.Query.Fields {
			if a := f.Arguments.ForName("accessToken"); !strings.HasPrefix(f.Name, "__") &&
				(a == nil || a.Type.String() != "String") {
				t.Errorf("%s: got the argument %v, want accessToken: String", f.Name, a)
			}
		}
		for _, f := range with.Mutation.Fields {
			if f.Arguments.ForName("accessToken") != nil {
				t.Errorf("%s: got the argument accessToken, want none", f.Name)
			}
		}
		if strings.Contains(without, "accessToken") {
			t.Error("got accessToken without the setting, want none")
		}
	}
}
