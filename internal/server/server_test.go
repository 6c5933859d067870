package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

type site struct {
	*Server
	addr  string
	log   *bytes.Buffer
	ready error
}

func newSite(t *testing.T, change ...func(*Settings)) *site {
	t.Helper()
	s := newQuietSite(t, change...)
	s.begin(t)
	return s
}

// newQuietSite is a site that does not listen yet.
func newQuietSite(t *testing.T, change ...func(*Settings)) *site {
	t.Helper()
	s := &site{log: &bytes.Buffer{}}
	echo := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("panic") {
				panic("secret of the server")
			}
			fmt.Fprintf(w, "%s for %s", name, ClientAddr(r.Context()))
			if r.URL.Query().Has("limited") {
				fmt.Fprintf(w, ", exempt: %t", Exempt(r.Context()))
			}
			for _, cookie := range r.Cookies() {
				fmt.Fprintf(w, " with %s", cookie)
			}
			if RequestID(r.Context()) != w.Header().Get("X-Request-Id") {
				t.Error("got another request id in the handler than in the answer, want the same")
			}
		})
	}
	settings := Settings{
		Plain: echo("plain"), Relay: echo("relay"), Page: echo("page"), Mail: echo("mail"), JWKS: echo("keys"),
		Auth: echo("auth"), Hosts: []string{"127.0.0.1", "::1", "localhost"},
		PublicURL: "http://localhost:8080", Connections: 100, Ready: func(context.Context) error { return s.ready },
		Now: time.Now, Log: slog.New(slog.NewTextHandler(s.log, nil)),
	}
	for _, fn := range change {
		fn(&settings)
	}
	var err error
	if s.Server, err = New(settings); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) begin(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	done := make(chan error)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(s.Shutdown(context.Background()), <-done); err != nil {
			t.Error(err)
		}
	})
}

// raw sends a request as it is written, line ends apart, and returns status, headers and body.
func (s *site) raw(t *testing.T, request string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(strings.ReplaceAll(request, "\n", "\r\n") +
		"\r\nConnection: close\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestRoutes(t *testing.T) {
	s := newSite(t)
	tests := []struct {
		request string
		status  int
		body    string
	}{
		{"POST /graphql HTTP/1.1\nHost: localhost", 200, "plain for 127.0.0.1"},
		{"POST /relay HTTP/1.1\nHost: localhost", 200, "relay for 127.0.0.1"},
		{"GET / HTTP/1.1\nHost: localhost", 200, "page for 127.0.0.1"},
		{"GET /graphiql/x.js HTTP/1.1\nHost: localhost", 200, "page for 127.0.0.1"},
		{"GET /dev/mail HTTP/1.1\nHost: localhost", 200, "mail for 127.0.0.1"},
		{"GET /dev/mail/1.A.eml HTTP/1.1\nHost: localhost", 200, "mail for 127.0.0.1"},
		{"GET /.well-known/jwks.json HTTP/1.1\nHost: localhost", 200, "keys for 127.0.0.1"},
		{"POST /.well-known/jwks.json HTTP/1.1\nHost: localhost", 404,
			"There is nothing here. The API is at /graphql and /relay.\n"},
		{"GET /auth HTTP/1.1\nHost: localhost", 200, "auth for 127.0.0.1"},
		{"POST /auth HTTP/1.1\nHost: localhost", 404, "There is nothing here. The API is at /graphql and /relay.\n"},
		{"GET /livez HTTP/1.1\nHost: localhost", 200, "ok\n"},
		{"GET /readyz HTTP/1.1\nHost: 10.9.8.7", 200, "ok\n"},
		{"GET /nothing HTTP/1.1\nHost: localhost", 404, "There is nothing here. The API is at /graphql and /relay.\n"},
		{"GET /graphql/ HTTP/1.1\nHost: localhost", 404, "There is nothing here. The API is at /graphql and /relay.\n"},
	}
	for _, test := range tests {
		resp, body := s.raw(t, test.request)
		if resp.StatusCode != test.status || body != test.body {
			t.Errorf("%q: status %d, %q, want %v, %v", test.request, resp.StatusCode, body, test.status, test.body)
		}
	}
	without := newSite(t, func(s *Settings) { s.Page, s.Mail, s.JWKS = nil, nil, nil })
	if resp, _ := without.raw(t, "GET /.well-known/jwks.json HTTP/1.1\nHost: localhost"); resp.StatusCode != 404 {
		t.Errorf("without keys: status %d, want 404", resp.StatusCode)
	}
	if resp, _ := without.raw(t, "GET / HTTP/1.1\nHost: localhost"); resp.StatusCode != 404 {
		t.Errorf("without a page: status %d, want 404", resp.StatusCode)
	}
	if resp, _ := without.raw(t, "GET /dev/mail HTTP/1.1\nHost: localhost"); resp.StatusCode != 404 {
		t.Errorf("without mail: status %d, want 404", resp.StatusCode)
	}
}

func TestHosts(t *testing.T) {
	s := newSite(t)
	for host, known := range map[string]bool{
		"localhost": true, "LOCALHOST:8080": true, "127.0.0.1:1": true, "[::1]:8080": true, "[::1]": true,
		"evil.example": false, "localhost.evil.example": false, "localhost@evil.example": false, "": false,
		"127.0.0.2": false, "localhost.": false, "127.0.0.1:": false,
	} {
		resp, body := s.raw(t, "POST /graphql HTTP/1.1\nX-Forwarded-Host: localhost\nForwarded: host=localhost\nHost: "+
			host)
		if known != (resp.StatusCode == 200) {
			t.Errorf("%q: status %d, want 200 %t", host, resp.StatusCode, known)
		}
		if !known && resp.StatusCode != 400 &&
			(resp.StatusCode != 421 || !strings.Contains(body, `"code":"unknown_host"`)) {
			t.Errorf("%q: status %d, %s, want 421 and unknown_host", host, resp.StatusCode, body)
		}
	}
	// The host of an absolute URI counts more than the header (RFC 9112, section 3.2.2).
	if resp, _ := s.raw(t, "POST http://evil.example/graphql HTTP/1.1\nHost: localhost"); resp.StatusCode != 421 {
		t.Errorf("absolute URI: status %d, want 421", resp.StatusCode)
	}
	if resp, _ := s.raw(t, "GET /livez HTTP/1.1\nHost: evil.example"); resp.StatusCode != 200 {
		t.Errorf("livez: status %d, want 200", resp.StatusCode)
	}
}

func TestHeaders(t *testing.T) {
	https := newSite(t, func(s *Settings) { s.PublicURL = "https://accounts.example" })
	for name, s := range map[string]*site{"http": newSite(t), "https": https} {
		for _, request := range []string{
			"POST /graphql HTTP/1.1\nHost: localhost", "GET /nope HTTP/1.1\nHost: localhost",
			"GET /livez HTTP/1.1\nHost: localhost",
			"POST /graphql HTTP/1.1\nHost: evil", "POST /graphql?panic HTTP/1.1\nHost: localhost",
			"TRACE /graphql HTTP/1.1\nHost: evil", "OPTIONS * HTTP/1.1\nHost: localhost",
		} {
			resp, _ := s.raw(t, request)
			for header, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
				"Cache-Control":             "no-store",
				"Content-Security-Policy":   "default-src 'none'; frame-ancestors 'none'",
				"Strict-Transport-Security": map[string]string{"https": "max-age=31536000"}[name], "Server": "",
			} {
				if got := resp.Header.Get(header); got != want {
					t.Errorf("%s %q: %s: %q, want %q", name, request, header, got, want)
				}
			}
			if id := resp.Header.Get("X-Request-Id"); len(id) < 20 {
				t.Errorf("%q: request id %q, want at least 20 characters", request, id)
			}
		}
	}
}

