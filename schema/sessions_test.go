package schema_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"accountd/schema"
)

// members are the fields of a schema's types with their arguments, one a line.
func members(api *schema.API, style schema.Style) []string {
	var list []string
	for name, typ := range gqlparser.MustLoadSchema(&ast.Source{Name: "ours", Input: api.SDL(style)}).Types {
		for _, f := range typ.Fields {
			var args []string
			for _, a := range f.Arguments {
				args = append(args, a.Name+": "+a.Type.String())
			}
			list = append(list, fmt.Sprintf("%s.%s(%s): %s", name, f.Name, strings.Join(args, ", "), f.Type))
		}
	}
	slices.Sort(list)
	return list
}

// schemaChanges are what a setting takes out of both flavours (-) and puts in (+).
func schemaChanges(t *testing.T, change func(*options)) []string {
	t.Helper()
	usual, changed := newSite(t).api, newSite(t, change).api
	var list []string
	for _, style := range []schema.Style{schema.Plain, schema.Relay} {
		before, after := members(usual, style), members(changed, style)
		for _, m := range before {
			if !slices.Contains(after, m) {
				list = append(list, "- "+m)
			}
		}
		for _, m := range after {
			if !slices.Contains(before, m) {
				list = append(list, "+ "+m)
			}
		}
	}
	return list
}

func withoutRefreshTokens(o *options) { o.tokens.LongRunning = false }

