//go:build unix

package cli_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"accountd/internal/servertest"
)

// ready is the line of an ephemeral server.
type ready struct {
	URL, GraphQL, Relay, Mail string
	DataDir                   string `json:"data_dir"`
	PID                       int
}

// ephemeral starts cmd, whose standard output is a server's, and returns its line and what comes after.
func ephemeral(t *testing.T, cmd *exec.Cmd) (ready, *bufio.Reader) {
	t.Helper()
	cmd.Dir = t.TempDir()
	cmd.Env = append(append(os.Environ(), cmd.Env...), "TMPDIR="+cmd.Dir)
	cmd.Stderr = t.Output()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it may have ended already
	out := bufio.NewReader(stdout)
	line, err := out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("got the line %q, want no error: %v", line, err)
	}
	var r ready
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		t.Fatalf("got %s, want JSON: %v", line, err)
	}
	if info, err := os.Stat(r.DataDir); err != nil || info.Mode().Perm() != 0o700 ||
		filepath.Dir(r.DataDir) != cmd.Dir {
		t.Errorf("%s: %v, %v, want 0o700, %v", r.DataDir, info, err, cmd.Dir)
	}
	t.Cleanup(func() { os.RemoveAll(r.DataDir) })
	return r, out
}

// gone waits until the server has closed its output, and looks for what it leaves. That it ends is the matter, and go
// test's deadline is the bound.
func gone(t *testing.T, r ready, out io.Reader) {
	t.Helper()
	if rest, err := io.ReadAll(out); err != nil || len(rest) > 0 {
		t.Errorf("got %q, %v after the line of JSON, want nothing", rest, err)
	}
	if _, err := os.Stat(r.DataDir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the data directory: got %v, want it deleted", err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(r.DataDir), "*")); err != nil || len(left) > 0 {
		t.Errorf("got the files %q, %v afterwards, want none", left, err)
	}
}

// TestEphemeral: the addresses and paths of the line exist, other settings that name them have no effect, and nothing
// is left afterwards.
func TestEphemeral(t *testing.T) {
	// Where the test was started under nohup, or in the background, the server would inherit that these are ignored.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGINT, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(caught) })
	for _, end := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		t.Run(end.String(), func(t *testing.T) {
			t.Parallel()
			elsewhere := t.TempDir()
			cmd := exec.Command(servertest.Binary(t), "serve", "--ephemeral")
			cmd.Env = []string{
				"ACCOUNTD_SERVER_LISTEN=0.0.0.0:80", "ACCOUNTD_SERVER_PUBLIC_URL=https://accounts.example.com",
				"ACCOUNTD_SERVER_DATA_DIR=" + elsewhere,
				"ACCOUNTD_TOKENS_KEYS_FILE=" + elsewhere + "/keys.json", "ACCOUNTD_EMAIL_SPOOL_DIR=" + elsewhere +
					"/spool",
				"ACCOUNTD_PASSWORDS_ARGON2_MEMORY=1GiB", "ACCOUNTD_PASSWORDS_ARGON2_ITERATIONS=9",
				"ACCOUNTD_PASSWORDS_ARGON2_PARALLELISM=4",
				"ACCOUNTD_EMAIL_SITE_NAME=Acme",
			}
			r, out := ephemeral(t, cmd)
			if !strings.HasPrefix(r.URL, "http://127.0.0.1:") || r.GraphQL != r.URL+"/graphql" || r.Relay != r.URL+
				"/relay" || r.Mail != r.URL+"/dev/mail" || r.PID != cmd.Process.Pid {
				t.Errorf("got %+v, want addresses on 127.0.0.1 and the process %d", r, cmd.Process.Pid)
			}
			s := &servertest.Server{URL: r.URL}
			if session, err := s.Register(http.DefaultClient, "ada", "quiet-otter-42"); err != nil || !session.Success {
				t.Fatalf("got %+v, %v; want success", session, err)
			}
			resp, err := http.Get(r.Mail + ".json?to=ada@example.com")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var mails []struct{ Subject, Link, Token string }
			if err := json.NewDecoder(resp.Body).Decode(&mails); err != nil || len(mails) != 1 ||
				mails[0].Subject != "Activate your account on Acme" ||
				mails[0].Link != r.URL+"/activate/"+mails[0].Token {
				t.Errorf("mails %+v, %v, want 1, %q, %v", mails, err, "Activate your account on Acme", r.URL+
					"/activate/"+mails[0].Token)
			}
			if left, err := os.ReadDir(elsewhere); err != nil || len(left) > 0 {
				t.Errorf("got the files %v, %v where settings say, want none", left, err)
			}
			http.DefaultClient.CloseIdleConnections()
			if err := cmd.Process.Signal(end); err != nil {
				t.Fatal(err)
			}
			gone(t, r, out)
			if err := cmd.Wait(); err != nil {
				t.Errorf("exit: got %v, want no error", err)
			}
		})
	}
}