func TestPanic(t *testing.T) {
	s := newSite(t)
	resp, body := s.raw(t, "POST /graphql?panic HTTP/1.1\nHost: localhost")
	want := `{"errors":[{"message":"internal server error","extensions":{"code":"internal","requestId":"` +
		resp.Header.Get("X-Request-Id") + `"}}]}` + "\n"
	if resp.StatusCode != 500 || body != want {
		t.Errorf("status %d, %s, want 500, %v", resp.StatusCode, body, want)
	}
	if log := s.log.String(); !strings.Contains(log, "secret of the server") ||
		!strings.Contains(log, resp.Header.Get("X-Request-Id")) {
		t.Errorf("log: %s, want text with %q, text with %q", log, "secret of the server",
			resp.Header.Get("X-Request-Id"))
	}
	if resp, _ := s.raw(t, "POST /graphql HTTP/1.1\nHost: localhost"); resp.StatusCode != 200 {
		t.Errorf("afterwards: status %d, want 200", resp.StatusCode)
	}
}

func TestReadiness(t *testing.T) {
	s := newSite(t)
	s.ready = errors.New("/var/spool is full")
	resp, body := s.raw(t, "GET /readyz HTTP/1.1\nHost: x")
	if resp.StatusCode != 503 || body != "not ready\n" || !strings.Contains(s.log.String(), "/var/spool is full") {
		t.Errorf("status %d, %q, log %s, want 503, %q, text with %q", resp.StatusCode, body, s.log, "not ready\n",
			"/var/spool is full")
	}
	if resp, _ := s.raw(t, "GET /livez HTTP/1.1\nHost: x"); resp.StatusCode != 200 {
		t.Errorf("livez: status %d, want 200", resp.StatusCode)
	}
}

func TestHeaderLimit(t *testing.T) {
	s := newSite(t)
	for size, want := range map[int]int{15 << 10: 200, 17 << 10: 431} {
		if resp, _ := s.raw(t, "POST /graphql HTTP/1.1\nHost: localhost\nX-Long: "+
			strings.Repeat("x", size)); resp.StatusCode != want {
			t.Errorf("%d bytes: status %d, want %v", size, resp.StatusCode, want)
		}
	}
}

// TestAccessLog: at debug level each request has one line, without possible secrets.
func TestAccessLog(t *testing.T) {
	var log bytes.Buffer
	s := newSite(t, func(s *Settings) {
		s.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	for _, test := range []struct{ request, method, route string }{
		{"POST /graphql?query=canary-1", "POST", "/graphql"},
		{"GET /activate/canary-4", "GET", "/"},
		{"canary-5 /relay", "another", "/relay"},
		{"GET http://canary-6.example/graphql", "GET", `""`},
	} {
		log.Reset()
		resp, _ := s.raw(t, test.request+" HTTP/1.1\nHost: localhost\nAuthorization: JWT canary-2\nCookie: canary-3")
		line := log.String()
		for _, want := range []string{"method=" + test.method + " ", "route=" + test.route + " ", "client=127.0.0.1",
			resp.Header.Get("X-Request-Id")} {
			if !strings.Contains(line, want) {
				t.Errorf("got %q, want %s in it", line, want)
			}
		}
		if strings.Contains(line, "canary") {
			t.Errorf("got a secret in the log, want none: %s", line)
		}
	}
}
