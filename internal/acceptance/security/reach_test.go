//go:build unix

package security_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"accountd/internal/servertest"
)

// developmentPages are the pages for this machine only.
var developmentPages = []string{
	"/dev/mail", "/dev/mail.json", "/dev/mail/x.eml", "/", "/?endpoint=relay", "/graphiql/x.js",
}

// shows reports whether a response is one of these pages, or has a mail to ada.
func shows(r servertest.Reply) bool {
	return strings.Contains(r.Body, "ada@example.com") || strings.Contains(r.Body, "/graphiql/")
}

// sendRaw sends a request byte for byte, except for line ends.
func sendRaw(t *testing.T, server *servertest.Server, head, body string) servertest.Reply {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	head = strings.ReplaceAll(head+"\nConnection: close\n\n", "\n", "\r\n")
	if _, err := io.WriteString(conn, head+body); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return servertest.Reply{Status: resp.StatusCode, Header: resp.Header, Body: string(raw)}
}

// TestSecurityForwardedPages: a server without public settings refuses its development pages to forwarded requests,
// which it recognises by HTTP/1.0 or by a header.
func TestSecurityForwardedPages(t *testing.T) {
	t.Parallel()
	server := servertest.New(t)
	if _, err := server.Register(http.DefaultClient, "ada", "quiet-otter-42"); err != nil {
		t.Fatal(err)
	}
	heads := []string{"HTTP/1.0\nHost: %s"}
	for _, header := range []string{
		"X-Forwarded-For: 127.0.0.1", "x-forwarded-proto: https", "X-Forwarded-Host: localhost", "X-Forwarded-Port: 80",
		"X-Forwarded-For:", "Forwarded: for=127.0.0.1", "Via: 1.1 proxy", "X-Real-IP: 127.0.0.1",
		"X-Client-IP: 127.0.0.1",
		"CF-Connecting-IP: 127.0.0.1", "CF-Ray: 1-SJC", "CDN-Loop: cloudflare", "True-Client-IP: 127.0.0.1",
		"Fly-Client-IP: 127.0.0.1", "Fastly-Client-IP: 127.0.0.1", "X-Amz-Cf-Id: x", "X-Azure-ClientIP: 127.0.0.1",
	} {
		heads = append(heads, "HTTP/1.1\nHost: %s\n"+header)
	}
	host := strings.TrimPrefix(server.URL, "http://")
	for _, head := range heads {
		for _, page := range developmentPages {
			got := sendRaw(t, server, "GET "+page+" "+fmt.Sprintf(head, host), "")
			if got.Status != 403 || shows(got) {
				t.Errorf("%s %q: got status %d, %.200s; want 403", page, head, got.Status, got.Body)
			}
		}
	}
	for _, page := range []string{"/dev/mail", "/dev/mail.json", "/"} {
		if got := sendRaw(t, server, "GET "+page+" HTTP/1.1\nHost: "+host, ""); got.Status != 200 || !shows(got) {
			t.Errorf("%s of this machine: got status %d, %.200s; want 200 and the page", page, got.Status, got.Body)
		}
	}
}

// TestSecurityPublicSettings: each setting for users on other machines turns the development pages off. The start
// reports a missing public_url.
func TestSecurityPublicSettings(t *testing.T) {
	t.Parallel()
	for key, value := range map[string]string{
		"server.public_url": "https://a.example", "server.allowed_hosts": "127.0.0.1, a.example",
		"server.trusted_proxies": "192.0.2.7", "server.cors_origins": "https://a.example",
		"tokens.issuer":   "https://a.example",
		"tokens.audience": "https://a.example",
		"email.from":      "accounts@a.example", "email.link_base": "https://a.example",
		"email.smtp.host": "smtp.a.example",
	} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			server := servertest.New(t, "ACCOUNTD_"+strings.ToUpper(strings.ReplaceAll(key, ".", "_"))+"="+value)
			for _, page := range developmentPages {
				if got := server.Send(t, "GET", page, ""); got.Status != 404 {
					t.Errorf("%s: got status %d, %.200s; want 404", page, got.Status, got.Body)
				}
			}
			missing := "server.public_url is missing, while other settings are for users elsewhere (" + key +
				"): set it to the"
			log, want := server.Log(), key != "server.public_url"
			if strings.Contains(log, missing) != want || strings.Contains(log, "/dev/mail\n") {
				t.Errorf("the start: got\n%s\nwant %q in it %t, and no page of mails", log, missing, want)
			}
		})
	}
}

// TestSecurityAskedForPage: with graphql.graphiql = true GraphiQL is served to everyone, also through a proxy. Mails
// are not.
func TestSecurityAskedForPage(t *testing.T) {
	t.Parallel()
	server := servertest.Start(t, filepath.Join(t.TempDir(), "data"), append(servertest.Public,
		"ACCOUNTD_GRAPHQL_GRAPHIQL=on")...)
	for page, want := range map[string]int{"/": 200, "/?endpoint=relay": 200, "/dev/mail": 404, "/dev/mail.json": 404} {
		got := sendRaw(t, server, "GET "+page+" HTTP/1.0\nHost: accounts.example\nX-Forwarded-For: 192.0.2.1", "")
		if got.Status != want {
			t.Errorf("%s: got status %d, %.200s; want %d", page, got.Status, got.Body, want)
		}
	}
}

