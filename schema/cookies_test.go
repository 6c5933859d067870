package schema_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"accountd/accounts"
	"accountd/internal/store"
	"accountd/schema"
	"accountd/tokens"
)

// inCookies serves the API in cookie mode.
func inCookies(change ...func(*schema.Cookies)) func(*options) {
	return func(o *options) {
		o.schema = func(s *schema.Settings) {
			s.Cookies = schema.Cookies{Enabled: true, Name: "JWT", RefreshName: "JWT-refresh-token", Path: "/",
				SameSite: "Lax"}
			for _, fn := range change {
				fn(&s.Cookies)
			}
		}
	}
}

// browser stores cookies as a browser does, and the Set-Cookie headers of the last answer.
type browser struct {
	*site
	f       flavour
	cookies map[string]string
	set     []string // Set-Cookie, values replaced by * where they are tokens
}

func (s *site) browser(f flavour) *browser {
	return &browser{site: s, f: f, cookies: map[string]string{}}
}

// send posts a query with the cookies and returns the body.
func (b *browser) send(t *testing.T, query string, headers ...string) string {
	t.Helper()
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest("POST", b.URL+b.f.path, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range b.cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for pair := range slices.Chunk(headers, 2) {
		req.Header.Add(pair[0], pair[1])
	}
	resp, err := b.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer json.RawMessage
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	b.set = nil
	for i, c := range resp.Cookies() {
		line := resp.Header["Set-Cookie"][i]
		if c.Value != "" {
			line = strings.Replace(line, c.Value, "*", 1)
			b.cookies[c.Name] = c.Value
		}
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
		b.set = append(b.set, line)
	}
	return string(answer)
}

// mutate sends a mutation, and compares its payload and cookies with the expected ones.
func (b *browser) mutate(t *testing.T, name, args, fields, want string, cookies ...string) {
	t.Helper()
	if got := b.send(t, b.f.mutation(name, args, fields)); got != `{"data":{"`+name+`":`+want+`}}` {
		t.Errorf("%s(%s): %s, want %s", name, args, got, want)
	}
	if diff := cmp.Diff(cookies, b.set); diff != "" {
		t.Errorf("%s(%s): cookies (-want +got):\n%s", name, args, diff)
	}
}

const (
	setAccess     = "JWT=*; Path=/; Max-Age=300; HttpOnly; SameSite=Lax"
	setRefresh    = "JWT-refresh-token=*; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax"
	expireAccess  = "JWT=; Path=/; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0; HttpOnly; SameSite=Lax"
	expireRefresh = "JWT-refresh-token=; Path=/; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0; HttpOnly; " +
		"SameSite=Lax"

	accepted = `{"success":true}`
	refused  = `{"success":false}`
	loginAda = `username: "ada", password: "` + goodPassword + `"`
)

// TestCookieAttributes: cookies have the attributes of the settings when they are set and when they expire.
func TestCookieAttributes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change               func(*schema.Cookies)
		cookie, refresh, end string
	}{
		"as it is": {func(*schema.Cookies) {}, "JWT", "JWT-refresh-token", "; HttpOnly; SameSite=Lax"},
		"secure": {func(c *schema.Cookies) { c.Name, c.RefreshName, c.Secure = "__Host-a", "__Host-r", true },
			"__Host-a", "__Host-r", "; HttpOnly; Secure; SameSite=Lax"},
		"strict": {func(c *schema.Cookies) { c.SameSite = "Strict" }, "JWT", "JWT-refresh-token",
			"; HttpOnly; SameSite=Strict"},
		"none": {func(c *schema.Cookies) { c.SameSite, c.Secure = "None", true }, "JWT", "JWT-refresh-token",
			"; HttpOnly; Secure; SameSite=None"},
		"path": {func(c *schema.Cookies) { c.Path = "/graphql" }, "JWT", "JWT-refresh-token",
			"; HttpOnly; SameSite=Lax"},
		"domain": {func(c *schema.Cookies) { c.Domain = "acme.example" }, "JWT", "JWT-refresh-token",
			"; HttpOnly; SameSite=Lax"},
	} {
		t.Run(name, func(t *testing.T) {
			path, domain := "; Path=/", ""
			if name == "path" {
				path = "; Path=/graphql"
			}
			if name == "domain" {
				domain = "; Domain=acme.example"
			}
			b := newSite(t, inCookies(test.change)).browser(flavours[0])
			b.mutate(t, "register", registration("ada"), "success", accepted,
				test.cookie+"=*"+path+domain+"; Max-Age=300"+test.end, test.refresh+"=*"+path+domain+"; Max-Age=604800"+
					test.end)
			const past = "; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0"
			b.mutate(t, "revokeToken", "", "success", accepted, test.cookie+"="+path+domain+past+test.end, test.refresh+
				"="+path+domain+past+test.end)
		})
	}
}

