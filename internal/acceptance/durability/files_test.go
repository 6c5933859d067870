//go:build linux

package durability_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"accountd/internal/servertest"
)

// openFiles returns the files below dir that other users may access, and all names.
func openFiles(t *testing.T, dir string) (open []string, looked map[string]bool) {
	t.Helper()
	looked = map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		looked[name] = true
		if want := map[bool]os.FileMode{true: 0o700, false: 0o600}[entry.IsDir()]; info.Mode().Perm() != want {
			open = append(open, fmt.Sprintf("%s %v", name, info.Mode()))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return open, looked
}

// TestSecurityFileModes: all files are private to their owner whatever the umask, while the program runs and
// afterwards.
func TestSecurityFileModes(t *testing.T) {
	servertest.Binary(t) // built before others may write to what is built
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dataDir := filepath.Join(t.TempDir(), "data")
	server := servertest.Cheap(t, dataDir)
	if session, err := server.Register(http.DefaultClient, "ada", "quiet-otter-42"); err != nil || !session.Success {
		t.Fatalf("got %+v, %v; want success", session, err)
	}
	servertest.Run(t, dataDir, "", "backup")
	backup := filepath.Join(t.TempDir(), "backup.db")
	servertest.Run(t, dataDir, "", "backup", backup)
	servertest.Run(t, dataDir, "", "keys", "rotate")
	if info, err := os.Stat(backup); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a backup elsewhere: got %v, %v; want mode 0600", info, err)
	}
	check := func(when string, names ...string) {
		t.Helper()
		open, looked := openFiles(t, dataDir)
		if len(open) > 0 {
			t.Errorf("%s: got %q open to others, want none", when, open)
		}
		for _, name := range names {
			if !looked[name] {
				t.Errorf("%s: got no %s, want one", when, name)
			}
		}
	}
	check("while it runs", "accountd.db", "accountd.db-wal", "accountd.db-shm", "keys.json", "keys.json.lock",
		"accountd.lock", "spool/new", "backups")
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	servertest.Run(t, dataDir, "", "restore", backup)
	check("after a restore", "accountd.db")
}

// TestSecurityOpenDirectory: a start makes an open data directory private, and logs that.
func TestSecurityOpenDirectory(t *testing.T) {
	t.Parallel()
	dataDir := filepath.Join(t.TempDir(), "data")
	servertest.Cheap(t, dataDir).Kill()
	for path, mode := range map[string]os.FileMode{"": 0o755, "accountd.db": 0o644} {
		if err := os.Chmod(filepath.Join(dataDir, path), mode); err != nil {
			t.Fatal(err)
		}
	}
	server := servertest.Cheap(t, dataDir)
	if open, _ := openFiles(t, dataDir); len(open) > 0 {
		t.Errorf("got %q open to others, want none", open)
	}
	if !strings.Contains(server.Log(), "was open to others (mode 0755): now it is not") {
		t.Errorf("got the log\n%s\nwant a warning about the mode", server.Log())
	}
}

// TestSecurityKeyFile: a key ring that others can read, or that is a symbolic link, is refused.
func TestSecurityKeyFile(t *testing.T) {
	t.Parallel()
	dataDir := filepath.Join(t.TempDir(), "data")
	servertest.Cheap(t, dataDir).Kill()
	keys := filepath.Join(dataDir, "keys.json")
	refused := func(want string) {
		t.Helper()
		for _, args := range [][]string{{"serve", "--listen", "127.0.0.1:0"}, {"config", "check"}, {"keys", "list"}} {
			if out, code := servertest.Command(t, dataDir, "", args...); code != 1 || !strings.Contains(out, want) {
				t.Errorf("%q: got exit %d\n%s\nwant 1 and %q", args, code, out, want)
			}
		}
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660} {
		if err := os.Chmod(keys, mode); err != nil {
			t.Fatal(err)
		}
		refused(fmt.Sprintf("has mode %04o: others can read it; run chmod 600", mode))
	}
	elsewhere := filepath.Join(t.TempDir(), "keys.json")
	if err := os.Rename(keys, elsewhere); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(elsewhere, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, keys); err != nil {
		t.Fatal(err)
	}
	refused("is not a regular file: put the file itself there, not a link")
}