// TestSecurityUntrustedProxy: behind a proxy on the same machine that is not in server.trusted_proxies all clients
// share one rate limit, whatever the proxy's headers say. The start, the log and doctor report that. Programs on
// this machine are exempt.
func TestSecurityUntrustedProxy(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	began := time.Now()
	s := servertest.Start(t, dir, append(servertest.Public, "ACCOUNTD_LIMITS_LOGINS_PER_IP=2/h")...)
	const says = "server.trusted_proxies does not have 127.0.0.1, where every request comes from: " +
		"limits per network may not hold, and cannot tell users apart"
	const remedy = `set server.trusted_proxies = ["127.0.0.1"], and let the reverse proxy, or your back end, ` +
		"send X-Forwarded-For"
	if log := strings.ReplaceAll(s.Log(), `\"`, `"`); !strings.Contains(log, says+": "+remedy) {
		t.Errorf("the start: got\n%s\nwant %q in it", log, says+": "+remedy)
	}
	names := []string{"X-Forwarded-For", "CF-Connecting-IP", "Forwarded", "X-Real-IP"}
	register := func(i int) bool {
		t.Helper()
		body := fmt.Sprintf(`{"query":"mutation { register(email: \"user%[1]d@example.com\", username: \"user%[1]d\", `+
			`password1: \"quiet-otter-42\", password2: \"quiet-otter-42\") { success } }"}`, i)
		head := "POST /graphql HTTP/1.1\nHost: localhost\n" + names[i%len(names)] + fmt.Sprintf(": 203.0.113.%d", i)
		if i%5 == 0 {
			head = "POST /graphql HTTP/1.0\nHost: localhost"
		}
		got := sendRaw(t, s, head+fmt.Sprintf("\nContent-Type: application/json\nContent-Length: %d", len(body)), body)
		in := strings.Contains(got.Body, `"success":true`)
		if in == throttledAnswer(t, got.Status, got.Header, got.Body) {
			t.Fatalf("registration %d: got status %d, %s; want a success or a whole throttled answer", i, got.Status,
				got.Body)
		}
		return in
	}
	for i := range 30 {
		if !register(i) {
			t.Fatalf("registration %d of 30: got throttled, want success", i+1)
		}
	}
	for i := 30; i < 35; i++ {
		if register(i) {
			t.Errorf("registration %d with a new client address: got success, want throttled", i+1)
		}
	}
	const asOne = "a reverse proxy on this machine names no client, or is not in server.trusted_proxies: limits"
	const program = "limits per network do not hold for programs on this machine"
	logged := func(warning string, never bool) {
		t.Helper()
		minutes := 1 + int(time.Since(began)/time.Minute)
		if n := strings.Count(s.Log(), warning); never != (n == 0) || n > minutes {
			t.Errorf("got %d warnings %q, want at most %d, none %t:\n%s", n, warning, minutes, never, s.Log())
		}
	}
	logged(asOne, false)
	logged(program, true)
	for i := range 4 { // an app's back end
		if body := tryLogin(t, s, byName, fmt.Sprint("nobody", i), "wrong"); body != loginRefused {
			t.Errorf("got %s, want a refused login", body)
		}
	}
	logged(program, false)
	for _, secret := range []string{"203.0.113", "quiet-otter", "user1", "nobody"} {
		for line := range strings.Lines(s.Log()) {
			if strings.Contains(line, secret) && (strings.Contains(line, asOne) || strings.Contains(line, program)) {
				t.Errorf("got %s in a warning, want no name: %s", secret, line)
			}
		}
	}

	doctor := exec.Command(servertest.Binary(t), "doctor", "--data-dir", dir)
	doctor.Dir, doctor.Env = filepath.Dir(dir), append(os.Environ(), servertest.Public...)
	out, err := doctor.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "PROBLEM  addresses: "+says+"\n         "+remedy+"\n") {
		t.Errorf("doctor: got %v\n%s\nwant the problem %q and its remedy", err, out, says)
	}
}

// TestSecurityNamelessProxy: a trusted program on this machine that names no client is exempt from rate limits,
// until a request shows that it was forwarded. The log reports both.
func TestSecurityNamelessProxy(t *testing.T) {
	t.Parallel()
	env := slices.Concat(servertest.Public, []string{behindProxy, "ACCOUNTD_LIMITS_LOGINS_PER_IP=2/h"})
	s := servertest.Start(t, filepath.Join(t.TempDir(), "data"), env...)
	if strings.Contains(s.Log(), "server.trusted_proxies") {
		t.Errorf("the start: got\n%s\nwant no word of server.trusted_proxies", s.Log())
	}
	for i := range 4 {
		if body := tryLogin(t, s, byName, fmt.Sprint("nobody", i), "wrong"); body != loginRefused {
			t.Errorf("got %s, want a refused login", body)
		}
	}
	for i, head := range []string{
		"HTTP/1.0", "HTTP/1.1\nX-Real-IP: 203.0.113.1", "HTTP/1.1\nForwarded: for=203.0.113.2",
		"HTTP/1.1\nX-Forwarded-For: garbage", "HTTP/1.1\nX-Forwarded-For: 127.0.0.9",
	} {
		body := `{"query":"mutation { tokenAuth(username: \"nobody\", password: \"wrong\") { success } }"}`
		head := "POST /graphql " + head + "\nHost: localhost\nContent-Type: application/json\nContent-Length: "
		got := sendRaw(t, s, head+strconv.Itoa(len(body)), body)
		if throttledAnswer(t, got.Status, got.Header, got.Body) != (i >= 2) {
			t.Errorf("login %d, %q: got status %d, %s; want throttled %t", i+1, head, got.Status, got.Body, i >= 2)
		}
	}
	for _, warning := range []string{
		"limits per network do not hold, because a trusted proxy names no client: let it send",
		"a reverse proxy on this machine names no client, or is not in server.trusted_proxies: limits",
	} {
		if !strings.Contains(s.Log(), warning) {
			t.Errorf("got the log\n%s\nwant %q in it", s.Log(), warning)
		}
	}
}
