//go:build unix

package documents_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"accountd/internal/servertest"
)

// TestProxies puts nginx and Caddy, as docs/integrating.md configures them, between clients and an app. The test
// replaces only addresses and ports.
func TestProxies(t *testing.T) {
	t.Parallel()
	blocks := integrating(t)
	for _, proxy := range []struct {
		name, listen string
		config       func(dir string) string // around the document's
		args         []string
	}{
		{"nginx", "listen 80;", nginxConfig, nginxArgs},
		{"caddy", "app.example.com {", func(string) string { return "{\n\tadmin off\n\tdefault_bind 127.0.0.1\n}\n%s" },
			[]string{"run", "--adapter", "caddyfile", "--config"}},
	} {
		t.Run(proxy.name, func(t *testing.T) {
			binary, err := exec.LookPath(proxy.name)
			if err != nil {
				t.Skipf("needs %s: %v", proxy.name, err)
			}
			server := servertest.New(t, "ACCOUNTD_SERVER_ALLOWED_HOSTS=app.example.com",
				"ACCOUNTD_SERVER_TRUSTED_PROXIES=127.0.0.1", "ACCOUNTD_TOKENS_COOKIES_ENABLED=true",
				"ACCOUNTD_TOKENS_COOKIES_SECURE=true")
			app := httptest.NewServer(http.HandlerFunc(echoRequest))
			defer app.Close()
			port, dir := servertest.FreePort(t), t.TempDir()
			listen := map[string]string{"nginx": "listen 127.0.0.1:" + port + ";", "caddy": "http://app.example.com:" +
				port +
				" {"}[proxy.name]
			text := blocks[proxy.name]
			for _, place := range [][2]string{
				{proxy.listen, listen}, {"127.0.0.1:8080", server.URL[len("http://"):]},
				{"127.0.0.1:3000", app.Listener.Addr().String()},
			} {
				if !strings.Contains(text, place[0]) {
					t.Fatalf("the document: got\n%s\nwant %s in it", text, place[0])
				}
				text = strings.ReplaceAll(text, place[0], place[1])
			}
			startProxy(t, append([]string{binary}, proxy.args...), dir, port, fmt.Sprintf(proxy.config(dir), text))
			throughProxy(t, server, "http://127.0.0.1:"+port)
			if hidden := browse(t, "http://127.0.0.1:"+port, "GET", "/_accountd", ""); proxy.name == "nginx" &&
				hidden.status != 404 {
				t.Errorf("/_accountd: got %+v, want 404", hidden)
			}
		})
	}
}

var nginxArgs = []string{"-e", "stderr", "-c"}

// nginxConfig surrounds a server block (%s) so that nginx runs in the foreground and writes only below dir.
func nginxConfig(dir string) string {
	temp := ""
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temp += kind + "_temp_path " + dir + "/" + kind + "; "
	}
	return "daemon off; master_process off; pid " + dir + "/pid; error_log stderr; events {}\n" +
		"http { access_log off; " + temp + "\n%s}\n"
}

// startProxy appends a configuration file to command, runs it, and returns when the proxy listens on port.
func startProxy(t *testing.T, command []string, dir, port, config string) {
	t.Helper()
	file := filepath.Join(dir, "config")
	write(t, file, config)
	cmd := exec.Command(command[0], append(command[1:], file)...)
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // how it ends is its own affair
		log.Close()
		if t.Failed() {
			said, _ := os.ReadFile(log.Name())
			t.Logf("%s: %s", command[0], said)
		}
	})
	awaitPort(t, "127.0.0.1:"+port)
}

