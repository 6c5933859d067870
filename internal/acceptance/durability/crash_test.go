//go:build unix

// Package durability_test tests files of the built program: crashes, full and failing disks, backup, restore,
// migrations, lost keys and a lost WAL.
//
// Tests of failing system calls need strace and are skipped without it.
package durability_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/mail"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"accountd/internal/servertest"
)

// TestKill9 kills the server during 200 registrations, at different moments. After the restart every acknowledged
// user can log in and has exactly one mail. A user that was not acknowledged has one mail or does not exist.
func TestKill9(t *testing.T) {
	t.Parallel()
	for _, killAfter := range []int64{1, 40, 97, 160} {
		t.Run(fmt.Sprintf("after %d answers", killAfter), func(t *testing.T) {
			dataDir := filepath.Join(t.TempDir(), "data")
			server := servertest.Cheap(t, dataDir)
			acknowledged := registerUntilKilled(server, 200, killAfter)
			if int64(len(acknowledged)) < killAfter {
				t.Fatalf("%d registrations were acknowledged, want at least %d\n%s", len(acknowledged), killAfter,
					server.Log())
			}

			server = servertest.Cheap(t, dataDir)
			mails := mailsByRecipient(t, filepath.Join(dataDir, "spool", "new"))
			for i := range 200 {
				name := fmt.Sprintf("user%03d", i)
				session, err := server.Login(http.DefaultClient, name, "quiet-otter-42")
				if err != nil {
					t.Fatal(err)
				}
				if acknowledged[name] && !session.Success {
					t.Errorf("%s: got %s, want a login of an acknowledged account", name, session.Errors)
				}
				want := 0
				if session.Success {
					want = 1
				}
				if got := mails[name+"@example.com"]; got != want {
					t.Errorf("%s has %d mails, want %d (acknowledged: %t)", name, got, want, acknowledged[name])
				}
			}
			if left, err := filepath.Glob(filepath.Join(dataDir, "spool", "tmp", "*")); err != nil || len(left) > 0 {
				t.Errorf("spool/tmp: got %v left, %v; want nothing", left, err)
			}
			if err := server.Stop(); err != nil {
				t.Errorf("SIGTERM: got %v, want no error\n%s", err, server.Log())
			}
		})
	}
}

// registerUntilKilled registers n users from eight clients, kills the server after killAfter acknowledgements, and
// returns the names of all acknowledged users.
func registerUntilKilled(server *servertest.Server, n int, killAfter int64) map[string]bool {
	var (
		next, count atomic.Int64
		mu          sync.Mutex
		names       = map[string]bool{}
		wg          sync.WaitGroup
	)
	for range 8 {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				name := fmt.Sprintf("user%03d", i)
				session, err := server.Register(http.DefaultClient, name, "quiet-otter-42")
				if err != nil || !session.Success {
					return // the server is dead: nothing more will be acknowledged
				}
				mu.Lock()
				names[name] = true
				mu.Unlock()
				if count.Add(1) == killAfter {
					server.Kill()
				}
			}
		})
	}
	wg.Wait()
	server.Kill()
	return names
}

func mailsByRecipient(t *testing.T, dir string) map[string]int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.eml"))
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		message, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatalf("%s: got %v, want no error", file, err)
		}
		to, err := mail.ParseAddress(message.Header.Get("To"))
		if err != nil {
			t.Fatalf("%s: got %v, want no error", file, err)
		}
		counts[to.Address]++
	}
	return counts
}