// TestEphemeralFollowsItsParent: when its parent process is killed, the server ends and its directory is deleted.
func TestEphemeralFollowsItsParent(t *testing.T) {
	t.Parallel()
	// The shell stays, so it is the parent.
	cmd := exec.Command("sh", "-c", `"$0" serve --ephemeral </dev/null; exit`, servertest.Binary(t))
	r, out := ephemeral(t, cmd)
	if r.PID == cmd.Process.Pid {
		t.Fatal("got the shell's process id, want another")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	gone(t, r, out)
	if took := time.Since(start); took > 10*time.Second { // about a fifth of one, on a machine at rest
		t.Errorf("got an end after %v, want at most 10 s", took)
	}
}

// TestEphemeralFollowsStdin: the end of a pipe ends it, as when a grandparent is killed. /dev/null, and a pipe that
// was over from the start, do not.
func TestEphemeralFollowsStdin(t *testing.T) {
	t.Parallel()
	for name, ends := range map[string]bool{"open pipe": true, "ended pipe": false, "nothing": false} {
		cmd := exec.Command(servertest.Binary(t), "serve", "--ephemeral")
		var writer *os.File
		if name != "nothing" {
			reader, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Close()
			cmd.Stdin, writer = reader, w
			if name == "ended pipe" {
				writer.Close()
			}
		}
		r, out := ephemeral(t, cmd)
		if ends {
			writer.Close()
			gone(t, r, out)
			continue
		}
		if resp, err := http.Get(r.URL + "/readyz"); err != nil || resp.StatusCode != 200 {
			t.Errorf("%s: %v, want 200", name, err)
		}
		http.DefaultClient.CloseIdleConnections()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		gone(t, r, out)
	}
}

// TestEphemeralRefuses: contradicting flags are reported before any file is created.
func TestEphemeralRefuses(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"--data-dir does not go with --ephemeral":                              {"--data-dir", "data"},
		"--public-url does not go with --ephemeral":                            {"--public-url", "http://localhost:1"},
		"--listen 0.0.0.0:0: an ephemeral server is for this machine only":     {"--listen", "0.0.0.0:0"},
		"--listen :0: an ephemeral server is for this machine only":            {"--listen", ":0"},
		"--listen accounts.example:0: an ephemeral server is for this machine": {"--listen", "accounts.example:0"},
		"is not an address to listen on":                                       {"--listen", "nonsense"},
		"missing.toml":                                                         {"--config", "missing.toml"},
		"address already in use: choose another address with --listen":         {"--listen", "127.0.0.1:1"},
	} {
		if want[0] == 'a' {
			args[1] = strings.TrimPrefix(servertest.Start(t, filepath.Join(t.TempDir(), "data")).URL, "http://")
		}
		cmd := exec.Command(servertest.Binary(t), append([]string{"serve", "--ephemeral"}, args...)...)
		cmd.Dir = t.TempDir()
		cmd.Env = append(os.Environ(), "TMPDIR="+cmd.Dir)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) || strings.Contains(string(out), `"url"`) {
			t.Errorf("%q: got %v, %s, want the error %q", args, err, out, want)
		}
		if left, err := os.ReadDir(cmd.Dir); err != nil || len(left) > 0 {
			t.Errorf("%q: got the files %v, %v, want none", args, left, err)
		}
	}
}