// TestBareProxy: behind an nginx that is not configured as trusted, a server without public settings shows neither
// mails nor GraphiQL, and rate limits count its requests.
func TestBareProxy(t *testing.T) {
	t.Parallel()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		t.Skipf("needs nginx: %v", err)
	}
	env := append([]string{"ACCOUNTD_LIMITS_REGISTRATIONS_PER_IP=2/h"}, servertest.CheapHashing...)
	server := servertest.Start(t, filepath.Join(t.TempDir(), "data"), env...)
	port, dir := servertest.FreePort(t), t.TempDir()
	startProxy(t, append([]string{nginx}, nginxArgs...), dir, port, fmt.Sprintf(nginxConfig(dir),
		"server { listen 127.0.0.1:"+port+"; location / { proxy_pass "+server.URL+"; } }\n"))
	stranger := &servertest.Server{URL: "http://127.0.0.1:" + port}
	for _, name := range []string{"ada", "bob"} {
		session, err := stranger.Register(http.DefaultClient, name, "quiet-otter-42")
		if err != nil || !session.Success {
			t.Fatalf("got %+v, %v; want success", session, err)
		}
	}
	if session, err := stranger.Register(http.DefaultClient, "cyd", "quiet-otter-42"); err == nil {
		t.Errorf("the third registration of two: got %+v, want throttled", session)
	}
	shows := func(r servertest.Reply) bool {
		return strings.Contains(r.Body, "ada@example.com") || strings.Contains(r.Body, "/graphiql/")
	}
	for _, page := range []string{"/dev/mail", "/dev/mail.json", "/dev/mail/x.eml", "/", "/?endpoint=relay",
		"/graphiql/x.js"} {
		got := stranger.Send(t, "GET", page, "", "Accept", "text/html")
		if got.Status != 403 || shows(got) {
			t.Errorf("%s by nginx: got status %d, %.200s; want 403", page, got.Status, got.Body)
		}
	}
	if got := server.Send(t, "GET", "/dev/mail.json", ""); got.Status != 200 || !shows(got) {
		t.Errorf("without nginx: got status %d, %.200s; want 200 and the mails", got.Status, got.Body)
	}
}

// seen is what the app behind a proxy gets of a request.
type seen struct {
	Method, Path, Body string
	Account            map[string][]string // headers of the account, by names as frameworks read them
}

// echoRequest is the app: it answers with what it has got of the request.
func echoRequest(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s := seen{r.Method, r.URL.RequestURI(), string(body), map[string][]string{}}
	for name, values := range r.Header {
		if name := strings.ToUpper(strings.ReplaceAll(name, "-", "_")); strings.HasPrefix(name, "X_ACCOUNTD_") {
			s.Account[name] = append(s.Account[name], values...)
		}
	}
	w.Header().Set("X-App", "yes")
	_ = json.NewEncoder(w).Encode(s)
}

// reply is the response to a client of the proxy.
type reply struct {
	status  int
	fromApp bool
	seen    seen
	header  http.Header
}