// TestCookieConversation runs every mutation that sets, reads or expires cookies, in both flavours.
func TestCookieConversation(t *testing.T) {
	t.Parallel()
	for _, f := range flavours {
		t.Run(f.name, func(t *testing.T) {
			s := newSite(t, inCookies())
			b := s.browser(f)
			me := func(want string) {
				t.Helper()
				if got := b.send(t, "{ me { username } }"); got != `{"data":{"me":`+want+`}}` || b.set != nil {
					t.Errorf("me: %s, want %s; cookies %q", got, want, b.set)
				}
			}
			me("null")
			b.mutate(t, "tokenAuth", loginAda, "success", refused)
			b.mutate(t, "register", registration("ada"), "success", accepted, setAccess, setRefresh)
			me(`{"username":"ada"}`)
			b.mutate(t, "register", registration("ada"), "success", refused)
			b.mutate(t, "tokenAuth", `username: "ada", password: "wrong"`, "success", refused)
			b.mutate(t, "tokenAuth", loginAda, "success", accepted, setAccess, setRefresh)

			b.mutate(t, "verifyToken", "", "success", accepted)
			b.mutate(t, "verifyToken", "token: null", "success", accepted)
			b.mutate(t, "verifyToken", `token: ""`, "success", refused)
			b.mutate(t, "verifyToken", `token: "`+b.cookies["JWT-refresh-token"]+`"`, "success", refused)

			before := b.cookies["JWT-refresh-token"]
			s.pass(time.Minute)
			b.mutate(t, "refreshToken", "", "success errors", `{"success":true,"errors":null}`, setAccess, setRefresh)
			if b.cookies["JWT-refresh-token"] == before {
				t.Error("got the same refresh token, want the next one")
			}
			s.pass(time.Second)
			b.cookies["JWT-refresh-token"], before = before, b.cookies["JWT-refresh-token"] // a lost reply
			b.mutate(t, "refreshToken", "", "success", accepted, setAccess, strings.Replace(setRefresh, "604800",
				"604799", 1))
			if b.cookies["JWT-refresh-token"] != before {
				t.Error("got another refresh token after a lost reply, want the same")
			}
			b.mutate(t, "refreshToken", `refreshToken: "nonsense"`, "success", refused)

			// Another user's session ends. This one stays.
			other := s.session(t, f, "tokenAuth", loginAda)
			b.mutate(t, "revokeToken", `refreshToken: "`+other.RefreshToken+`"`, "success", accepted)
			me(`{"username":"ada"}`)
			b.mutate(t, "revokeToken", "", "success", accepted, expireAccess, expireRefresh)
			me("null")
			b.mutate(t, "revokeToken", "", "success", refused)
			b.mutate(t, "refreshToken", "", "success", refused)
			b.mutate(t, "verifyToken", "", "success", refused)
		})
	}
}

// TestAccessCookieAlone: without refresh tokens, the access cookie alone is refreshed and revoked.
func TestAccessCookieAlone(t *testing.T) {
	t.Parallel()
	for _, f := range flavours {
		b := newSite(t, withoutRefreshTokens, inCookies()).browser(f)
		b.mutate(t, "register", registration("ada"), "success", accepted, setAccess)
		first := b.cookies["JWT"]
		b.pass(time.Minute)
		b.mutate(t, "refreshToken", "", "success", accepted, setAccess)
		if b.cookies["JWT"] == first {
			t.Error("got the same access token, want another")
		}
		if got := b.send(t, "{ me { username } }"); got != `{"data":{"me":{"username":"ada"}}}` {
			t.Errorf("got %s, want ada", got)
		}
		b.mutate(t, "revokeToken", "", "success", accepted, expireAccess)
		b.mutate(t, "refreshToken", "", "success", refused)
	}
}

