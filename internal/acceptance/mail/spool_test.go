//go:build linux

package mail_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"accountd/internal/servertest"
)

// TestSecuritySpoolUnwritable: while the spool cannot be written, the server is not ready, and its responses are the
// usual ones for every address. Once it can be written, the mails appear.
func TestSecuritySpoolUnwritable(t *testing.T) {
	t.Parallel()
	root := os.Geteuid() == 0
	t.Run("mode 000", func(t *testing.T) {
		var by []string
		if root { // who may write anywhere, unless told otherwise
			if _, err := exec.LookPath("setpriv"); err != nil {
				t.Skip("root can write to any directory, and there is no setpriv to take that away")
			}
			by = []string{"setpriv", "--bounding-set=-all", "--inh-caps=-all"}
		}
		spool := filepath.Join(t.TempDir(), "spool")
		unwritable(t, by, spool, func() error { return os.Chmod(spool, 0) },
			func() error { return os.Chmod(spool, 0o700) })
	})
	t.Run("full", func(t *testing.T) {
		if !root {
			t.Skip("only root can mount a file system that is small enough to fill")
		}
		spool := t.TempDir()
		if err := syscall.Mount("tmpfs", spool, "tmpfs", 0, "size=256k,mode=0700"); err != nil {
			t.Skipf("no file system can be mounted here: %v", err)
		}
		t.Cleanup(func() {
			if err := syscall.Unmount(spool, syscall.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
		filler := filepath.Join(spool, "filler")
		unwritable(t, nil, spool, func() error { return fill(filler) }, func() error {
			left, err := os.ReadDir(filepath.Join(spool, "tmp"))
			if len(left) != 0 {
				t.Errorf("tmp: got %v left, want nothing", left)
			}
			return errors.Join(err, os.Remove(filler))
		})
	})
}

// fill writes a file until the file system is full.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		if _, err := f.Write(make([]byte, 512)); errors.Is(err, syscall.ENOSPC) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func unwritable(t *testing.T, by []string, spool string, spoil, mend func() error) {
	t.Helper()
	server := servertest.StartProgram(t, append(by, servertest.Binary(t)), filepath.Join(t.TempDir(), "data"),
		append([]string{"ACCOUNTD_EMAIL_SPOOL_DIR=" + spool}, servertest.CheapHashing...)...)
	session, err := server.Register(http.DefaultClient, "ada", mailSpell)
	if err != nil || !session.Success {
		t.Fatalf("got %+v, %v; want success", session, err)
	}
	if got := len(servertest.MailsTo(t, spool, "ada@example.com")); got != 1 ||
		status(t, server, "/readyz") != http.StatusOK {
		t.Fatalf("at first: got %d mails, want 1 and a server that is ready\n%s", got, server.Log())
	}
	if err := spoil(); err != nil {
		t.Fatal(err)
	}
	ask := func(address string) string {
		resp, err := http.Post(server.URL+"/graphql", "application/json", strings.NewReader(
			fmt.Sprintf(`{"query":"mutation { sendPasswordResetEmail(email: \"%s\") { success errors } }"}`, address)))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(resp.StatusCode, " ", string(raw))
	}
	const success = `200 {"data":{"sendPasswordResetEmail":{"success":true,"errors":null}}}`
	for _, address := range []string{"ada@example.com", "nobody@example.com"} {
		if got := strings.TrimSpace(ask(address)); got != success {
			t.Errorf("%s: got %s, want %s", address, got, success)
		}
	}
	session, err = server.Register(http.DefaultClient, "eve", mailSpell)
	if err != nil || !session.Success {
		t.Errorf("got %+v, %v; want success", session, err)
	}
	if got := status(t, server, "/readyz"); got != http.StatusServiceUnavailable {
		t.Errorf("readyz: got %d, want 503", got)
	}
	if got := status(t, server, "/livez"); got != http.StatusOK {
		t.Errorf("livez: got %d, want 200", got)
	}
	if !strings.Contains(server.Log(), "mail cannot be written to the spool") {
		t.Errorf("got the log\n%s\nwant a line about the spool", server.Log())
	}
	if err := mend(); err != nil {
		t.Fatal(err)
	}
	server.Await(t, func() bool { return status(t, server, "/readyz") == http.StatusOK })
	if ada, eve, nobody := len(servertest.MailsTo(t, spool, "ada@example.com")),
		len(servertest.MailsTo(t, spool, "eve@example.com")),
		len(servertest.MailsTo(t, spool, "nobody@example.com")); ada != 2 || eve != 1 || nobody != 0 {
		t.Errorf("got %d mails to ada, %d to eve, %d to nobody; want 2, 1, 0\n%s", ada, eve, nobody, server.Log())
	}
}

// unusable are ways to make a directory unusable for a server: the command that starts it, and a function that
// undoes the change. They skip the test where the machine does not allow them.
var unusable = map[string]func(t *testing.T, spool string) (by []string, mend func() error){
	"read-only": func(t *testing.T, spool string) ([]string, func() error) {
		if err := syscall.Mount("tmpfs", spool, "tmpfs", syscall.MS_RDONLY, "mode=0700"); err != nil {
			t.Skipf("no file system can be mounted here: %v", err)
		}
		t.Cleanup(func() {
			if err := syscall.Unmount(spool, syscall.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
		return nil, func() error { return syscall.Mount("tmpfs", spool, "tmpfs", syscall.MS_REMOUNT, "") }
	},
	"immutable": func(t *testing.T, spool string) ([]string, func() error) {
		if out, err := exec.Command("chattr", "+i", spool).CombinedOutput(); err != nil {
			t.Skipf("no directory can be made immutable here: %v, %s", err, out)
		}
		mend := exec.Command("chattr", "-i", spool)
		t.Cleanup(func() {
			if mend.ProcessState == nil { // a directory that stays as it is cannot be removed
				_ = mend.Run()
			}
		})
		return nil, mend.Run
	},
	"of another user": func(t *testing.T, spool string) ([]string, func() error) {
		if _, err := exec.LookPath("setpriv"); err != nil {
			t.Skip("root can write to any directory, and there is no setpriv to take that away")
		}
		if err := os.Chown(spool, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		return []string{"setpriv", "--bounding-set=-all", "--inh-caps=-all"},
			func() error { return os.Chown(spool, 0, 0) }
	},
	"a file in it": func(t *testing.T, spool string) ([]string, func() error) {
		file := filepath.Join(spool, "new")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return nil, func() error { return os.Remove(file) }
	},
}

// TestSecuritySpoolUnusableAtStart: a server starts with an unusable spool, is not ready, and serves requests. After
// a kill and a restart it still has the mails, and publishes them once the spool is usable.
func TestSecuritySpoolUnusableAtStart(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can take a directory from its owner: a start over one that cannot be used is not tried")
	}
	for name, spoil := range unusable {
		t.Run(name, func(t *testing.T) {
			spool, dataDir := t.TempDir(), filepath.Join(t.TempDir(), "data")
			by, mend := spoil(t, spool)
			// A mail server that nobody can reach: the relay runs, and leaves the mails where they are.
			environ := append([]string{"ACCOUNTD_EMAIL_SPOOL_DIR=" + spool, "ACCOUNTD_EMAIL_SMTP_HOST=127.0.0.1",
				"ACCOUNTD_EMAIL_SMTP_PORT=1", "ACCOUNTD_EMAIL_SMTP_TLS=none"}, servertest.CheapHashing...)
			people := []string{"ada", "bob"}
			var server *servertest.Server
			for _, name := range people {
				server = servertest.StartProgram(t, append(by, servertest.Binary(t)), dataDir, environ...)
				ready, live := status(t, server, "/readyz"), status(t, server, "/livez")
				if ready != http.StatusServiceUnavailable || live != http.StatusOK {
					t.Fatalf("got readyz %d, livez %d; want 503, 200\n%s", ready, live, server.Log())
				}
				if !strings.Contains(server.Log(), "mail cannot be written to the spool") {
					t.Errorf("got the log\n%s\nwant a line about the spool", server.Log())
				}
				if session, err := server.Register(http.DefaultClient, name, mailSpell); err != nil ||
					!session.Success {
					t.Fatalf("got %+v, %v; want success", session, err)
				}
				if name == "ada" {
					server.Kill()
				}
			}
			if err := mend(); err != nil {
				t.Fatal(err)
			}
			server.Await(t, func() bool { return status(t, server, "/readyz") == http.StatusOK })
			for _, name := range people {
				if n := len(servertest.MailsTo(t, spool, name+"@example.com")); n != 1 {
					t.Errorf("%s: got %d mails, want 1\n%s", name, n, server.Log())
				}
			}
		})
	}
}

func status(t *testing.T, server *servertest.Server, path string) int {
	t.Helper()
	resp, err := http.Get(server.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// TestSecuritySpoolWhole: a file in new is complete from the moment it appears.
func TestSecuritySpoolWhole(t *testing.T) {
	t.Parallel()
	server := servertest.New(t)
	published := filepath.Join(server.DataDir, "spool", "new")
	const clients, each = 4, 50
	var registering sync.WaitGroup
	for client := range clients {
		registering.Go(func() {
			for i := range each {
				if session, err := server.Register(http.DefaultClient, fmt.Sprintf("user%d-%d", client, i),
					mailSpell); err != nil || !session.Success {
					t.Errorf("got %+v, %v; want success", session, err)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		registering.Wait()
		close(done)
	}()
	seen := map[string]bool{}
	for ended := false; !ended; {
		select {
		case <-done:
			ended = true // and look once more
		default:
		}
		dir, err := os.Open(published)
		if err != nil {
			t.Fatal(err)
		}
		names, err := dir.Readdirnames(-1)
		if err := errors.Join(err, dir.Close()); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if seen[name] {
				continue
			}
			seen[name] = true
			raw, err := os.ReadFile(filepath.Join(published, name))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasSuffix(raw, []byte("\r\n--accountd-"+strings.TrimSuffix(name, ".eml")+"--\r\n")) {
				t.Errorf("%s: got %d bytes without the last boundary, want a whole mail", name, len(raw))
			}
		}
	}
	if len(seen) != clients*each {
		t.Errorf("got %d mails, want %d", len(seen), clients*each)
	}
}
