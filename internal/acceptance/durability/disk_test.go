//go:build unix

package durability_test

import (
	"bufio"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"accountd/internal/servertest"
)

// ready returns the status of /readyz.
func ready(t *testing.T, s *servertest.Server) int {
	t.Helper()
	resp, err := http.Get(s.URL + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// failed reports whether a response is an internal error without any sign of success.
func failed(answer *servertest.Answer) bool {
	return len(answer.Errors) == 1 && answer.Errors[0].Extensions["code"] == "internal" &&
		answer.Errors[0].Message == "internal server error"
}

const revokeToken = `mutation ($token: String!) { revokeToken(refreshToken: $token) { success errors } }`

// fullDisk mounts a file system of 4 MiB, and returns functions that fill and empty it.
func fullDisk(t *testing.T) (dir string, fill, empty func()) {
	t.Helper()
	if os.Geteuid() != 0 || runtime.GOOS != "linux" {
		t.Skip("only root on Linux can mount a disk of its own: a full one is not tried")
	}
	dir = t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs",
		dir).CombinedOutput(); err != nil {
		t.Skipf("no disk can be mounted here: a full one is not tried: %v, %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: got %v, want no error: %s", err, out)
		}
	})
	filler := filepath.Join(dir, "filler")
	return dir, func() {
			f, err := os.OpenFile(filler, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for size := 1 << 16; size > 0; size /= 2 {
				for err = nil; err == nil; _, err = f.Write(make([]byte, size)) {
				}
			}
		}, func() {
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
		}
}

