//go:build unix

package web_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"accountd/internal/servertest"
)

// TestSecurityHeaders: every response, of any path and status, has the security headers and does not name the
// program.
func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	const js, query = "application/json", `{"query":"{ me { id } }"}`
	requests := []struct {
		method, target, body string
		status               int // of a public server
		headers              []string
	}{
		{"POST", "/graphql", query, 200, []string{"Content-Type", js}},
		{"POST", "/relay", query, 200, []string{"Content-Type", js}},
		{"GET", "/graphql?query=%7Bme%7Bid%7D%7D", "", 200, nil},
		{"POST", "/graphql", `{"query":"{ nope }"}`, 400, []string{"Content-Type", js, "Accept",
			"application/graphql-response+json"}},
		{"POST", "/graphql", `[`, 400, []string{"Content-Type", js}},
		{"POST", "/graphql", query, 403, []string{"Content-Type", js, "Origin", "https://evil.example"}},
		{"GET", "/nothing", "", 404, nil},
		{"GET", "/graphql/", "", 404, nil},
		{"PUT", "/graphql", query, 405, []string{"Content-Type", js}},
		{"TRACE", "/graphql", "", 405, nil},
		{"TRACE", "/", "", 404, nil},
		{"POST", "/graphql", query, 406, []string{"Content-Type", js, "Accept", "text/html"}},
		{"POST", "/graphql", `{"query":"` + strings.Repeat(" ", 70000) + `"}`, 413, []string{"Content-Type", js}},
		{"POST", "/graphql", query, 415, []string{"Content-Type", "text/plain"}},
		{"POST", "/graphql", query, 421, []string{"Content-Type", js, "Host", "evil.example"}},
		{"OPTIONS", "/graphql", "", 204, []string{"Origin", "https://app.example", "Access-Control-Request-Method",
			"POST"}},
		{"OPTIONS", "/livez", "", 404, nil},
		{"GET", "/auth", "", 401, nil},
		{"GET", "/livez", "", 200, nil},
		{"HEAD", "/livez", "", 200, nil},
		{"GET", "/readyz", "", 200, nil},
		{"GET", "/.well-known/jwks.json", "", 404, nil},
		{"GET", "/a/../graphql", "", 307, nil},
		{"GET", "/", "", 404, nil},
		{"GET", "/dev/mail", "", 404, nil},
		{"GET", "/graphiql/x.js", "", 404, nil},
	}
	for name, env := range map[string][]string{
		"public":       append([]string{"ACCOUNTD_SERVER_CORS_ORIGINS=https://app.example"}, servertest.Public...),
		"this machine": servertest.CheapHashing,
	} {
		server := servertest.Start(t, filepath.Join(t.TempDir(), "data"), env...)
		for _, r := range requests {
			got := server.Send(t, r.method, r.target, r.body, r.headers...)
			what := fmt.Sprintf("%s: %s %s with %q: status %d", name, r.method, r.target, r.headers, got.Status)
			if name == "public" && got.Status != r.status {
				t.Errorf("%s, want %d", what, r.status)
			}
			want := map[string]string{
				"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
				"X-Frame-Options":           "DENY",
				"Content-Security-Policy":   "default-src 'none'; frame-ancestors 'none'",
				"Strict-Transport-Security": map[string]string{"public": "max-age=31536000"}[name],
			}
			if page := r.target == "/" || strings.HasPrefix(r.target, "/dev/"); page && got.Status == 200 {
				delete(want, "Cache-Control")
				// they have scripts and styles, and policies of their own that their tests hold
				delete(want, "Content-Security-Policy")
				if policy := got.Header.Get("Content-Security-Policy"); !strings.Contains(policy,
					"default-src 'none'") ||
					!strings.Contains(policy, "frame-ancestors 'none'") {
					t.Errorf("%s: got the policy %q, want everything refused, frames too", what, policy)
				}
			}
			for header, value := range want {
				if got.Header.Get(header) != value || len(got.Header[header]) > 1 {
					t.Errorf("%s, %s: %q, want %q", what, header, got.Header[header], value)
				}
			}
			for _, header := range []string{"Server", "X-Powered-By", "Via", "X-Aspnet-Version"} {
				if value := got.Header.Get(header); value != "" {
					t.Errorf("%s, %s: got %q, want no such header", what, header, value)
				}
			}
			if r.method == "TRACE" && strings.Contains(got.Body, "TRACE") {
				t.Errorf("%s: got %s, want no echo of the request", what, got.Body)
			}
		}
	}
}

// TestSecuritySharing: server.cors_origins decides which pages may read responses, and what a preflight returns.
func TestSecuritySharing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		env     []string
		allowed map[string]bool
	}{
		"nobody": {servertest.CheapHashing, nil},
		"one page": {append([]string{"ACCOUNTD_SERVER_CORS_ORIGINS=https://app.example"}, servertest.CheapHashing...),
			map[string]bool{"https://app.example": true}},
	} {
		server := servertest.Start(t, filepath.Join(t.TempDir(), "data"), test.env...)
		for _, origin := range []string{
			"https://app.example", "http://app.example", "https://app.example:8443", "https://evil.example",
			"https://app.example.evil.example", "https://evilapp.example",
			"https://sub.app.example", "null", "*", "https://APP.example", "", "file://", "https://app.example/",
			"https://app.example https://evil.example",
		} {
			for _, target := range []string{"/graphql", "/relay", "/auth", "/livez", "/readyz",
				"/.well-known/jwks.json", "/",
				"/dev/mail.json", "/nothing"} {
				for _, method := range []string{http.MethodOptions, http.MethodGet, http.MethodPost} {
					headers := []string{"Content-Type", "application/json"}
					if origin != "" {
						headers = append(headers, "Origin", origin)
					}
					if method == http.MethodOptions {
						headers = append(headers, "Access-Control-Request-Method", "POST",
							"Access-Control-Request-Headers",
							"authorization,content-type")
					}
					got := server.Send(t, method, target, `{"query":"{ me { id } }"}`, headers...)
					what := fmt.Sprintf("%s: %s %s from %q: status %d", name, method, target, origin, got.Status)
					endpoint := target == "/graphql" || target == "/relay"
					want, credentials := "", ""
					if endpoint && test.allowed[origin] {
						want, credentials = origin, "true"
					}
					if got.Header.Get("Access-Control-Allow-Origin") != want ||
						got.Header.Get("Access-Control-Allow-Credentials") != credentials {
						t.Errorf("%s: got the origin %q and credentials %q allowed, want %q and %q", what,
							got.Header["Access-Control-Allow-Origin"], got.Header["Access-Control-Allow-Credentials"],
							want, credentials)
					}
					if allows := got.Header.Get("Access-Control-Allow-Methods"); (allows != "") != (want != "" &&
						method == http.MethodOptions) {
						t.Errorf("%s: got the methods %q allowed, want some for a preflight of an allowed origin only",
							what, allows)
					}
					if endpoint && !strings.Contains(strings.Join(got.Header["Vary"], ","), "Origin") {
						t.Errorf("%s: got Vary %q, want Origin in it", what, got.Header["Vary"])
					}
				}
			}
		}
	}
}