// browse sends a request through a proxy; headers are lines.
func browse(t *testing.T, proxy, method, path, headers string) reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	body := map[string]string{"POST": "some=body"}[method]
	req, err := http.NewRequestWithContext(ctx, method, proxy+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "app.example.com"
	for line := range strings.Lines(headers) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		req.Header[name] = append(req.Header[name], value) // as it is written
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r := reply{status: resp.StatusCode, fromApp: resp.Header.Get("X-App") != "", header: resp.Header}
	if r.fromApp && method != "HEAD" {
		if err := json.NewDecoder(resp.Body).Decode(&r.seen); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func throughProxy(t *testing.T, server *servertest.Server, proxy string) {
	client := &http.Client{Transport: hostTransport{}}
	accountd := &servertest.Server{URL: proxy}
	answer, err := accountd.Ask(client, "",
		`mutation { register(email: "zofie@example.com", username: "Žofie", password1: "quiet-otter-42", password2:
			"quiet-otter-42") {
		success token refreshToken } }`, nil)
	if err != nil {
		t.Fatal(err)
	}
	var session servertest.Session
	if err := answer.Field("register", &session); err != nil || !session.Success {
		t.Fatalf("got %+v, %v; want success", session, err)
	}
	command(t, nil, "user", "set", "1", "--verified", "--staff", "--data-dir", server.DataDir)
	header, cookie := "Authorization: Bearer "+session.Token+"\n", "Cookie: theme=dark; __Host-JWT="+session.Token+"\n"
	const cross, ours = "Sec-Fetch-Site: cross-site\n", "Sec-Fetch-Site: same-origin\nOrigin: https://app.example.com\n"
	zofie := map[string][]string{"X_ACCOUNTD_USER": {"1"}, "X_ACCOUNTD_USERNAME": {"%C5%BDofie"},
		"X_ACCOUNTD_EMAIL":    {"zofie@example.com"},
		"X_ACCOUNTD_VERIFIED": {"true"}, "X_ACCOUNTD_STAFF": {"true"}}
	spoofed := "X-Accountd-User: 7\nx-accountd-username: eve\nX_Accountd_Staff: true\nX-Accountd_User: " +
		"7\nX-ACCOUNTD-USER: 8\n"
	check := func(name, method, headers string, through bool) {
		t.Helper()
		got := browse(t, proxy, method, "/a/b?c=d", headers)
		if !through {
			if got.status != 401 || got.fromApp || !slices.Equal(got.header.Values("WWW-Authenticate"),
				[]string{"Bearer"}) {
				t.Errorf("%s: %+v, want 401", name, got)
			}
			return
		}
		want := seen{method, "/a/b?c=d", map[string]string{"POST": "some=body"}[method], zofie}
		if method == "HEAD" {
			want = seen{}
		}
		if diff := cmp.Diff(want, got.seen); diff != "" || got.status != 200 || !got.fromApp {
			t.Errorf("%s: status %d (-want +got):\n%s", name, got.status, diff)
		}
		if leaked := slices.Collect(maps.Keys(got.header)); slices.ContainsFunc(leaked,
			func(h string) bool { return strings.HasPrefix(h, "X-Accountd") }) {
			t.Errorf("%s: got the headers %q at the client, want none", name, leaked)
		}
	}
	check("nobody", "GET", "", false)
	check("header", "GET", header, true)
	check("header, HEAD", "HEAD", header, true)
	check("header, with a body", "POST", header, true)
	check("header, from another origin", "POST", header+cross+"Origin: https://evil.example\n", true)
	check("bad token", "GET", "Authorization: Bearer "+session.Token+"x\n", false)
	check("spoofed", "GET", spoofed, false)
	check("spoofed beside a token", "GET", header+spoofed, true)
	check("cookie", "GET", cookie, true)
	check("cookie, own page", "POST", cookie+ours, true)
	check("spoofed beside a cookie", "POST", cookie+ours+spoofed, true)
	check("cookie, typed address", "GET", cookie+"Sec-Fetch-Site: none\n", true)
	check("cookie, link from elsewhere", "GET", cookie+cross, true)
	check("cookie, form of elsewhere", "POST", cookie+cross+"Origin: https://evil.example\n", false)
	check("cookie, form of elsewhere without Origin", "POST", cookie+cross, false)
	check("cookie, elsewhere says it is a GET", "POST", cookie+cross+"X-Forwarded-Method: GET\n", false)
	check("cookie, script of elsewhere", "GET", cookie+cross+"Origin: https://evil.example\n", false)
	check("refresh token", "GET", "Cookie: __Host-JWT="+session.RefreshToken+"\n", false)

	if answer, err = accountd.Ask(client, "",
		`mutation R($token: String!) { revokeToken(refreshToken: $token) { success } }`,
		map[string]any{"token": session.RefreshToken}); err != nil ||
		string(answer.Data["revokeToken"]) != `{"success":true}` {
		t.Fatalf("revokeToken: got %+v, %v; want success", answer, err)
	}
	check("header after logging out", "GET", header, false)
	check("cookie after logging out", "GET", cookie, false)
}

// hostTransport sets the Host that the proxies serve.
type hostTransport struct{}

func (hostTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Host = "app.example.com"
	return http.DefaultTransport.RoundTrip(r)
}

// awaitPort waits until something listens on addr; proxies do not report that they are ready.
func awaitPort(t *testing.T, addr string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-t.Context().Done():
		}
	}
	t.Fatalf("%s: got no listener after half a minute, want one", addr)
}