// TestSecurityFullDisk: on a full disk reads work, ordinary writes fail with an error, and /readyz answers 503 until
// there is space again. Sessions can still be ended and passwords changed, and a kill loses none of that. With space
// again every write works, and no write is half done.
func TestSecurityFullDisk(t *testing.T) {
	t.Parallel()
	dir, fill, empty := fullDisk(t)
	dataDir := filepath.Join(dir, "data")
	settings := append([]string{"ACCOUNTD_TOKENS_ROTATION_GRACE=0s"}, servertest.CheapHashing...)
	server := servertest.Start(t, dataDir, settings...)
	reserve := filepath.Join(dataDir, "accountd.db-reserve")
	held := func() int64 {
		t.Helper()
		info, err := os.Stat(reserve)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	whole := held()
	const password, changed = "quiet-otter-42", "brisk-heron-77"
	sessions := map[string]*servertest.Session{}
	for _, name := range []string{"ada", "bob", "cleo", "dan", "eve"} {
		session, err := server.Register(http.DefaultClient, name, password)
		if err != nil || !session.Success {
			t.Fatalf("got %+v, %v; want success", session, err)
		}
		sessions[name] = session
	}
	var revoked []*servertest.Session
	for range 20 {
		session, err := server.Login(http.DefaultClient, "ada", password)
		if err != nil || !session.Success {
			t.Fatalf("got %+v, %v; want success", session, err)
		}
		revoked = append(revoked, session)
	}
	stolen := sessions["eve"].RefreshToken
	for token := stolen; token != ""; { // the token is used, and so is the one after it: then it comes back
		out := runMutation(t, server, "refreshToken", "refreshToken: $token", "refreshToken",
			map[string]any{"token": token})
		if token == stolen {
			token = out["refreshToken"].(string)
		} else {
			token = ""
		}
	}
	link := servertest.LinkToken(t, dataDir, "password_reset", "cleo")
	servertest.Run(t, dataDir, "", "user", "set", "ada", "--verified=true")
	servertest.Run(t, dataDir, "", "user", "set", "bob", "--verified=true")
	if status := ready(t, server); status != http.StatusOK {
		t.Errorf("readyz: got %d, want 200", status)
	}

	register := func(name string) *servertest.Answer {
		t.Helper()
		answer, err := server.Ask(http.DefaultClient, "",
			fmt.Sprintf(`mutation { register(email: "%[1]s@example.com", username: %[1]q, password1: %[2]q, `+
				`password2: %[2]q) { success errors } }`, name, password), nil)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	users := len(sessions)
	refused := func() {
		t.Helper()
		for ; !failed(register(fmt.Sprintf("user%d", users))); users++ { // as long as the log has room
			if users == 100 {
				t.Fatal("on a full disk: got 100 registrations, want a refusal")
			}
		}
		if status := ready(t, server); status != http.StatusServiceUnavailable {
			t.Errorf("readyz on a full disk: got %d, want 503", status)
		}
	}
	fill()
	refused()
	for i, session := range revoked {
		fill()
		if out := runMutation(t, server, "revokeToken", "refreshToken: $token", "revoked",
			map[string]any{"token": session.RefreshToken}); out["success"] != true {
			t.Errorf("revokeToken of session %d on a full disk: got %v, want success", i, out)
		}
	}
	refused()
	answer, err := server.Ask(http.DefaultClient, sessions["ada"].Token,
		fmt.Sprintf(`mutation { passwordChange(oldPassword: %q, newPassword1: %q, newPassword2: %[2]q) { success `+
			`errors `+
			`token } }`, password, changed), nil)
	if err != nil || !strings.Contains(string(answer.Data["passwordChange"]), `"success":true`) {
		t.Errorf("passwordChange on a full disk: got %s, %v; want success", answer.Data, err)
	}
	fill()
	if out := runMutation(t, server, "passwordReset", "token: $token, newPassword1: $new, newPassword2: $new", "",
		map[string]any{"token": link, "new": changed}); out["success"] != true {
		t.Errorf("passwordReset on a full disk: got %v, want success", out)
	}
	answer, err = server.Ask(http.DefaultClient, sessions["bob"].Token,
		fmt.Sprintf(`mutation { archiveAccount(password: %q) { success errors } }`, password), nil)
	if err != nil || !strings.Contains(string(answer.Data["archiveAccount"]), `"success":true`) {
		t.Errorf("archiveAccount on a full disk: got %s, %v; want success", answer.Data, err)
	}
	servertest.Run(t, dataDir, "", "user", "sessions", "dan", "--revoke-all")
	server.Await(t, func() bool { // theft is noticed in the second after its use
		answer, err := server.Ask(http.DefaultClient, "",
			`mutation ($token: String!) { refreshToken(refreshToken: $token) { success errors } }`,
			map[string]any{"token": stolen})
		return err == nil && strings.Contains(string(answer.Data["refreshToken"]), "invalid_token")
	})
	if out, code := servertest.Command(t, dataDir, "", "user", "add", "--username=kim", "--email=kim@example.com",
		"--no-password"); code != 1 || !strings.Contains(out, "the disk is full: make room") {
		t.Errorf("user add on a full disk: got exit %d, want 1 and the reason\n%s", code, out)
	}
	refused()
	if out, code := servertest.Command(t, dataDir, "", "backup"); code != 1 || strings.Contains(out, "Wrote") {
		t.Errorf("backup on a full disk: got exit %d, want 1 and no file\n%s", code, out)
	}
	if made, err := filepath.Glob(filepath.Join(dataDir, "backups", "*")); err != nil || len(made) > 0 {
		t.Errorf("a backup that failed: got %v left, %v; want nothing", made, err)
	}
	if out, code := servertest.Command(t, dataDir, "", "doctor"); code != 1 ||
		!strings.Contains(out, "PROBLEM  free space: the disk has been full: ") {
		t.Errorf("doctor on a full disk: got exit %d, want 1 and the problem\n%s", code, out)
	}

	server.Kill()
	fill()
	servertest.Run(t, dataDir, "", "user", "sessions", "eve", "--revoke-all") // with nobody beside it
	server = servertest.Start(t, dataDir, settings...)
	for name, session := range sessions {
		if answer, err := server.Ask(http.DefaultClient, session.Token, "{ me { username } }", nil); err != nil ||
			string(answer.Data["me"]) != "null" {
			t.Errorf("the ended session of %s: got %+v, %v; want null", name, answer, err)
		}
	}
	fill()
	refused()
	servertest.Run(t, dataDir, "", "user", "sessions", fmt.Sprintf("user%d", users-1), "--revoke-all")
	empty()
	server.Await(t, func() bool { return ready(t, server) == http.StatusOK })
	if now := held(); now != whole || whole == 0 {
		t.Errorf("the reserve: got %d bytes, want %d", now, whole)
	}
	for i, session := range revoked {
		if answer, err := server.Ask(http.DefaultClient, session.Token, "{ me { username } }", nil); err != nil ||
			string(answer.Data["me"]) != "null" {
			t.Errorf("revoked session %d: got %+v, %v; want null", i, answer, err)
		}
	}
	for name, want := range map[string]string{"ada": changed, "bob": password, "cleo": changed, "dan": password} {
		if session, err := server.Login(http.DefaultClient, name, want); err != nil || !session.Success {
			t.Errorf("%s with room again: got %+v, %v; want a login", name, session, err)
		}
	}
	if session, err := server.Register(http.DefaultClient, "kim", password); err != nil || !session.Success {
		t.Errorf("a registration that failed before: got %+v, %v; want success", session, err)
	}
	if err := server.Stop(); err != nil {
		t.Error(err)
	}
	if out, _ := servertest.Command(t, dataDir, "", "doctor"); !strings.Contains(out,
		fmt.Sprintf("is sound: %d accounts",
			users+1)) {
		t.Errorf("doctor: got %s, want a sound database with %d accounts", out, users+1)
	}
}

// TestSecuritySmallDisk: a server without space for its reserve works until the disk is full. It is not ready before
// it has the reserve.
func TestSecuritySmallDisk(t *testing.T) {
	t.Parallel()
	dir, fill, empty := fullDisk(t)
	fill()
	filler := filepath.Join(dir, "filler")
	info, err := os.Stat(filler)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filler, info.Size()-1<<20); err != nil {
		t.Fatal(err)
	}
	server := servertest.Cheap(t, filepath.Join(dir, "data"))
	if !strings.Contains(server.Log(), "the server is not ready: there is no space for the reserve for a full disk") {
		t.Errorf("the start: got\n%s\nwant a warning about the reserve", server.Log())
	}
	if session, err := server.Register(http.DefaultClient, "ada", "quiet-otter-42"); err != nil || !session.Success {
		t.Errorf("a registration with room for it: got %+v, %v; want success", session, err)
	}
	if status := ready(t, server); status != http.StatusServiceUnavailable {
		t.Errorf("readyz without a reserve: got %d, want 503", status)
	}
	empty()
	server.Await(t, func() bool { return ready(t, server) == http.StatusOK })
	if _, err := os.Stat(filepath.Join(dir, "data", "accountd.db-reserve")); err != nil {
		t.Errorf("ready: got %v for the reserve, want a file", err)
	}
}

// TestSecurityShortReserve: commands fill up a short reserve before they write, as soon as there is space.
func TestSecurityShortReserve(t *testing.T) {
	t.Parallel()
	dataDir := filepath.Join(t.TempDir(), "data")
	servertest.Run(t, dataDir, "", "user", "add", "--username=ada", "--email=ada@example.com", "--no-password")
	if err := os.WriteFile(filepath.Join(dataDir, "accountd.db-reserve"), make([]byte, 1<<19), 0o600); err != nil {
		t.Fatal(err)
	}
	servertest.Run(t, dataDir, "", "user", "add", "--username=bob", "--email=bob@example.com", "--no-password")
}

// injected makes a system call of a running server fail for one file, until the server ends.
func injected(t *testing.T, s *servertest.Server, calls, failure, file string) {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed: a disk that fails is not tried")
	}
	cmd := exec.Command(strace, "-f", "-p", fmt.Sprint(s.Cmd.Process.Pid), "-o", filepath.Join(t.TempDir(), "trace"),
		"-P",
		file, "-e", "trace="+calls, "-e", "inject="+calls+":"+failure)
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it ends with the server
		_ = cmd.Wait()
	})
	said := bufio.NewScanner(errs)
	for said.Scan() {
		if strings.Contains(said.Text(), " attached") {
			return
		}
		if strings.Contains(said.Text(), "not permitted") {
			t.Skipf("strace may not trace here: a disk that fails is not tried: %s", said.Text())
		}
	}
	t.Fatal("strace: got an end of its output, want it attached")
}

