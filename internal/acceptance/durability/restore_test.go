//go:build unix

package durability_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"accountd/internal/servertest"
)

// runMutation sends a mutation and returns its payload.
func runMutation(t *testing.T, s *servertest.Server, name, arguments, outputs string,
	variables map[string]any) map[string]any {
	t.Helper()
	var declared []string
	for variable := range variables {
		declared = append(declared, "$"+variable+": String!")
	}
	answer, err := s.Ask(http.DefaultClient, "", fmt.Sprintf("mutation (%s) { %s(%s) { success errors %s } }",
		strings.Join(declared, ", "), name, arguments, outputs), variables)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := answer.Field(name, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestSecurityRestoreRevokes restores a backup that was made beside a busy server. No session and no action token
// from before the restore is accepted. Passwords are those of the backup.
func TestSecurityRestoreRevokes(t *testing.T) {
	t.Parallel()
	dataDir := filepath.Join(t.TempDir(), "data")
	environ := append([]string{oneIssuer}, servertest.CheapHashing...)
	server := servertest.Start(t, dataDir, environ...)
	var refresh, access []string
	remember := func(session *servertest.Session, err error) *servertest.Session {
		t.Helper()
		if err != nil || !session.Success {
			t.Fatalf("got %+v, %v; want success", session, err)
		}
		refresh, access = append(refresh, session.RefreshToken), append(access, session.Token)
		return session
	}
	revoked := remember(server.Register(http.DefaultClient, "ada", "quiet-otter-42"))
	remember(server.Register(http.DefaultClient, "bob", "quiet-otter-42"))
	servertest.Run(t, dataDir, "", "user", "set", "ada", "--verified=true")
	mailed := map[string][]string{}
	mail := func() {
		mailed["verifyAccount"] = append(mailed["verifyAccount"], servertest.LinkToken(t, dataDir, "activation", "bob"))
		mailed["passwordReset"] = append(mailed["passwordReset"], servertest.LinkToken(t, dataDir, "password_reset",
			"ada"))
		mailed["verifySecondaryEmail"] = append(mailed["verifySecondaryEmail"], servertest.LinkToken(t, dataDir,
			"secondary_email", "ada", "--email=ada@home.example"))
	}
	mail()
	backup := filepath.Join(t.TempDir(), "backup.db")
	servertest.Run(t, dataDir, "", "backup", backup)

	// What happens since: the session is revoked, links of higher epochs are made, an account takes the next id.
	if out := runMutation(t, server, "revokeToken", "refreshToken: $token", "revoked",
		map[string]any{"token": revoked.RefreshToken}); out["success"] != true {
		t.Fatalf("revokeToken: got %v, want success", out)
	}
	for range 3 {
		remember(server.Login(http.DefaultClient, "ada", "quiet-otter-42"))
		mail()
	}
	for range 2 {
		servertest.Run(t, dataDir, "", "user", "set", "ada", "--secondary-email=ada@work.example")
		servertest.Run(t, dataDir, "", "user", "set", "ada", "--secondary-email=")
		mail()
	}
	remember(server.Register(http.DefaultClient, "eve", "quiet-otter-42"))
	if out, code := servertest.Command(t, dataDir, "", "restore", backup); code != 1 ||
		!strings.Contains(out, fmt.Sprintf("is in use by a server (process %d): stop it first",
			server.Cmd.Process.Pid)) {
		t.Fatalf("restore beside a server: got exit %d, want 1 and the process\n%s", code, out)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	out := servertest.Run(t, dataDir, "", "restore", backup)
	for _, want := range []string{": 2 accounts.\n", "What was there before is kept as " + dataDir +
		"/accountd-replaced-",
		"2 sessions have ended, links in mails have stopped working"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}

	server = servertest.Start(t, dataDir, environ...)
	// Logins move the epochs of an account on: where they began too low, an old link would fit again.
	for range 6 {
		session, err := server.Login(http.DefaultClient, "ada", "quiet-otter-42")
		if err != nil || !session.Success {
			t.Fatalf("the password of the backup: got %+v, %v; want a login", session, err)
		}
		for _, token := range mailed["passwordReset"] {
			out := runMutation(t, server, "passwordReset", "token: $token, newPassword1: $new, newPassword2: $new", "",
				map[string]any{"token": token, "new": "stolen-otter-42"})
			if out["success"] != false || !strings.Contains(fmt.Sprint(out["errors"]), "invalid_token") {
				t.Fatalf("a reset link from before the restore: got %v, want invalid_token", out)
			}
		}
	}
	for _, name := range []string{"verifyAccount", "verifySecondaryEmail"} {
		for _, token := range mailed[name] {
			if out := runMutation(t, server, name, "token: $token", "",
				map[string]any{"token": token}); out["success"] != false || !strings.Contains(fmt.Sprint(out["errors"]),
				"invalid_token") {
				t.Errorf("%s: a link from before the restore: got %v, want invalid_token", name, out)
			}
		}
	}
	// Who registers now takes neither the id nor, with it, the tokens of who is lost.
	if session, err := server.Register(http.DefaultClient, "kim", "quiet-otter-42"); err != nil || !session.Success {
		t.Fatalf("got %+v, %v; want success", session, err)
	}
	for i := range refresh {
		if out := runMutation(t, server, "refreshToken", "refreshToken: $token", "token",
			map[string]any{"token": refresh[i]}); out["success"] != false {
			t.Errorf("refresh token %d: got %v, want a refusal", i, out)
		}
		answer, err := server.Ask(http.DefaultClient, access[i], "{ me { username } }", nil)
		if err != nil || string(answer.Data["me"]) != "null" {
			t.Errorf("access token %d: got %s, %v; want null", i, answer.Data["me"], err)
		}
	}
	var kim struct{ ID int }
	if err := json.Unmarshal([]byte(servertest.Run(t, dataDir, "", "user", "show", "kim", "--json")),
		&kim); err != nil ||
		kim.ID != 4 {
		t.Errorf("kim: got the id %d, %v; want 4", kim.ID, err)
	}
}

// TestSecurityBackupUnderLoad: a backup has every registration that was acknowledged before it began.
func TestSecurityBackupUnderLoad(t *testing.T) {
	t.Parallel()
	dataDir := filepath.Join(t.TempDir(), "data")
	server := servertest.Cheap(t, dataDir)
	done := make(chan struct{})
	answered := make(chan int, 1)
	answered <- 0
	go func() {
		defer close(done)
		for i := range 60 {
			if session, err := server.Register(http.DefaultClient, fmt.Sprintf("user%03d", i),
				"quiet-otter-42"); err != nil ||
				!session.Success {
				t.Errorf("got %+v, %v; want success", session, err)
				return
			}
			<-answered
			answered <- i + 1
		}
	}()
	for range 4 {
		n := <-answered
		answered <- n
		file := filepath.Join(t.TempDir(), "backup.db")
		servertest.Run(t, dataDir, "", "backup", file)
		other := filepath.Join(t.TempDir(), "data")
		servertest.Run(t, other, "", "restore", file)
		if got := strings.Count(servertest.Run(t, other, "", "user", "list", "--json"), "\n"); got < n {
			t.Errorf("the backup: got %d accounts, want at least the %d acknowledged before it", got, n)
		}
		if out := servertest.Run(t, other, "", "doctor", "--json"); strings.Contains(out,
			"is not as accountd makes it") {
			t.Errorf("doctor: got %s, want a database as accountd makes it", out)
		}
	}
	<-done
}

// straced runs a command under strace, which kills it at the n-th system call of a kind, and reports whether that
// happened.
func straced(t *testing.T, call string, n int, dataDir string, args ...string) (killed bool) {
	t.Helper()
	return stracedOn(t, nil, call, n, dataDir, args...)
}

// stracedOn is straced for calls on the named files.
func stracedOn(t *testing.T, files []string, call string, n int, dataDir string, args ...string) (killed bool) {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed: what is interrupted at each system call is not tried")
	}
	traced := []string{"-f", "-qq", "-o", "/dev/null", "-e", "trace=" + call, "-e",
		fmt.Sprintf("inject=%s:signal=KILL:when=%d", call, n)}
	for _, file := range files {
		traced = append(traced, "-P", file)
	}
	cmd := exec.Command(strace, append(append(traced, servertest.Binary(t)), append(args, "--data-dir", dataDir)...)...)
	cmd.Dir = t.TempDir()
	// strace counts the calls of each thread
	cmd.Env = append(append(os.Environ(), "GOMAXPROCS=1"), servertest.CheapHashing...)
	out, err := cmd.CombinedOutput()
	if err != nil && bytes.Contains(out, []byte("Operation not permitted")) {
		t.Skipf("strace may not trace here: %s", out)
	}
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus) // strace ends as the program did
	if killed = ok && status.Signaled(); err != nil && !killed {
		t.Fatalf("%s %d: got %v, want a kill or success\n%s", call, n, err, out)
	}
	return killed
}

// TestSecurityRestoreKilled kills restore at each step. The next command finds the accounts of before or those of
// the backup, and reports no error.
func TestSecurityRestoreKilled(t *testing.T) {
	t.Parallel()
	source, backup := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "backup.db")
	add := func(dataDir, name string) {
		servertest.Run(t, dataDir, "", "user", "add", "--username="+name, "--email="+name+"@example.com",
			"--no-password")
	}
	add(source, "ada")
	servertest.Run(t, source, "", "backup", backup)
	add(source, "bob")
	for _, call := range []string{"linkat", "renameat", "unlinkat"} {
		restored, tries := 0, 0
		for n := 1; ; n++ {
			dataDir := filepath.Join(t.TempDir(), "data")
			if err := os.CopyFS(dataDir, os.DirFS(source)); err != nil {
				t.Fatal(err)
			}
			makePrivate(t, dataDir)
			killed := straced(t, call, n, dataDir, "restore", backup)
			list := servertest.Run(t, dataDir, "", "user", "list")
			if !strings.Contains(list, "ada") {
				t.Fatalf("killed at %s %d: got no ada, want her\n%s", call, n, list)
			}
			if !strings.Contains(list, "bob") {
				restored++
				if kept, err := filepath.Glob(filepath.Join(dataDir, "accountd-replaced-*.db")); err != nil ||
					len(kept) != 1 {
					t.Errorf("killed at %s %d: got the replaced files %v, %v; want 1", call, n, kept, err)
				}
			}
			if !killed {
				break
			}
			tries++
			servertest.Run(t, dataDir, "", "restore", backup)
			if left, err := filepath.Glob(filepath.Join(dataDir, ".accountd-*")); err != nil || len(left) > 0 {
				t.Errorf("killed at %s %d: got %v left, %v; want nothing", call, n, left, err)
			}
		}
		if tries == 0 || restored == 0 {
			t.Errorf("%s: got %d kills and %d restores, want some of both", call, tries, restored)
		}
	}
}

// makePrivate removes the modes that the umask gave to a copy.
func makePrivate(t *testing.T, dir string) {
	t.Helper()
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Chmod(path, info.Mode().Perm()&0o700)
	})
	if err != nil {
		t.Fatal(err)
	}
}