// TestEndedSessionsExpireCookies: the next successful mutation expires the cookie of an ended session. It checks each
// cookie by itself.
func TestEndedSessionsExpireCookies(t *testing.T) {
	t.Parallel()
	for _, f := range flavours {
		s := newSite(t, inCookies())
		b := s.browser(f)
		b.mutate(t, "register", registration("ada"), "success", accepted, setAccess, setRefresh)
		verify := `token: "` + s.activationToken(t, "ada") + `"`
		s.pass(time.Millisecond)
		session := s.session(t, f, "tokenAuth", loginAda)
		b.cookies = map[string]string{"JWT": session.Token, "JWT-refresh-token": session.RefreshToken}
		if err := s.db.Write(t.Context(), func(tx *store.Tx) error {
			_, err := tx.ExecContext(t.Context(), `
				UPDATE sessions SET ended_at = 1, end_reason = 'test'
				WHERE id = (SELECT max(session_id) FROM refresh_tokens)`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		b.mutate(t, "verifyAccount", `token: "x"`, "success", refused) // changes nothing
		b.mutate(t, "verifyAccount", verify, "success", accepted, expireAccess, expireRefresh)

		// An expired access token does not expire the refresh cookie.
		session = s.session(t, f, "tokenAuth", loginAda)
		b.cookies = map[string]string{"JWT": session.Token, "JWT-refresh-token": session.RefreshToken}
		s.pass(5 * time.Minute)
		b.mutate(t, "resendActivationEmail", `email: "ada@acme.example"`, "success", accepted, expireAccess)
		// A rotated refresh token is one of the session.
		b.mutate(t, "refreshToken", "", "success", accepted, setAccess, setRefresh)
		b.cookies["JWT-refresh-token"] = session.RefreshToken
		b.mutate(t, "resendActivationEmail", `email: "ada@acme.example"`, "success", accepted)
		// The session of the cookie, by an argument.
		b.mutate(t, "revokeToken", `refreshToken: "`+session.RefreshToken+`"`, "success", accepted, expireAccess,
			expireRefresh)
	}
}

// TestCookiesOfAccountMutations: cookies authenticate account mutations. A mutation that ends the session expires
// them, and one that begins a session sets them.
func TestCookiesOfAccountMutations(t *testing.T) {
	t.Parallel()
	const password = `password: "` + goodPassword + `"`
	both, gone := []string{setAccess, setRefresh}, []string{expireAccess, expireRefresh}
	for _, test := range []struct {
		name, args string
		deletes    bool // for good
		cookies    []string
	}{
		{"passwordChange", `oldPassword: "x", newPassword1: "` + otherPassword + `", newPassword2: "` + otherPassword +
			`"`, false, nil},
		{"passwordChange", `oldPassword: "` + goodPassword + `", newPassword1: "` + otherPassword +
			`", newPassword2: "` + otherPassword + `"`, false, both},
		{"passwordReset", `token: "RESET", newPassword1: "` + otherPassword + `", newPassword2: "` + otherPassword +
			`"`, false, gone},
		{"archiveAccount", `password: "x"`, false, nil},
		{"archiveAccount", password, false, gone},
		{"deleteAccount", password, false, gone},
		{"deleteAccount", password, true, gone},
		{"swapEmails", password, false, nil}, // ends all sessions but this one
		{"removeSecondaryEmail", password, false, nil},
		{"sendSecondaryEmailActivation", password + `, email: "ada3@acme.example"`, false, nil},
	} {
		for _, f := range flavours {
			cookieMode := inCookies()
			s := newSite(t, func(o *options) { cookieMode(o); o.accounts.DeletePermanently = test.deletes })
			s.add(t, f, accounts.AddUserInput{Username: "ada", Verified: true, SecondaryEmail: "ada2@acme.example"})
			b := s.browser(f)
			b.mutate(t, "tokenAuth", loginAda, "success", accepted, both...)
			args := test.args
			if test.name == "passwordReset" {
				args = strings.Replace(args, "RESET", s.link(t, tokens.PasswordReset, "ada", ""), 1)
			}
			want := accepted
			if strings.Contains(args, `"x"`) {
				want = refused
			}
			b.mutate(t, test.name, args, "success", want, test.cookies...)
			me := `{"data":{"me":{"username":"ada"}}}`
			if len(test.cookies) > 0 && test.cookies[0] == expireAccess {
				me = `{"data":{"me":null}}`
			}
			if got := b.send(t, "{ me { username } }"); got != me {
				t.Errorf("%s: after %s: got %s, want %s", f.name, test.name, got, me)
			}
		}
	}
}

// TestCookiesOfOneRequest: of several mutations in a request the last one counts, and a login outlives the end of the
// earlier session.
func TestCookiesOfOneRequest(t *testing.T) {
	t.Parallel()
	for query, want := range map[string][]string{
		`mutation { revokeToken { success } tokenAuth(` + loginAda +
			`) { success } }`: {setAccess, setRefresh},
		`mutation { tokenAuth(` + loginAda +
			`) { success } revokeToken { success } }`: {setAccess, setRefresh},
		`mutation { tokenAuth(` + loginAda +
			`) { success } deleteTokenCookie { deleted } }`: {expireAccess, setRefresh},
		`mutation { deleteTokenCookie { deleted } tokenAuth(` + loginAda +
			`) { success } }`: {setAccess, setRefresh},
		`mutation { deleteTokenCookie { deleted } deleteRefreshTokenCookie { deleted } }`: {expireAccess,
			expireRefresh},
		`mutation { a: verifyToken { success } tokenAuth(username: "ada", password: "x") { success } }`: nil,
		`mutation { revokeToken { success } tokenAuth(username: "ada", password: "x") { success } }`: {expireAccess,
			expireRefresh},
		`mutation { tokenAuth(` + loginAda +
			`) { success user { broken: firstName } } verifyToken(token: "") { success }}`: {setAccess, setRefresh},
	} {
		b := newSite(t, inCookies()).browser(flavours[0])
		b.mutate(t, "register", registration("ada"), "success", accepted, setAccess, setRefresh)
		b.send(t, query)
		if diff := cmp.Diff(want, b.set); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
}

// TestDeleteCookies runs both mutations with cookies, without cookies and without cookie mode.
func TestDeleteCookies(t *testing.T) {
	t.Parallel()
	for _, f := range flavours {
		b := newSite(t, inCookies()).browser(f)
		for name, cookie := range map[string]string{"deleteTokenCookie": "JWT",
			"deleteRefreshTokenCookie": "JWT-refresh-token"} {
			b.cookies = map[string]string{}
			b.mutate(t, name, "", "deleted", `{"deleted":false}`)
			b.cookies = map[string]string{cookie: "nonsense", "another": "one"}
			b.mutate(t, name, "", "deleted", `{"deleted":true}`, map[string]string{"JWT": expireAccess,
				"JWT-refresh-token": expireRefresh}[cookie])
		}
		off := newSite(t).browser(f)
		off.cookies = map[string]string{"JWT": "x", "JWT-refresh-token": "x", "": "x"}
		off.mutate(t, "deleteTokenCookie", "", "deleted", `{"deleted":false}`)
		off.mutate(t, "deleteRefreshTokenCookie", "", "deleted", `{"deleted":false}`)
	}
}

// TestHeaderOrCookie is section 2 of the contract in cookie mode: a well-formed header decides alone.
func TestHeaderOrCookie(t *testing.T) {
	t.Parallel()
	s := newSite(t, inCookies())
	ada := s.session(t, flavours[0], "register", registration("ada"))
	bob := s.session(t, flavours[0], "register", registration("bob"))
	s.run(t, flavours[0], "revokeToken", `refreshToken: "`+s.session(t, flavours[0], "tokenAuth",
		loginAda).RefreshToken+`"`, "success")
	for _, test := range []struct {
		name    string
		headers []string
		want    string
	}{
		{"cookie", []string{"Cookie", "JWT=" + ada.Token}, "ada"},
		{"quoted", []string{"Cookie", `JWT="` + ada.Token + `"`}, "ada"},
		{"among others", []string{"Cookie", "a=b; JWT=" + ada.Token + "; JWT2=x"}, "ada"},
		{"in two lines", []string{"Cookie", "a=b", "Cookie", "JWT=" + ada.Token}, "ada"},
		{"header wins", []string{"Cookie", "JWT=" + ada.Token, "Authorization", "JWT " + bob.Token}, "bob"},
		{"bad token in the header", []string{"Cookie", "JWT=" + ada.Token, "Authorization", "JWT x"}, ""},
		{"bad token, other prefix", []string{"Cookie", "JWT=" + ada.Token, "Authorization", "bearer x"}, ""},
		{"another scheme", []string{"Cookie", "JWT=" + ada.Token, "Authorization", "Basic YTpi"}, "ada"},
		{"one word", []string{"Cookie", "JWT=" + ada.Token, "Authorization", "JWT"}, "ada"},
		{"three words", []string{"Cookie", "JWT=" + ada.Token, "Authorization", "JWT x y"}, "ada"},
		{"no header's text", []string{"Cookie", "JWT=" + ada.Token, "Authorization", ""}, "ada"},
		{"refresh token", []string{"Cookie", "JWT=" + ada.RefreshToken}, ""},
		{"refresh cookie", []string{"Cookie", "JWT-refresh-token=" + ada.Token}, ""},
		{"other case", []string{"Cookie", "jwt=" + ada.Token}, ""},
		{"twice", []string{"Cookie", "JWT=" + ada.Token + "; JWT=" + bob.Token}, ""},
		{"twice the same", []string{"Cookie", "JWT=" + ada.Token + "; JWT=" + ada.Token}, ""},
		{"twice in two lines", []string{"Cookie", "JWT=" + ada.Token, "Cookie", "JWT=x"}, ""},
		{"too long", []string{"Cookie", "JWT=" + ada.Token + strings.Repeat("x", 4096)}, ""},
		{"empty", []string{"Cookie", "JWT="}, ""},
		{"none", nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := `{"data":{"me":null}}`
			if test.want != "" {
				want = `{"data":{"me":{"username":"` + test.want + `"}}}`
			}
			b := s.browser(flavours[0])
			if got := b.send(t, "{ me { username } }", test.headers...); got != want || b.set != nil {
				t.Errorf("%s, want %s; cookies %q", got, want, b.set)
			}
		})
	}
}

// TestNoCookieMode: without cookie mode cookies are neither read nor set.
func TestNoCookieMode(t *testing.T) {
	t.Parallel()
	for _, f := range flavours {
		s := newSite(t, inCookies(func(c *schema.Cookies) { c.Enabled = false }))
		b := s.browser(f)
		b.mutate(t, "register", registration("ada"), "success", accepted)
		session := s.session(t, f, "tokenAuth", loginAda)
		b.cookies = map[string]string{"JWT": session.Token, "JWT-refresh-token": session.RefreshToken}
		if got := b.send(t, "{ me { pk } }"); got != `{"data":{"me":null}}` {
			t.Errorf("got %s, want no user", got)
		}
		for _, name := range []string{"verifyToken", "refreshToken", "revokeToken"} {
			b.mutate(t, name, "", "success", refused)
		}
		b.mutate(t, "revokeToken", `refreshToken: "`+session.RefreshToken+`"`, "success", accepted)
	}
}

// TestHiddenTokens: with hide_token_fields, cookies carry tokens and payloads have none.
func TestHiddenTokens(t *testing.T) {
	t.Parallel()
	for i, f := range flavours {
		s := newSite(t, inCookies(func(c *schema.Cookies) { c.HideTokenFields = true }))
		ours := gqlparser.MustLoadSchema(&ast.Source{Name: "ours", Input: s.api.SDL([]schema.Flavour{schema.Plain,
			schema.Relay}[i])})
		for _, typ := range ours.Types {
			if typ.Kind == ast.Object && (typ.Fields.ForName("token") != nil ||
				typ.Fields.ForName("refreshToken") != nil && typ.Name != "Mutation") {
				t.Errorf("%s: %s: got tokens, want none", f.name, typ.Name)
			}
		}
		b := s.browser(f)
		b.mutate(t, "register", registration("ada"), "success", accepted, setAccess, setRefresh)
		b.mutate(t, "tokenAuth", loginAda, "success refreshExpiresIn", `{"success":true,"refreshExpiresIn":1800604800}`,
			setAccess, setRefresh)
		b.mutate(t, "refreshToken", "", "success", accepted, setAccess, setRefresh)
		if got := b.send(t, f.mutation("tokenAuth", loginAda, "token")); !strings.Contains(got,
			`"code":"validation"`) || b.set != nil {
			t.Errorf("%s: got %s, want %s in it", f.name, got, `"code":"validation"`)
		}
	}
}

// TestCookiesWhenTheDatabaseFails: a failed session lookup expires no cookie.
func TestCookiesWhenTheDatabaseFails(t *testing.T) {
	t.Parallel()
	s := newSite(t, inCookies())
	b := s.browser(flavours[0])
	b.mutate(t, "register", registration("ada"), "success", accepted, setAccess, setRefresh)
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	b.mutate(t, "deleteTokenCookie", "", "deleted", `{"deleted":true}`, expireAccess)
	if log := s.log.String(); !strings.Contains(log, "session lookup for a cookie failed") || !strings.Contains(log,
		"request=req-1") || strings.Contains(log, b.cookies["JWT-refresh-token"]) {
		t.Errorf("got the log %s, want a failed session lookup, the request id and no token", log)
	}
}
