package schema_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// auth sends a forward-auth request.
func (s *site) auth(t *testing.T, method string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "/auth", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.api.ServeAuth(w, r)
	return w.Result()
}

// account returns the account that the headers of an answer name.
func account(resp *http.Response) map[string]string {
	found := map[string]string{}
	for name := range resp.Header {
		if short, ok := strings.CutPrefix(name, "X-Accountd-"); ok {
			found[short] = resp.Header.Get(name)
		}
	}
	return found
}

// TestAuth: a valid token, by header or cookie, gives the account, and every other request 401 without one.
func TestAuth(t *testing.T) {
	t.Parallel()
	s := newSite(t, inCookies())
	ada := s.session(t, flavours[0], "register", registration("ada"))
	bob := s.session(t, flavours[0], "register", registration("bob"))
	s.exec(t, `UPDATE user_status SET verified = 1 WHERE user_id = 2`)
	s.exec(t, `UPDATE users SET is_staff = 1 WHERE id = 2`)
	asAda := map[string]string{"User": "1", "Username": "ada", "Email": "ada@acme.example", "Verified": "false",
		"Staff": "false"}
	asBob := map[string]string{"User": "2", "Username": "bob", "Email": "bob@acme.example", "Verified": "true",
		"Staff": "true"}
	check := func(name string, want map[string]string, headers ...string) {
		t.Helper()
		for _, method := range []string{"GET", "HEAD"} {
			resp := s.auth(t, method, headers...)
			status, challenge := http.StatusNoContent, ""
			if want == nil {
				status, challenge, want = http.StatusUnauthorized, "Bearer", map[string]string{}
			}
			if diff := cmp.Diff(want, account(resp)); diff != "" || resp.StatusCode != status {
				t.Errorf("%s, %s: status %d, want %d (-want +got):\n%s", name, method, resp.StatusCode, status, diff)
			}
			if resp.Header.Get("WWW-Authenticate") != challenge || resp.Header.Get("Cache-Control") != "no-store" ||
				resp.Header["Set-Cookie"] != nil {
				t.Errorf("%s, %s: got headers %v, want challenge %q, no-store and no cookie", name, method,
					resp.Header, challenge)
			}
			if status == http.StatusUnauthorized {
				want = nil
			}
		}
	}
	check("nothing", nil)
	check("header", asAda, "Authorization", "JWT "+ada.Token)
	check("another prefix", asBob, "Authorization", "bearer "+bob.Token)
	check("unknown prefix", nil, "Authorization", "Basic "+bob.Token)
	check("nonsense", nil, "Authorization", "JWT nonsense")
	check("refresh token", nil, "Authorization", "JWT "+ada.RefreshToken)
	check("cookie", asAda, "Cookie", "JWT="+ada.Token)
	check("two cookies", nil, "Cookie", "JWT="+ada.Token+"; JWT="+bob.Token)
	check("header before cookie", asBob, "Cookie", "JWT="+ada.Token, "Authorization", "JWT "+bob.Token)
	check("bad header, good cookie", nil, "Cookie", "JWT="+ada.Token, "Authorization", "JWT nonsense")
	check("header of another kind", asAda, "Cookie", "JWT="+ada.Token, "Authorization", "Basic YTpi")

	s.exec(t, `UPDATE user_status SET archived = 1 WHERE user_id = 1`)
	check("archived", asAda, "Authorization", "JWT "+ada.Token)
	s.exec(t, `UPDATE users SET is_active = 0 WHERE id = 1`)
	check("inactive", nil, "Authorization", "JWT "+ada.Token)
	s.run(t, flavours[0], "revokeToken", `refreshToken: "`+bob.RefreshToken+`"`, "success")
	check("ended session", nil, "Authorization", "JWT "+bob.Token)
	carol := s.session(t, flavours[0], "register", registration("carol"))
	s.pass(5 * time.Minute)
	check("expired", nil, "Authorization", "JWT "+carol.Token)
	if log := s.log.String(); strings.Contains(log, "forward-auth lookup failed") {
		t.Errorf("got the log %s, want no failed lookup", log)
	}
}

// TestAuthWithoutCookies: without cookie mode, no cookie authenticates.
func TestAuthWithoutCookies(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada := s.session(t, flavours[0], "register", registration("ada"))
	for _, name := range []string{"JWT", "__Host-JWT", ""} {
		if resp := s.auth(t, "GET", "Cookie", name+"="+ada.Token); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%q: got status %d, want 401", name, resp.StatusCode)
		}
	}
}

// TestAuthText: headers are visible ASCII, and decode to the account's names.
func TestAuthText(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada := s.session(t, flavours[0], "register", registration("ada"))
	for _, test := range []struct{ text, want string }{
		{"Žofie", "%C5%BDofie"}, {"a@b.+-_", "a@b.+-_"}, {"100%25", "100%2525"}, {"a b\t", "a%20b%09"},
		{"日本", "%E6%97%A5%E6%9C%AC"},
		{"x\r\nX-Accountd-Staff: true", "x%0D%0AX-Accountd-Staff:%20true"}, {"\x7f~\"\\,;", "%7F~\"\\,;"},
	} {
		value := fmt.Sprintf("CAST(x'%x' AS TEXT)", test.text)
		s.exec(t, `UPDATE users SET username = `+value+` WHERE id = 1`, `UPDATE addresses SET address = `+value+
			` WHERE user_id = 1`)
		got := account(s.auth(t, "GET", "Authorization", "JWT "+ada.Token))
		if got["Username"] != test.want || got["Email"] != test.want || got["Staff"] != "false" {
			t.Errorf("got %v, want the name and address %q", got, test.want)
		}
		if back, err := url.PathUnescape(got["Username"]); err != nil || back != test.text {
			t.Errorf("got %q, %v back, want %q", back, err, test.text)
		}
	}
}

// TestAuthFailure: an internal error is not a 401, and only the log has its cause.
func TestAuthFailure(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ada := s.session(t, flavours[0], "register", registration("ada"))
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	resp := s.auth(t, "GET", "Authorization", "JWT "+ada.Token)
	if resp.StatusCode != http.StatusInternalServerError || len(account(resp)) != 0 {
		t.Errorf("got status %d and headers %v, want 500 and no account", resp.StatusCode, resp.Header)
	}
	if log := s.log.String(); !strings.Contains(log, "forward-auth lookup failed") || !strings.Contains(log, "req-1") ||
		strings.Contains(log, ada.Token) {
		t.Errorf("got the log %s, want a failed lookup, the request id and no token", log)
	}
}
