//go:build unix

package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"accountd/accounts"
	"accountd/internal/config"
)

// BenchmarkRequest is whole requests on one keep-alive connection, beside a bare net/http handler of the same sizes.
// The client only writes and reads bytes, so what is allocated is the server's; it and the kernel are in the CPU
// time, for all alike.
//
//	go test -run '^$' -bench Request -benchmem ./internal/cli
func BenchmarkRequest(b *testing.B) {
	b.Chdir(b.TempDir())
	c, err := config.Load("", nil, config.Overrides{Listen: "127.0.0.1:0", DataDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	a := &app{Env: Env{Stderr: os.Stderr, Now: time.Now}, ctx: b.Context()}
	log := a.log(c)
	listener := listen(b)
	c.Bound(listener.Addr())
	h, err := a.open(b.Context(), c, log)
	if err != nil {
		b.Fatal(err)
	}
	srv, err := newServer(h, time.Now, log)
	if err != nil {
		b.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(listener) }()
	b.Cleanup(func() {
		if err := srv.Shutdown(context.Background()); err != nil {
			b.Error(err)
		}
		if err := <-served; err != nil {
			b.Error(err)
		}
		if err := a.end(nil); err != nil {
			b.Error(err)
		}
	})
	token := login(b, h)
	for i := range 30 {
		name := fmt.Sprintf("user%02d", i)
		if _, err := h.service.AddUser(b.Context(),
			accounts.AddUserInput{Username: name, Email: name + "@example.com", NoPassword: true}); err != nil {
			b.Fatal(err)
		}
	}

	page, err := h.service.Users(b.Context(), accounts.UserQuery{Limit: 2})
	if err != nil {
		b.Fatal(err)
	}
	after := page.Users[1].Cursor()

	const me = `query Me { me { id username email verified } }`
	const users = `query U($after: String, $part: String) { users(first: 20, after: $after, username_Icontains: ` +
		`$part) {` +
		` edges { node { id username email verified } } pageInfo { hasNextPage endCursor } } }`
	const verify = `mutation V($t: String) { verifyToken(token: $t) { success payload } }`
	for _, r := range []struct {
		name, query, variables, header, want string
	}{
		{"me", me, "null", "Authorization: JWT " + token + "\r\n", `"username":"ada"`},
		{"verifyToken", verify, `{"t":"` + token + `"}`, "", `"success":true`},
		{"users", users, "null", "Authorization: JWT " + token + "\r\n", `"username":"user18"`},
		{"users/after", users, `{"after":"` + after + `"}`, "Authorization: JWT " + token + "\r\n",
			`"username":"user20"`},
		{"users/part", users, `{"part":"user"}`, "Authorization: JWT " + token + "\r\n", `"username":"user19"`},
		{"nobody", me, "null", "", `{"data":{"me":null}}`},
	} {
		addr := listener.Addr().String()
		body, err := json.Marshal(map[string]any{"query": r.query, "variables": json.RawMessage(r.variables)})
		if err != nil {
			b.Fatal(err)
		}
		request := fmt.Appendf(nil,
			"POST /graphql HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nContent-Type: "+
				"application/json\r\n%sContent-Length: %d\r\n\r\n%s", addr, r.header, len(body), body)
		var answer []byte
		b.Run(r.name, func(b *testing.B) { answer = drive(b, addr, request, r.want) })
		b.Run(r.name+"/bare", func(b *testing.B) { drive(b, bareServer(b, answer), request, r.want) })
	}
}

func listen(b *testing.B) net.Listener {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	return l
}

// login makes an account that may ask for users and gives its access token.
func login(b *testing.B, h *instance) string {
	b.Helper()
	ctx, name, password := b.Context(), "ada", "quiet-otter-42"
	if _, err := h.service.AddUser(ctx,
		accounts.AddUserInput{Username: name, Email: "ada@example.com", Password: password, Verified: true,
			Staff: true}); err != nil {
		b.Fatal(err)
	}
	s, err := h.service.Login(ctx, accounts.LoginInput{Username: &name, Password: password})
	if err != nil {
		b.Fatal(err)
	}
	return s.Token
}

// bareServer is net/http with nothing in it: it reads the body and sends answer.
func bareServer(b *testing.B, answer []byte) (addr string) {
	b.Helper()
	l := listen(b)
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // a client that goes away is not this server's business
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(answer)
		}),
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	go func() { _ = srv.Serve(l) }() // until it is closed
	b.Cleanup(func() { _ = srv.Close() })
	return l.Addr().String()
}

// drive sends request b.N times, each after the answer to the one before, and returns the body of the first, which
// has to contain want. All answers are as long as the first.
func drive(b *testing.B, addr string, request []byte, want string) (body []byte) {
	b.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	var length int
	for range 2 { // once for what the first request sets up
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		var raw bytes.Buffer
		resp, err := http.ReadResponse(bufio.NewReader(io.TeeReader(conn, &raw)), nil)
		if err != nil {
			b.Fatal(err)
		}
		if body, err = io.ReadAll(resp.Body); err != nil || !bytes.Contains(body, []byte(want)) {
			b.Fatalf("got %d %s, %v; want %s in the answer", resp.StatusCode, body, err, want)
		}
		length = raw.Len()
	}
	answer := make([]byte, length)
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime(b)
	for range b.N {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(conn, answer); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
	b.StopTimer()
	if !bytes.Contains(answer, []byte(want)) {
		b.Fatalf("the last answer: got %s, want %s in it", answer, want)
	}
	return body
}

// cpuTime returns the CPU time that this process has used.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
