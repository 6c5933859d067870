//go:build unix

package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"accountd/internal/servertest"
)

// refuse starts a server that has to exit with 1 before it answers, and returns its output.
func refuse(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, servertest.Binary(t), append([]string{"serve"}, args...)...)
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("%q: got %v, want exit code 1\n%s", args, err, out)
	}
	return string(out)
}

// TestLostKeys: a server whose key ring is gone and not needed starts with a new one, and reports what ends.
func TestLostKeys(t *testing.T) {
	t.Parallel()
	dataDir := filepath.Join(t.TempDir(), "data")
	const warning = "the key file was missing although there are accounts"
	for _, lost := range []bool{false, true} {
		s := servertest.Start(t, dataDir, servertest.CheapHashing...)
		if strings.Contains(s.Log(), warning) != lost {
			t.Errorf("lost %t: got the log\n%s\nwant a warning only for a lost file", lost, s.Log())
		}
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dataDir, "keys.json")); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReady: the printed block names the pages that are served.
func TestReady(t *testing.T) {
	t.Parallel()
	dataDir := filepath.Join(t.TempDir(), "data")
	s := servertest.Start(t, dataDir, servertest.CheapHashing...)
	if _, err := s.Register(http.DefaultClient, "ada", "quiet-otter-42"); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	block := fmt.Sprintf("accountd is ready\n\n  API       %[1]s/graphql\n  Relay     %[1]s/relay\n  GraphiQL  "+
		"%[1]s/\n  Mail      %[1]s/dev/mail\n  Spool     %[2]s/spool/new\n\n", s.URL, dataDir)
	if !strings.Contains(s.Log(), block) {
		t.Errorf("got the log\n%s\nwant it to have\n%s", s.Log(), block)
	}
	for path, mode := range map[string]os.FileMode{"": 0o700, "accountd.db": 0o600, "keys.json": 0o600,
		"accountd.lock": 0o600, "spool": 0o700, "spool/new": 0o700} {
		if info, err := os.Stat(filepath.Join(dataDir, path)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%q: %v, %v, want %v", path, info, err, mode)
		}
	}
	mails, err := filepath.Glob(filepath.Join(dataDir, "spool", "new", "*.eml"))
	if err != nil || len(mails) != 1 {
		t.Fatalf("mails %v, %v, want 1", mails, err)
	}
	if info, err := os.Stat(mails[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a mail: %v, %v, want 0o600", info, err)
	}
}

// TestMailLink: GraphiQL links to the mails where these can be read, and is there without them too.
func TestMailLink(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		env    []string
		status int
		linked bool
	}{
		{"this machine only", nil, http.StatusOK, true},
		{"a proxy may stand in front",
			[]string{"ACCOUNTD_SERVER_TRUSTED_PROXIES=127.0.0.1", "ACCOUNTD_GRAPHQL_GRAPHIQL=on"},
			http.StatusNotFound, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := servertest.Start(t, filepath.Join(t.TempDir(), "data"),
				append(test.env, servertest.CheapHashing...)...)
			for path, want := range map[string]int{"/": http.StatusOK, "/dev/mail": test.status} {
				resp, err := http.Get(s.URL + path)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != want {
					t.Fatalf("%s: status %d, %v, want %v", path, resp.StatusCode, err, want)
				}
				if path == "/" && bytes.Contains(body, []byte(`data-mail="/dev/mail"`)) != test.linked {
					t.Errorf("got a link to mails: %t, want %t", !test.linked, test.linked)
				}
			}
		})
	}
}

// TestOneServerPerDirectory: a second server names the process of the first one. Other commands work while the server
// runs.
func TestOneServerPerDirectory(t *testing.T) {
	t.Parallel()
	dataDir := filepath.Join(t.TempDir(), "data")
	s := servertest.Start(t, dataDir, servertest.CheapHashing...)
	want := fmt.Sprintf("data directory %s is in use by another server (process %d): stop that one, or give this "+
		"one a directory of its own with --data-dir", dataDir, s.Cmd.Process.Pid)
	if got := refuse(t, "--data-dir", dataDir, "--listen", "127.0.0.1:0"); !strings.Contains(got, want) {
		t.Errorf("it prints %q, want text with %q", got, want)
	}
	if out, err := exec.Command(servertest.Binary(t), "user", "add", "--username=ada", "--email=ada@example.com",
		"--password-stdin", "--data-dir", dataDir).CombinedOutput(); err == nil {
		t.Errorf("got %s, want an error for an account without a password", out)
	}
	add := exec.Command(servertest.Binary(t), "user", "add", "--username=ada", "--email=ada@example.com",
		"--password-stdin", "--data-dir", dataDir)
	add.Stdin = strings.NewReader("quiet-otter-42\n")
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("user add: got %v, want no error\n%s", err, out)
	}
	if session, err := s.Login(http.DefaultClient, "ada", "quiet-otter-42"); err != nil || !session.Success {
		t.Errorf("the new user: got %+v, %v; want a login", session, err)
	}
	s.Kill() // whatever its end, the directory is free again
	servertest.Start(t, dataDir, servertest.CheapHashing...)
}

func TestRefusesToStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	settings := filepath.Join(dir, "settings.toml")
	if err := os.WriteFile(settings, []byte("[server]\nlisten = 8080\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	notes := filepath.Join(dir, "notes")
	if err := os.Mkdir(notes, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(notes, "accountd.db"), bytes.Repeat([]byte("not a database "), 1000),
		0o600); err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(dir, "keys")
	servertest.Start(t, keys).Kill()
	if err := os.Chmod(filepath.Join(keys, "keys.json"), 0o644); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		taken.Addr().String() +
			": bind: address already in use: choose another address with --listen": {"--listen", taken.Addr().String()},
		`server.public_url = "" is empty while server.listen, "0.0.0.0:0", is not on loopback`: {"--listen",
			"0.0.0.0:0"},
		"settings.toml:2: server.listen = 8080 has the wrong type: use a string": {"--config", settings},
		"accountd.db": {"--listen", "127.0.0.1:0", "--data-dir", notes},
		"chmod 600":   {"--listen", "127.0.0.1:0", "--data-dir", keys},
	} {
		if got := refuse(t, args...); !strings.Contains(got, want) || strings.Contains(got, "is ready") ||
			strings.Contains(got, "panic") {
			t.Errorf("%q prints %q, want %q", args, got, want)
		}
	}
}

// TestDrain: both signals end the server in order: a running request is answered, and a new one is not accepted.
func TestDrain(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			s := servertest.Start(t, filepath.Join(t.TempDir(), "data"), servertest.CheapHashing...)
			const query = `{"query":"mutation { register(email: \"ada@example.com\", username: \"ada\", password1: ` +
				`\"quiet-otter-42\", password2: \"quiet-otter-42\") { success } }"}`
			address := strings.TrimPrefix(s.URL, "http://")
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			// The server asks for the body once it has begun with the request.
			fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: "+
				"application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(query))
			answer := bufio.NewReader(conn)
			if line, err := answer.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
				t.Fatalf("%q, %v, want %q", line, err, "HTTP/1.1 100 Continue\r\n")
			}
			if err := s.Cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			for refused := false; !refused; {
				late, err := net.Dial("tcp", address)
				if refused = err != nil; !refused {
					late.Close()
				}
			}
			if _, err := io.WriteString(conn, query); err != nil {
				t.Fatal(err)
			}
			if rest, err := io.ReadAll(answer); err != nil ||
				!strings.Contains(string(rest), `{"data":{"register":{"success":true}}}`) {
				t.Errorf("answered %q, %v, want text with %q", rest, err, `{"data":{"register":{"success":true}}}`)
			}
			if err := s.Wait(); err != nil {
				t.Errorf("exit: got %v, want no error\n%s", err, s.Log())
			}
			if mails, err := filepath.Glob(filepath.Join(s.DataDir, "spool", "new", "*.eml")); err != nil ||
				len(mails) != 1 {
				t.Errorf("mails %v, %v, want 1", mails, err)
			}
		})
	}
}

// TestDrainEnds: a client that never sends the rest of its request neither keeps the server nor makes it fail.
func TestDrainEnds(t *testing.T) {
	t.Parallel() // it takes the whole time to drain
	s := servertest.Start(t, filepath.Join(t.TempDir(), "data"), servertest.CheapHashing...)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: "+
		"application/json\r\nContent-Length: 20\r\nExpect: 100-continue\r\n\r\n")
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q, %v, want %q", line, err, "HTTP/1.1 100 Continue\r\n")
	}
	if err := s.Stop(); err != nil {
		t.Errorf("exit: got %v, want no error", err)
	}
	if !strings.Contains(s.Log(), "connections were cut off") {
		t.Errorf("nothing is said of the request: %s, want text with %q", s.Log(), "connections were cut off")
	}
}