// TestSecurityFailedFsync: after a failed fsync the write is not acknowledged, nothing else is written, and the
// program exits with 74. The next start has every acknowledged write.
func TestSecurityFailedFsync(t *testing.T) {
	t.Parallel()
	dataDir := filepath.Join(t.TempDir(), "data")
	server := servertest.Cheap(t, dataDir)
	session, err := server.Register(http.DefaultClient, "ada", "quiet-otter-42")
	if err != nil || !session.Success {
		t.Fatalf("got %+v, %v; want success", session, err)
	}
	wal := filepath.Join(dataDir, "accountd.db-wal")
	injected(t, server, "fsync,fdatasync", "error=EIO:when=1", wal) // once: a second fsync would succeed, and lie
	if answer, err := server.Ask(http.DefaultClient, "", revokeToken,
		map[string]any{"token": session.RefreshToken}); err != nil || !failed(answer) {
		t.Errorf("revokeToken on a disk that fails: got %+v, %v; want internal", answer, err)
	}
	written, err := os.Stat(wal)
	if err != nil {
		t.Fatal(err)
	}
	if bob, err := server.Register(http.DefaultClient, "bob", "quiet-otter-42"); err == nil && bob.Success {
		t.Error("a registration after a failed fsync: got success, want a refusal")
	}
	giveUp := time.AfterFunc(time.Minute, server.Kill)
	err = server.Wait()
	giveUp.Stop()
	if server.Cmd.ProcessState.ExitCode() != 74 {
		t.Errorf("exit: got %v, want 74\n%s", err, server.Log())
	}
	for _, want := range []string{"fsync failed", "the server ends, because its disk failed"} {
		if !strings.Contains(server.Log(), want) {
			t.Errorf("%q is not in the log\n%s", want, server.Log())
		}
	}
	if after, err := os.Stat(wal); err != nil || after.Size() != written.Size() ||
		!after.ModTime().Equal(written.ModTime()) {
		t.Errorf("the WAL after a failed fsync: got %v, %v; want it unchanged", after, err)
	}
	server = servertest.Cheap(t, dataDir)
	if login, err := server.Login(http.DefaultClient, "ada", "quiet-otter-42"); err != nil || !login.Success {
		t.Errorf("an acknowledged account: got %+v, %v; want a login", login, err)
	}
	if bob, err := server.Login(http.DefaultClient, "bob", "quiet-otter-42"); err != nil || bob.Success {
		t.Errorf("a refused registration: got %+v, %v; want no account", bob, err)
	}
	if out := servertest.Run(t, dataDir, "", "doctor"); !strings.Contains(out, "is sound: 1 accounts") {
		t.Errorf("doctor: got %s, want a sound database with 1 account", out)
	}
}