// TestSecurityNoDefaultSecret: two unconfigured servers have no key in common.
func TestSecurityNoDefaultSecret(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 2 {
		dataDir := filepath.Join(t.TempDir(), "data")
		servertest.Cheap(t, dataDir).Kill()
		raw, err := os.ReadFile(filepath.Join(dataDir, "keys.json"))
		if err != nil {
			t.Fatal(err)
		}
		var ring map[string]json.RawMessage
		if err := json.Unmarshal(raw, &ring); err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{"access", "action", "seal"} {
			var keys []struct{ Secret string }
			if err := json.Unmarshal(ring[kind], &keys); err != nil || len(keys) != 1 || len(keys[0].Secret) < 43 ||
				seen[keys[0].Secret] {
				t.Errorf("%s: got %d keys, %v; want one with a secret of its own", kind, len(keys), err)
				continue
			}
			seen[keys[0].Secret] = true
		}
	}
}

// TestSecurityProcessList: neither arguments, environment nor `config show` have a secret. Passwords are read from
// standard input or from a file.
func TestSecurityProcessList(t *testing.T) {
	t.Parallel()
	const user, smtp = "quiet-otter-42", "swift-badger-17"
	dataDir := filepath.Join(t.TempDir(), "data")
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(smtp+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	settings := append([]string{"ACCOUNTD_EMAIL_SMTP_HOST=127.0.0.1", "ACCOUNTD_EMAIL_SMTP_PORT=9",
		"ACCOUNTD_EMAIL_SMTP_USERNAME=mailer", "ACCOUNTD_EMAIL_SMTP_TLS=starttls",
		"ACCOUNTD_EMAIL_SMTP_PASSWORD_FILE=" + password}, servertest.CheapHashing...)
	server := servertest.Start(t, dataDir, settings...)
	if session, err := server.Register(http.DefaultClient, "ada", user); err != nil || !session.Success {
		t.Fatalf("got %+v, %v; want success", session, err)
	}
	silent := func(pid int) {
		t.Helper()
		for _, file := range []string{"cmdline", "environ"} {
			var raw []byte
			// as long as the system is still putting it in place
			for end := time.Now().Add(10 * time.Second); len(raw) == 0; {
				var err error
				if raw, err = os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file)); err != nil || time.Now().After(end) {
					t.Fatalf("%s: got %d bytes, %v; want more in time", file, len(raw), err)
				}
			}
			for _, secret := range []string{user, smtp} {
				if bytes.Contains(raw, []byte(secret)) {
					t.Errorf("%s: got a password in it, want none", file)
				}
			}
		}
	}
	silent(server.Cmd.Process.Pid)

	cmd := exec.Command(servertest.Binary(t), "user", "set-password", "ada", "--password-stdin", "--data-dir", dataDir)
	cmd.Env = append(os.Environ(), settings...)
	cmd.Dir = t.TempDir()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	silent(cmd.Process.Pid)
	if _, err := fmt.Fprint(in, user+"!"); err != nil { // without the end of the line it goes on reading
		t.Fatal(err)
	}
	silent(cmd.Process.Pid)
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if session, err := server.Login(http.DefaultClient, "ada", user+"!"); err != nil || !session.Success {
		t.Errorf("the new password: got %+v, %v; want a login", session, err)
	}

	show := exec.Command(servertest.Binary(t), "config", "show", "--data-dir", dataDir)
	show.Env, show.Dir = cmd.Env, t.TempDir()
	out, err := show.CombinedOutput()
	if err != nil || bytes.Contains(out, []byte(smtp)) || !bytes.Contains(out, []byte(password)) {
		t.Errorf("got %v\n%s\nwant the file of the password and not the password", err, out)
	}
	if secret := regexp.MustCompile(`(?m)^(\w*secret\w*|\w*password) = `).FindString(servertest.Read(t,
		"config.toml")); secret != "" {
		t.Errorf("got the setting %s, want none that takes a secret", secret)
	}
}
