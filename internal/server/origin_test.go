package server

import (
	"fmt"
	"strings"
	"testing"
)

// shared is a site that pages of two other origins may use.
func shared(s *Settings) {
	s.Origins, s.TokenHeader = []string{"https://app.example", "http://localhost:3000"}, "X-Token"
}

// TestOrigins: every combination of method and headers of a page: whether a POST is accepted, cookies count, and the
// page may read the response.
func TestOrigins(t *testing.T) {
	s := newSite(t, shared)
	const forbidden = `{"errors":[{"message":"Pages of other origins may not use this server; server.cors_origins ` +
		`names those that may.",` +
		`"extensions":{"code":"forbidden_origin"}}]}` + "\n"
	tests := []struct {
		site, origin string
		ours, reads  bool
	}{
		{"", "", true, false}, // no browser
		{"same-origin", "", true, false},
		{"same-origin", "http://localhost:8080", true, false},
		{"none", "", true, false}, // typed by the user
		{"cross-site", "", false, false},
		{"same-site", "", false, false},
		{"", "http://localhost", true, false},      // the Host
		{"", "http://localhost:8080", true, false}, // the public URL
		{"cross-site", "http://localhost:8080", true, false},
		{"", "https://evil.example", false, false},
		{"cross-site", "https://evil.example", false, false},
		{"same-site", "http://localhost:3001", false, false},
		{"", "http://localhost:3001", false, false},
		{"cross-site", "null", false, false},
		{"", "null", false, false},
		{"cross-site", "*", false, false},
		{"", "http://localhost.evil.example", false, false},
		{"", "https://app.example", true, true},
		{"cross-site", "https://app.example", true, true},
		{"same-site", "http://localhost:3000", true, true},
		{"cross-site", "http://app.example", false, false},
		{"cross-site", "https://app.example:8443", false, false},
		{"cross-site", "https://APP.example", false, false}, // no browser writes that
		{"cross-site", "https://app.example.evil.example", false, false},
		{"cross-site", "https://evil.app.example", false, false},
		{"cross-site", "https://app.example, https://evil.example", false, false},
	}
	for _, test := range tests {
		for _, method := range []string{"POST", "GET", "PUT"} {
			for path, name := range map[string]string{"/graphql": "plain", "/relay": "relay"} {
				request := fmt.Sprintf("%s %s HTTP/1.1\nHost: localhost\nCookie: JWT=x", method, path)
				if test.site != "" {
					request += "\nSec-Fetch-Site: " + test.site
				}
				if test.origin != "" {
					request += "\nOrigin: " + test.origin
				}
				status, want := 200, name+" for 127.0.0.1 with JWT=x"
				switch {
				case !test.ours && method == "GET":
					want = name + " for 127.0.0.1"
				case !test.ours:
					status, want = 403, forbidden
				}
				resp, body := s.raw(t, request)
				if resp.StatusCode != status || body != want {
					t.Errorf("%q: status %d, %s, want %v, %v", request, resp.StatusCode, body, status, want)
				}
				reads := map[string]string{}
				if test.reads && method != "PUT" {
					reads = map[string]string{"Origin": test.origin, "Credentials": "true"}
				}
				for _, header := range []string{"Origin", "Credentials"} {
					if got := resp.Header.Get("Access-Control-Allow-" + header); got != reads[header] {
						t.Errorf("%q: Access-Control-Allow-%s: %q, want %v", request, header, got, reads[header])
					}
				}
				exposed := map[bool]string{true: "X-Request-Id, Retry-After"}[reads["Origin"] != ""]
				if got := resp.Header.Get("Access-Control-Expose-Headers"); got != exposed ||
					resp.Header.Get("Vary") != "Origin" {
					t.Errorf("%q: exposes %q, varies by %q, want %v, %q", request, got, resp.Header.Get("Vary"),
						exposed, "Origin")
				}
			}
		}
	}
}

func TestPreflight(t *testing.T) {
	for name, s := range map[string]*site{"two origins": newSite(t, shared), "none": newSite(t)} {
		for _, test := range []struct {
			path, origin, method, headers string
			allowed                       bool
		}{
			{"/graphql", "https://app.example", "POST", "content-type", true},
			{"/relay", "https://app.example", "POST", "content-type,x-token", true},
			{"/graphql", "http://localhost:3000", "GET", "", true},
			{"/graphql", "http://localhost:3000", "POST", "accept,content-type,x-requested-with,x-token", true},
			{"/graphql", "https://app.example", "POST", "authorization", false}, // the header is another
			{"/graphql", "https://app.example", "DELETE", "", false},
			{"/graphql", "https://evil.example", "POST", "content-type", false},
			{"/graphql", "null", "POST", "content-type", false},
			{"/graphql", "*", "POST", "content-type", false},
			{"/graphql", "http://localhost:8080", "POST", "content-type", false}, // needs none
			{"/livez", "https://app.example", "GET", "", false},
			{"/", "https://app.example", "GET", "", false},
			{"/nothing", "https://app.example", "POST", "content-type", false},
		} {
			request := fmt.Sprintf("OPTIONS %s HTTP/1.1\nHost: localhost\nOrigin: "+
				"%s\nAccess-Control-Request-Method: %s", test.path, test.origin, test.method)
			if test.headers != "" {
				request += "\nAccess-Control-Request-Headers: " + test.headers
			}
			resp, body := s.raw(t, request)
			want := map[string]string{}
			if test.allowed && name != "none" {
				want = map[string]string{"Origin": test.origin, "Credentials": "true", "Methods": test.method,
					"Headers": test.headers}
			}
			for _, header := range []string{"Origin", "Credentials", "Methods", "Headers"} {
				if got := resp.Header.Get("Access-Control-Allow-" + header); got != want[header] {
					t.Errorf("%s, %q: Access-Control-Allow-%s: %q, want %v", name, request, header, got, want[header])
				}
			}
			endpoint := test.path == "/graphql" || test.path == "/relay"
			if endpoint && (resp.StatusCode != 204 || body != "" ||
				!strings.HasPrefix(resp.Header.Get("Vary"), "Origin")) {
				t.Errorf("%s, %q: status %d, %q, Vary %q, want 204, \"\", Origin", name, request, resp.StatusCode, body,
					resp.Header.Get("Vary"))
			}
			if age := resp.Header.Get("Access-Control-Max-Age"); (age == "600") != (want["Origin"] != "") {
				t.Errorf("%s, %q: Access-Control-Max-Age %q, want 600 for allowed origins only", name, request, age)
			}
		}
		// The host is checked before the origin.
		resp, _ := s.raw(t, "OPTIONS /graphql HTTP/1.1\nHost: evil.example\nOrigin: "+
			"https://app.example\nAccess-Control-Request-Method: POST")
		if resp.StatusCode != 421 || resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: unknown host: status %d, %v, want 421, \"\"", name, resp.StatusCode, resp.Header)
		}
	}
}