// TestSecurityFailedCopy: a failed fsync during a checkpoint ends the program as well. The WAL still has the data,
// and the next start reads it.
func TestSecurityFailedCopy(t *testing.T) {
	t.Parallel()
	dataDir := filepath.Join(t.TempDir(), "data")
	server := servertest.Cheap(t, dataDir)
	injected(t, server, "fsync,fdatasync", "error=EIO:when=1", filepath.Join(dataDir, "accountd.db"))
	registered := 0
	for ; registered < 500; registered++ { // each is some twenty pages
		if session, err := server.Register(http.DefaultClient, fmt.Sprintf("user%d", registered),
			"quiet-otter-42"); err != nil || !session.Success {
			break
		}
	}
	giveUp := time.AfterFunc(time.Minute, server.Kill)
	_ = server.Wait()
	giveUp.Stop()
	if code := server.Cmd.ProcessState.ExitCode(); code != 74 {
		t.Errorf("got exit status %d after %d registrations, want 74\n%s", code, registered, server.Log())
	}
	if left, err := os.Stat(filepath.Join(dataDir, "accountd.db-wal")); err != nil || left.Size() == 0 {
		t.Errorf("the WAL: got %v, %v; want a file with pages", left, err)
	}
	server = servertest.Cheap(t, dataDir)
	if err := server.Stop(); err != nil {
		t.Error(err)
	}
	if out := servertest.Run(t, dataDir, "", "doctor"); !strings.Contains(out, "is sound") {
		t.Errorf("doctor: got %s, want a sound database", out)
	}
	if out := servertest.Run(t, dataDir, "", "user", "list"); strings.Count(out, "@example.com") < registered ||
		registered == 0 {
		t.Errorf("user list: got\n%s\nwant at least the %d acknowledged", out, registered)
	}
}

