//go:build unix

package web_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"accountd/internal/servertest"
)

// TestCrossOrigin tries every combination of content type, method, Origin and Sec-Fetch-Site in cookie mode. Each
// request has the cookies of a logged-in user, as SameSite does not always prevent that.
func TestCrossOrigin(t *testing.T) {
	t.Parallel()
	server := servertest.New(t, "ACCOUNTD_TOKENS_COOKIES_ENABLED=true",
		"ACCOUNTD_SERVER_CORS_ORIGINS=https://app.example, http://localhost:3000")
	client := loggedIn(t, server)
	pages := []struct {
		site, origin string
		ours, reads  bool
	}{
		{"", "", true, false},
		{"same-origin", server.URL, true, false},
		{"none", "", true, false},
		{"cross-site", "https://app.example", true, true},
		{"same-site", "http://localhost:3000", true, true},
		{"cross-site", "https://evil.example", false, false},
		{"same-site", "http://localhost:3001", false, false},
		{"cross-site", "null", false, false},
		{"cross-site", "", false, false},
		{"", "https://evil.example", false, false},
	}
	for _, page := range pages {
		for _, method := range []string{"POST", "GET", "PUT", "DELETE"} {
			for _, contentType := range []string{"application/json", "text/plain", "application/x-www-form-urlencoded",
				"multipart/form-data; boundary=x", ""} {
				for query, done := range map[string]string{
					"{me{username}}":                       `{"data":{"me":{"username":"ada"}}}`,
					"mutation{deleteTokenCookie{deleted}}": `{"data":{"deleteTokenCookie":{"deleted":true}}}`,
				} {
					isMutation := strings.HasPrefix(query, "mutation")
					status, want := http.StatusOK, done
					switch {
					case !page.ours && method != "GET":
						status, want = http.StatusForbidden, "forbidden_origin"
					case method == "GET" && isMutation, method != "GET" && method != "POST":
						status, want = http.StatusMethodNotAllowed, "wrong_usage"
					case method == "GET" && !page.ours:
						want = `{"data":{"me":null}}`
					case method == "POST" && contentType != "application/json":
						status, want = http.StatusUnsupportedMediaType, "wrong_usage"
					}
					body, target := fmt.Sprintf(`{"query":%q}`, query), server.URL+"/graphql"
					if method == "GET" {
						body, target = "", target+"?query="+url.QueryEscape(query)
					}
					req, err := http.NewRequest(method, target, strings.NewReader(body))
					if err != nil {
						t.Fatal(err)
					}
					for header, value := range map[string]string{"Content-Type": contentType,
						"Sec-Fetch-Site": page.site,
						"Origin":         page.origin} {
						if value != "" {
							req.Header.Set(header, value)
						}
					}
					for _, cookie := range client.Jar.Cookies(req.URL) {
						req.AddCookie(cookie)
					}
					resp, err := http.DefaultTransport.RoundTrip(req) // which keeps no cookies
					if err != nil {
						t.Fatal(err)
					}
					raw, err := io.ReadAll(resp.Body)
					if err != nil {
						t.Fatal(err)
					}
					resp.Body.Close()
					name := fmt.Sprintf("%s %q of %q as %q from %q, %q", method, query, contentType, page.site,
						page.origin, raw)
					if resp.StatusCode != status || !strings.Contains(string(raw), want) {
						t.Errorf("%s: status %d, want %d with %s", name, resp.StatusCode, status, want)
					}
					if set := resp.Header["Set-Cookie"]; (len(set) > 0) != (want == done && isMutation) {
						t.Errorf("%s: got the cookies %q, want some %t", name, set, want == done && isMutation)
					}
					allowed := resp.Header.Get("Access-Control-Allow-Origin")
					if page.reads && (method == "GET" || method == "POST") != (allowed == page.origin) || !page.reads &&
						allowed != "" {
						t.Errorf("%s: got the origin %q allowed, want %q for pages that may read: %t", name, allowed,
							page.origin, page.reads)
					}
					if !strings.Contains(strings.Join(resp.Header.Values("Vary"), ","), "Origin") {
						t.Errorf("%s: got Vary %q, want Origin in it", name, resp.Header.Values("Vary"))
					}
				}
			}
		}
	}
}

