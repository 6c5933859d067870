//go:build linux

package web_test

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"accountd/internal/servertest"
)

// slowConnections opens n connections to the server, each of which sends half a header, and returns how many there are:
// fewer where the machine does not give this process so many files.
func slowConnections(t *testing.T, server *servertest.Server, n int) []net.Conn {
	t.Helper()
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	if most := int(files.Cur) - 200; n > most {
		t.Logf("%d connections: this process may have %d files", most, files.Cur)
		n = most
	}
	var mu sync.Mutex
	var conns []net.Conn // guarded by mu
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for range (n + 7 - worker) / 8 {
				conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := fmt.Fprint(conn, "POST /graphql HTTP/1.1\r\nHost: localhost\r\nX-Slow: "); err != nil {
					t.Error(err)
				}
				mu.Lock()
				conns = append(conns, conn)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.Cleanup(func() {
		for _, conn := range conns {
			_ = conn.Close()
		}
	})
	return conns
}

// TestSecuritySlowClients: with 2,000 clients that never end their header, as many as may connect or more than may, new
// clients are answered, and the slow ones are cut off.
func TestSecuritySlowClients(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]string{"below the limit": "4096", "beyond the limit": "100"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := servertest.New(t, "ACCOUNTD_LIMITS_CONNECTIONS="+limit)
			conns := slowConnections(t, server, 2000)
			for _, target := range []string{"/livez", "/readyz"} {
				begun := time.Now()
				if got := server.Send(t, "GET", target, "", "Connection", "close"); got.Status != 200 {
					t.Errorf("%s: got status %d, want 200", target, got.Status)
				}
				t.Logf("%s with %d slow connections: %s", target, len(conns), time.Since(begun))
			}
			if got := server.Post(t, "/graphql", "{ me { id } }", "", "Connection", "close"); got.Status != 200 {
				t.Errorf("the API: got status %d, want 200", got.Status)
			}
			for _, conn := range conns {
				if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
					t.Fatal(err)
				}
				if _, err := conn.Read(make([]byte, 1)); err == nil {
					continue // the beginning of an answer that says so
				} else if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
					t.Fatal("got an open connection of a client that does not end its header, want it closed")
				}
			}
		})
	}
}

// TestSecurityHeaderSize: a header may have 16 KB.
func TestSecurityHeaderSize(t *testing.T) {
	t.Parallel()
	server := servertest.New(t)
	for size, want := range map[int]int{15 << 10: 200, 17 << 10: 431, 1 << 20: 431} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			// the server may hang up before
			_, _ = fmt.Fprintf(conn,
				"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Long: %s\r\n\r\n",
				strings.Repeat("x", size))
		}()
		answer := make([]byte, 12)
		if _, err := conn.Read(answer); err != nil || string(answer) != fmt.Sprintf("HTTP/1.1 %d", want) {
			t.Errorf("%d bytes: got %q, %v; want status %d", size, answer, err, want)
		}
		conn.Close()
	}
}