// TestSecurityFailedWrite: a failed write of a page fails the request; the server continues.
func TestSecurityFailedWrite(t *testing.T) {
	t.Parallel()
	dataDir := filepath.Join(t.TempDir(), "data")
	// Without a mail: the write that takes it out of the outbox after the answer could be the one that fails.
	env := append(slices.Clone(servertest.CheapHashing), "ACCOUNTD_ACCOUNTS_SEND_ACTIVATION_EMAIL=false")
	server := servertest.Start(t, dataDir, env...)
	session, err := server.Register(http.DefaultClient, "ada", "quiet-otter-42")
	if err != nil || !session.Success {
		t.Fatalf("got %+v, %v; want success", session, err)
	}
	injected(t, server, "pwrite64", "error=EIO:when=1", filepath.Join(dataDir, "accountd.db-wal"))
	if answer, err := server.Ask(http.DefaultClient, "", revokeToken,
		map[string]any{"token": session.RefreshToken}); err != nil || !failed(answer) {
		t.Errorf("revokeToken on a disk that fails: got %+v, %v; want internal", answer, err)
	}
	// strace counts for each thread: one that has not written yet fails once more.
	for tries := 0; ; tries++ {
		out, err := server.Ask(http.DefaultClient, "", revokeToken, map[string]any{"token": session.RefreshToken})
		if err != nil || tries > 200 {
			t.Fatalf("got %+v, %v; want an answer other than internal", out, err)
		}
		if !failed(out) {
			if string(out.Data["revokeToken"]) != `{"success":true,"errors":null}` {
				t.Errorf("revokeToken: got %+v, want success", out)
			}
			break
		}
	}
	status := ready(t, server)
	for give := time.Now().Add(time.Minute); status != http.StatusOK && time.Now().Before(give); status = ready(t,
		server) {
	} // threads that have not failed yet do so
	if status != http.StatusOK {
		t.Errorf("readyz afterwards: got %d, want 200", status)
	}
}