// TestSettingsOfTheWeb: settings of cookies, token arguments, error shapes and proxies take effect.
func TestSettingsOfTheWeb(t *testing.T) {
	t.Parallel()
	server := servertest.New(t, "ACCOUNTD_SERVER_TRUSTED_PROXIES=127.0.0.0/8", "ACCOUNTD_LOG_LEVEL=debug",
		"ACCOUNTD_TOKENS_COOKIES_ENABLED=true", "ACCOUNTD_TOKENS_COOKIES_SECURE=true",
		"ACCOUNTD_TOKENS_COOKIES_SAME_SITE=Strict", "ACCOUNTD_TOKENS_ALLOW_ARGUMENT=true",
		"ACCOUNTD_TOKENS_ARGUMENT_NAME=jwt", "ACCOUNTD_GRAPHQL_ERROR_SHAPE=list")
	ask := func(query string) (string, http.Header) {
		t.Helper()
		req, err := http.NewRequest("POST", server.URL+"/graphql", strings.NewReader(fmt.Sprintf(`{"query":%q}`,
			query)))
		if err != nil {
			t.Fatal(err)
		}
		for header, value := range map[string]string{"Content-Type": "application/json",
			"X-Forwarded-For":  "192.0.2.200, 203.0.113.9",
			"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https",
			"Forwarded": "host=evil.example;proto=https;for=192.0.2.200"} {
			req.Header.Set(header, value)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(raw)), resp.Header
	}
	got, header := ask(`mutation { register(email: "ada@example.com", username: "ada", password1: "quiet-otter-42", ` +
		`password2: "quiet-otter-42") { token } }`)
	var answer struct {
		Data struct{ Register struct{ Token string } }
	}
	if err := json.Unmarshal([]byte(got), &answer); err != nil {
		t.Fatalf("got %s, want JSON: %v", got, err)
	}
	for i, name := range []string{"__Host-JWT=", "__Host-JWT-refresh-token="} {
		if set := header["Set-Cookie"]; len(set) != 2 || !strings.HasPrefix(set[i], name) ||
			!strings.HasSuffix(set[i], "; HttpOnly; Secure; SameSite=Strict") {
			t.Errorf("got the cookies %q, want two, and %s with the settings' attributes", set, name)
		}
	}
	if got, _ := ask(`{ me(jwt: "` + answer.Data.Register.Token +
		`") { username } }`); got != `{"data":{"me":{"username":"ada"}}}` {
		t.Errorf("by argument: got %s, want ada", got)
	}
	if got, _ := ask(`mutation { verifyAccount(token: "") { errors } }`); got != `{"data":{"verifyAccount":{"errors":`+
		`[{"field":"nonFieldErrors","message":"Invalid token.","code":"invalid_token"}]}}}` {
		t.Errorf("got the errors %s, want a list with invalid_token", got)
	}
	if log := server.Log(); !strings.Contains(log, `"client":"203.0.113.9"`) || strings.Contains(log, "192.0.2.200") {
		t.Errorf("got the log %s, want the client 203.0.113.9 and not 192.0.2.200", log)
	}
	if header.Get("Strict-Transport-Security") != "" {
		t.Errorf("got HSTS %q by the scheme of a header, want none", header.Get("Strict-Transport-Security"))
	}
}

// loggedIn returns a client with the cookies of ada.
func loggedIn(t *testing.T, server *servertest.Server) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	if _, err := server.Register(client, "ada", "quiet-otter-42"); err != nil {
		t.Fatal(err)
	}
	return client
}

// TestAuthRoute: forward auth at /auth, as a proxy asks for it.
func TestAuthRoute(t *testing.T) {
	t.Parallel()
	server := servertest.New(t)
	session, err := server.Register(http.DefaultClient, "ada", "quiet-otter-42")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		method, host, token string
		status              int
		user                string
	}{
		{"GET", "", session.Token, 204, "1"},
		{"HEAD", "", session.Token, 204, "1"},
		{"GET", "", "", 401, ""},
		{"HEAD", "", "", 401, ""},
		{"POST", "", session.Token, 404, ""},
		{"GET", "localhost", session.Token, 204, "1"},
		{"GET", "app.example.com", session.Token, 421, ""},
	} {
		req, err := http.NewRequest(test.method, server.URL+"/auth", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = test.host
		req.Header.Set("Authorization", "Bearer "+test.token)
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		h := resp.Header
		if resp.StatusCode != test.status || h.Get("X-Accountd-User") != test.user ||
			h.Get("Cache-Control") != "no-store" ||
			h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s for %q: got status %d, %v; want status %d, user %q", test.method, test.host, resp.StatusCode,
				h, test.status, test.user)
		}
	}
}