func TestSchemaWithoutRefreshTokens(t *testing.T) {
	want := []string{
		"- Mutation.refreshToken(refreshToken: String): RefreshToken",
		"- Mutation.revokeToken(refreshToken: String): RevokeToken",
		"- ObtainJSONWebToken.refreshToken(): String",
		"- PasswordChange.refreshToken(): String",
		"- RefreshToken.refreshToken(): String",
		"- Register.refreshToken(): String",
		"+ Mutation.refreshToken(token: String): RefreshToken",
		"+ Mutation.revokeToken(token: String): RevokeToken",
		"- ObtainJSONWebTokenPayload.refreshToken(): String",
		"- PasswordChangePayload.refreshToken(): String",
		"- RefreshTokenInput.refreshToken(): String",
		"- RefreshTokenPayload.refreshToken(): String",
		"- RegisterPayload.refreshToken(): String",
		"- RevokeTokenInput.refreshToken(): String",
		"+ RefreshTokenInput.token(): String",
		"+ RevokeTokenInput.token(): String",
	}
	if diff := cmp.Diff(want, schemaChanges(t, withoutRefreshTokens)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestSchemaStays: settings that change what tokens do and not what there is.
func TestSchemaStays(t *testing.T) {
	for name, change := range map[string]func(*options){
		"allow_refresh": func(o *options) { o.tokens.AllowRefresh = false },
		"rotation":      func(o *options) { o.tokens.Rotate = false },
	} {
		if got := schemaChanges(t, change); len(got) > 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// refreshed is an answer of tokenAuth or refreshToken with everything that is about tokens.
type refreshed struct {
	Success             bool
	Token, RefreshToken string
	Payload             struct{ Exp, OrigIat, Iat int64 }
	RefreshExpiresIn    int64
}

func (s *site) refreshed(t *testing.T, f flavour, name, args, fields string) refreshed {
	t.Helper()
	var out refreshed
	got := s.run(t, f, name, args, fields)
	if err := json.Unmarshal([]byte(got), &out); err != nil || !out.Success {
		t.Fatalf("%s(%s): %s, %v", name, args, got, err)
	}
	return out
}

// TestWithoutRefreshTokens: long_running = false, from login to logout.
func TestWithoutRefreshTokens(t *testing.T) {
	const fields = "success errors token payload refreshExpiresIn"
	const refused = `{"success":false,"errors":` + invalidToken + `,"token":null,"payload":null,"refreshExpiresIn":null}`
	for _, f := range flavours {
		t.Run(f.name, func(t *testing.T) {
			s := newSite(t, withoutRefreshTokens)
			if got := s.run(t, f, "register", registration("ada"), "success errors token"); !strings.HasPrefix(got, `{"success":true,"errors":null,"token":"`) {
				t.Fatal(got)
			}
			first := s.refreshed(t, f, "tokenAuth", `username: "ada", password: "`+goodPassword+`"`, fields)
			now := s.clock().Unix()
			if first.RefreshExpiresIn != now+7*24*3600 || first.Payload.OrigIat != now {
				t.Errorf("%+v", first)
			}
			s.pass(4 * time.Minute)
			second := s.refreshed(t, f, "refreshToken", `token: "`+first.Token+`"`, fields)
			if second.Payload.OrigIat != now || second.Payload.Iat != now+240 || second.Payload.Exp != now+540 || second.RefreshExpiresIn != first.RefreshExpiresIn {
				t.Errorf("%+v", second)
			}
			if _, got := s.post(t, f, "{ me { username } }", "Authorization", "JWT "+second.Token); got != `{"data":{"me":{"username":"ada"}}}` {
				t.Error(got)
			}
			s.pass(2 * time.Minute)
			for _, args := range []string{``, `token: null`, `token: ""`, `token: "a.b.c"`, `token: "` + first.Token + `"`} {
				if got := s.run(t, f, "refreshToken", args, fields); got != refused {
					t.Errorf("%s: %s", args, got)
				}
				if args == `token: "`+first.Token+`"` {
					continue
				}
				if got := s.run(t, f, "revokeToken", args, "success errors revoked"); got != `{"success":false,"errors":`+invalidToken+`,"revoked":null}` {
					t.Errorf("revoke %s: %s", args, got)
				}
			}
			if status, got := s.post(t, f, f.mutation("refreshToken", `refreshToken: "x"`, "success")); status != 400 || !strings.Contains(got, `"code":"validation"`) {
				t.Errorf("an argument that is not there: status %d, %s", status, got)
			}
			if got := s.run(t, f, "revokeToken", `token: "`+first.Token+`"`, "success errors revoked"); got != fmt.Sprintf(`{"success":true,"errors":null,"revoked":%d}`, now+360) {
				t.Errorf("revoke an expired token: %s", got)
			}
			if got := s.run(t, f, "refreshToken", `token: "`+second.Token+`"`, fields); got != refused {
				t.Errorf("after the logout: %s", got)
			}
			if _, got := s.post(t, f, "{ me { username } }", "Authorization", "JWT "+second.Token); got != `{"data":{"me":null}}` {
				t.Error(got)
			}
		})
	}
}

// TestKeptRefreshToken: rotation = "keep", from login to logout.
func TestKeptRefreshToken(t *testing.T) {
	const fields = "success errors token refreshToken payload refreshExpiresIn"
	for _, f := range flavours {
		t.Run(f.name, func(t *testing.T) {
			s := newSite(t, func(o *options) { o.tokens.Rotate = false })
			s.session(t, f, "register", registration("ada"))
			first := s.refreshed(t, f, "tokenAuth", `username: "ada", password: "`+goodPassword+`"`, fields)
			refresh := `refreshToken: "` + first.RefreshToken + `"`
			for range 3 {
				s.pass(6 * 24 * time.Hour)
				next := s.refreshed(t, f, "refreshToken", refresh, fields)
				if next.RefreshToken != first.RefreshToken || next.Token == first.Token || next.Payload.OrigIat != first.Payload.OrigIat ||
					next.RefreshExpiresIn != s.clock().Unix()+7*24*3600 {
					t.Errorf("%+v", next)
				}
			}
			if got := s.run(t, f, "revokeToken", refresh, "success"); got != `{"success":true}` {
				t.Error(got)
			}
			if got := s.run(t, f, "refreshToken", refresh, "success errors"); got != `{"success":false,"errors":`+invalidToken+`}` {
				t.Errorf("after the logout: %s", got)
			}
		})
	}
}

// TestRefreshSwitchedOff: allow_refresh = false refuses with and without refresh tokens.
func TestRefreshSwitchedOff(t *testing.T) {
	for _, f := range flavours {
		for _, longRunning := range []bool{true, false} {
			s := newSite(t, func(o *options) { o.tokens.AllowRefresh, o.tokens.LongRunning = false, longRunning })
			s.run(t, f, "register", registration("ada"), "success")
			fields, argument := "success token refreshExpiresIn", "token"
			if longRunning {
				fields, argument = fields+" refreshToken", "refreshToken"
			}
			login := s.refreshed(t, f, "tokenAuth", `username: "ada", password: "`+goodPassword+`"`, fields)
			if login.RefreshToken != "" || login.RefreshExpiresIn != 0 || login.Token == "" {
				t.Errorf("%s, long_running %t: %+v", f.name, longRunning, login)
			}
			if got := s.run(t, f, "refreshToken", argument+`: "`+login.Token+`"`, "success errors"); got != `{"success":false,"errors":`+invalidToken+`}` {
				t.Errorf("%s, long_running %t: %s", f.name, longRunning, got)
			}
		}
	}
}