// TestSecurityBusy: while another program holds the lock of the database, a write waits and then fails.
func TestSecurityBusy(t *testing.T) {
	t.Parallel() // it waits
	dataDir := filepath.Join(t.TempDir(), "data")
	server := servertest.Cheap(t, dataDir)
	session, err := server.Register(http.DefaultClient, "ada", "quiet-otter-42")
	if err != nil || !session.Success {
		t.Fatalf("got %+v, %v; want success", session, err)
	}
	other, err := sql.Open("sqlite", "file:"+filepath.Join(dataDir, "accountd.db")+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	tx, err := other.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if answer, err := server.Ask(http.DefaultClient, "", revokeToken,
		map[string]any{"token": session.RefreshToken}); err != nil || !failed(answer) {
		t.Errorf("revokeToken while another program writes: got %+v, %v; want internal", answer, err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if out := runMutation(t, server, "revokeToken", "refreshToken: $token", "",
		map[string]any{"token": session.RefreshToken}); out["success"] != true {
		t.Errorf("revokeToken: got %v, want success", out)
	}
}

// TestSecurityDamagedDatabase: a server refuses to start on a damaged database, explains the remedy, and does not
// create a new one.
func TestSecurityDamagedDatabase(t *testing.T) {
	t.Parallel()
	source := filepath.Join(t.TempDir(), "data")
	server := servertest.Cheap(t, source)
	if session, err := server.Register(http.DefaultClient, "ada", "quiet-otter-42"); err != nil || !session.Success {
		t.Fatalf("got %+v, %v; want success", session, err)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(path string, raw []byte) error{
		"emptied": func(path string, _ []byte) error { return os.Truncate(path, 0) },
		"cut":     func(path string, raw []byte) error { return os.Truncate(path, int64(len(raw)/2)) },
		"overwritten": func(path string, raw []byte) error {
			copy(raw, make([]byte, 100))
			return os.WriteFile(path, raw, 0o600)
		},
		"removed":     func(path string, _ []byte) error { return os.Remove(path) },
		"a directory": func(path string, _ []byte) error { _ = os.Remove(path); return os.Mkdir(path, 0o700) },
		"a link": func(path string, _ []byte) error {
			_ = os.Rename(path, path+"2")
			return os.Symlink(path+"2",
				path)
		},
		"of a newer accountd": func(path string, _ []byte) error {
			db, err := sql.Open("sqlite", "file:"+path)
			if err != nil {
				return err
			}
			defer db.Close()
			_, err = db.Exec("PRAGMA journal_mode = DELETE; PRAGMA user_version = 9999")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			dataDir := filepath.Join(t.TempDir(), "data")
			if err := os.CopyFS(dataDir, os.DirFS(source)); err != nil {
				t.Fatal(err)
			}
			makePrivate(t, dataDir)
			path := filepath.Join(dataDir, "accountd.db")
			raw, err := os.ReadFile(path)
			if err == nil {
				err = spoil(path, raw)
			}
			if err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadFile(path)
			out, code := servertest.Command(t, dataDir, "", "serve", "--listen", "127.0.0.1:0")
			remedy := regexp.MustCompile(`accountd restore FILE|put the file itself there|it was written by a newer ` +
				`accountd; run that one, or restore a backup`)
			if code != 1 || !remedy.MatchString(out) || strings.Contains(out, "is ready") ||
				strings.Contains(out, "panic") {
				t.Errorf("got exit %d\n%s\nwant 1 and %s", code, out, remedy)
			}
			if after, _ := os.ReadFile(path); string(before) != string(after) {
				t.Error("got another file, want it unchanged")
			}
			if name == "removed" {
				if _, err := os.Lstat(path); err == nil {
					t.Error("got a new database, want none")
				}
			}
		})
	}
}

// TestSecurityMigrationKilled kills the first start of a newer version at each step. The next start has the account
// and the newest schema, and exactly one backup of the old database.
func TestSecurityMigrationKilled(t *testing.T) {
	t.Parallel()
	first := servertest.Read(t, "internal/store/migrations/0001_init.sql")
	for _, call := range []string{"fsync", "linkat"} {
		tries := 0
		for n := 1; ; n++ {
			dataDir := filepath.Join(t.TempDir(), "data")
			if err := os.Mkdir(dataDir, 0o700); err != nil {
				t.Fatal(err)
			}
			db, err := sql.Open("sqlite", "file:"+filepath.Join(dataDir, "accountd.db"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = db.Exec(first + `; PRAGMA user_version = 1; PRAGMA journal_mode = WAL; BEGIN;
				INSERT INTO users (id, username, username_key, email, date_joined)
				VALUES (7, 'Ada', 'ada', 'ada@example.com', 1);
				INSERT INTO addresses VALUES ('ada@example.com', 7, 'ada@example.com');
				INSERT INTO user_status (user_id) VALUES (7); COMMIT`)
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			killed := straced(t, call, n, dataDir, "user", "show", "ada")
			if out := servertest.Run(t, dataDir, "", "user", "show", "ada"); !strings.HasPrefix(out, "id:        7\n") {
				t.Errorf("killed at %s %d: got %s, want ada with the id 7", call, n, out)
			}
			if kept, err := filepath.Glob(filepath.Join(dataDir, "backups", "accountd-schema-1-*.db")); err != nil ||
				len(kept) != 1 {
				t.Errorf("killed at %s %d: got the backups %v, %v; want 1", call, n, kept, err)
			}
			if out, _ := servertest.Command(t, dataDir, "",
				"doctor"); !regexp.MustCompile(`is sound: 1 accounts, schema \d+\n`).MatchString(out) {
				t.Errorf("killed at %s %d: got\n%s\nwant a sound database with 1 account", call, n, out)
			}
			if !killed {
				break
			}
			tries++
		}
		if tries == 0 {
			t.Errorf("%s: got no kill, want at least one", call)
		}
	}
}
