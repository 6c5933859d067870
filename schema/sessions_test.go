package schema_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"accountd/schema"
)

func withoutRefreshTokens(o *options) { o.tokens.LongRunning = false }

// TestSchemaStays: these settings change what tokens do, and not the schema.
func TestSchemaStays(t *testing.T) {
	t.Parallel()
	usual := newSite(t).api
	for name, change := range map[string]func(*options){
		"allow_refresh": func(o *options) { o.tokens.AllowRefresh = false },
		"rotation":      func(o *options) { o.tokens.Rotation = "keep" },
	} {
		api := newSite(t, change).api
		for _, flavour := range []schema.Flavour{schema.Plain, schema.Relay} {
			if got := changed(usual.SDL(flavour), api.SDL(flavour)); got != "" {
				t.Errorf("%s: got %s, want %s", name, got, "")
			}
		}
	}
}

// refreshed is the payload of tokenAuth or refreshToken.
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
		t.Fatalf("%s(%s): got %s, %v, want success", name, args, got, err)
	}
	return out
}

// TestWithoutRefreshTokens runs from login to logout with long_running = false.
func TestWithoutRefreshTokens(t *testing.T) {
	t.Parallel()
	const fields = "success errors token payload refreshExpiresIn"
	const refused = `{"success":false,"errors":` + invalidToken +
		`,"token":null,"payload":null,"refreshExpiresIn":null}`
	for _, f := range flavours {
		t.Run(f.name, func(t *testing.T) {
			s := newSite(t, withoutRefreshTokens)
			if got := s.run(t, f, "register", registration("ada"), "success errors token"); !strings.HasPrefix(got,
				`{"success":true,"errors":null,"token":"`) {
				t.Fatalf("got %s, want success and a token", got)
			}
			first := s.refreshed(t, f, "tokenAuth", `username: "ada", password: "`+goodPassword+`"`, fields)
			now := s.clock().Unix()
			if first.RefreshExpiresIn != now+7*24*3600 || first.Payload.OrigIat != now {
				t.Errorf("got %+v, want 7 days from %d", first, now)
			}
			s.pass(4 * time.Minute)
			second := s.refreshed(t, f, "refreshToken", `token: "`+first.Token+`"`, fields)
			if second.Payload.OrigIat != now || second.Payload.Iat != now+240 || second.Payload.Exp != now+540 ||
				second.RefreshExpiresIn != first.RefreshExpiresIn {
				t.Errorf("got %+v, want a token of 5 minutes in the session from %d", second, now)
			}
			if _, got := s.post(t, f, "{ me { username } }", "Authorization", "JWT "+
				second.Token); got != `{"data":{"me":{"username":"ada"}}}` {
				t.Errorf("got %s, want ada", got)
			}
			s.pass(2 * time.Minute)
			for _, args := range []string{``, `token: null`, `token: ""`, `token: "a.b.c"`, `token: "` + first.Token +
				`"`} {
				if got := s.run(t, f, "refreshToken", args, fields); got != refused {
					t.Errorf("%s: got %s, want %s", args, got, refused)
				}
				if args == `token: "`+first.Token+`"` {
					continue
				}
				if got := s.run(t, f, "revokeToken", args,
					"success errors revoked"); got != `{"success":false,"errors":`+invalidToken+`,"revoked":null}` {
					t.Errorf("revoke %s: got %s, want %s", args, got, `{"success":false,"errors":`+invalidToken+
						`,"revoked":null}`)
				}
			}
			if status, got := s.post(t, f, f.mutation("refreshToken", `refreshToken: "x"`, "success")); status != 400 ||
				!strings.Contains(got, `"code":"validation"`) {
				t.Errorf("an argument that is not there: got status %d and %s, want %s in it", status, got,
					`"code":"validation"`)
			}
			if got := s.run(t, f, "revokeToken", `token: "`+first.Token+`"`,
				"success errors revoked"); got != fmt.Sprintf(`{"success":true,"errors":null,"revoked":%d}`, now+360) {
				t.Errorf("revoke an expired token: got %s, want %s", got,
					fmt.Sprintf(`{"success":true,"errors":null,"revoked":%d}`, now+360))
			}
			if got := s.run(t, f, "refreshToken", `token: "`+second.Token+`"`, fields); got != refused {
				t.Errorf("after the logout: got %s, want %s", got, refused)
			}
			if _, got := s.post(t, f, "{ me { username } }", "Authorization", "JWT "+
				second.Token); got != `{"data":{"me":null}}` {
				t.Errorf("got %s, want no user", got)
			}
		})
	}
}

// TestKeptRefreshToken runs from login to logout with rotation = "keep".
func TestKeptRefreshToken(t *testing.T) {
	t.Parallel()
	const fields = "success errors token refreshToken payload refreshExpiresIn"
	for _, f := range flavours {
		t.Run(f.name, func(t *testing.T) {
			s := newSite(t, func(o *options) { o.tokens.Rotation = "keep" })
			s.session(t, f, "register", registration("ada"))
			first := s.refreshed(t, f, "tokenAuth", `username: "ada", password: "`+goodPassword+`"`, fields)
			refresh := `refreshToken: "` + first.RefreshToken + `"`
			for range 3 {
				s.pass(6 * 24 * time.Hour)
				next := s.refreshed(t, f, "refreshToken", refresh, fields)
				if next.RefreshToken != first.RefreshToken || next.Token == first.Token ||
					next.Payload.OrigIat != first.Payload.OrigIat ||
					next.RefreshExpiresIn != s.clock().Unix()+7*24*3600 {
					t.Errorf("got %+v, want origIat %d and 7 days from now", next, first.Payload.OrigIat)
				}
			}
			if got := s.run(t, f, "revokeToken", refresh, "success"); got != `{"success":true}` {
				t.Errorf("got %s, want success", got)
			}
			if got := s.run(t, f, "refreshToken", refresh, "success errors"); got != `{"success":false,"errors":`+
				invalidToken+`}` {
				t.Errorf("after the logout: got %s, want %s", got, `{"success":false,"errors":`+invalidToken+`}`)
			}
		})
	}
}

// TestRefreshSwitchedOff: allow_refresh = false refuses with and without refresh tokens.
func TestRefreshSwitchedOff(t *testing.T) {
	t.Parallel()
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
				t.Errorf("%s, long_running %t: got %+v, want an access token only", f.name, longRunning, login)
			}
			if got := s.run(t, f, "refreshToken", argument+`: "`+login.Token+`"`,
				"success errors"); got != `{"success":false,"errors":`+invalidToken+`}` {
				t.Errorf("%s, long_running %t: got %s, want %s", f.name, longRunning, got, `{"success":false,"errors":`+
					invalidToken+`}`)
			}
		}
	}
}