func TestOriginThatIsNone(t *testing.T) {
	if _, err := New(Settings{PublicURL: "http://localhost:8080",
		Origins: []string{"https://app.example/path"}}); err == nil {
		t.Error("an origin with a path: got no error, want one")
	}
}

// TestForwardedPages: whose cookies count when a proxy asks for a request that it has in hand.
func TestForwardedPages(t *testing.T) {
	s := newSite(t, shared)
	for _, test := range []struct {
		headers string // of the browser's request, as the proxy passes them on, and the proxy's
		counts  bool
	}{
		{"", true}, // no browser
		{"Sec-Fetch-Site: same-origin", true},
		{"Sec-Fetch-Site: none", true},
		{"Sec-Fetch-Site: same-origin\nOrigin: https://the.app\nX-Forwarded-Method: POST", true},
		{"Origin: http://localhost:8080\nX-Forwarded-Method: DELETE", true},
		{"Sec-Fetch-Site: cross-site\nOrigin: https://app.example\nX-Forwarded-Method: POST",
			true}, // server.cors_origins
		// A link from elsewhere.
		{"Sec-Fetch-Site: cross-site\nX-Forwarded-Method: GET", true},
		{"Sec-Fetch-Site: same-site\nX-Forwarded-Method: HEAD", true},
		{"Sec-Fetch-Site: cross-site", false}, // unknown method
		{"Sec-Fetch-Site: cross-site\nX-Forwarded-Method: get", false},
		{"Sec-Fetch-Site: cross-site\nX-Forwarded-Method: ", false},
		{"Sec-Fetch-Site: cross-site\nX-Forwarded-Method: GET\nX-Forwarded-Method: POST", false},
		{"Sec-Fetch-Site: cross-site\nX-Forwarded-Method: POST", false},
		{"Sec-Fetch-Site: same-site\nX-Forwarded-Method: POST", false},
		// A form, a script, a WebSocket of elsewhere.
		{"Sec-Fetch-Site: cross-site\nOrigin: null\nX-Forwarded-Method: POST", false},
		{"Sec-Fetch-Site: cross-site\nOrigin: https://evil.example\nX-Forwarded-Method: POST", false},
		{"Origin: https://evil.example\nX-Forwarded-Method: POST", false},
		{"Sec-Fetch-Site: cross-site\nOrigin: https://evil.example\nX-Forwarded-Method: GET", false},
		{"Origin: https://evil.example\nX-Forwarded-Method: GET\nUpgrade: websocket", false},
	} {
		resp, body := s.raw(t, strings.TrimSuffix("GET /auth HTTP/1.1\nHost: localhost\nCookie: JWT=x\n"+test.headers,
			"\n"))
		want := "auth for 127.0.0.1"
		if test.counts {
			want += " with JWT=x"
		}
		if resp.StatusCode != 200 || body != want {
			t.Errorf("%q: status %d, %s, want %s", test.headers, resp.StatusCode, body, want)
		}
	}
	if resp, _ := s.raw(t, "GET /auth HTTP/1.1\nHost: evil.example"); resp.StatusCode != 421 {
		t.Errorf("unknown host: status %d, want 421", resp.StatusCode)
	}
}

// TestMailIsOurs: pages of other origins, allowed ones too, do not read mails. A link to them can be followed.
func TestMailIsOurs(t *testing.T) {
	s := newSite(t, shared)
	for header, status := range map[string]int{
		"": 200, "Sec-Fetch-Site: same-origin": 200, "Sec-Fetch-Site: none": 200, "Origin: http://localhost": 200,
		"Sec-Fetch-Site: cross-site": 403, "Sec-Fetch-Site: same-site": 403,
		"Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: no-cors":  403,
		"Sec-Fetch-Site: cross-site\nSec-Fetch-Mode: navigate": 200,
		"Origin: https://evil.example":                         403, "Origin: null": 403,
		"Origin: https://app.example": 403, "Origin: http://localhost:3000\nSec-Fetch-Site: same-site": 403,
	} {
		request := "GET /dev/mail.json HTTP/1.1\nHost: localhost"
		if header != "" {
			request += "\n" + header
		}
		resp, body := s.raw(t, request)
		if resp.StatusCode != status || (status == 200) != strings.Contains(body, "mail for") ||
			resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%q: status %d, %s, want %d, with mail for 200 only", header, resp.StatusCode, body, status)
		}
	}
	if resp, _ := s.raw(t, "GET /dev/mail.json HTTP/1.1\nHost: evil.example"); resp.StatusCode != 421 {
		t.Errorf("another host: status %d, want 421", resp.StatusCode)
	}
}
