//go:build unix

package durability_test

import (
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"accountd/internal/servertest"
)

// databaseHashes returns the hashes of the database and its companion files.
func databaseHashes(t *testing.T, dataDir string) map[string][32]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dataDir, "accountd.db*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("got the files %v, %v; want at least one", files, err)
	}
	found := map[string][32]byte{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found[filepath.Base(file)] = sha256.Sum256(content)
	}
	return found
}

// copyData copies a data directory.
func copyData(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	makePrivate(t, to)
	return to
}

// TestSecurityLostLog: after a kill and the loss of the WAL no command opens the database. With --accept-lost-log
// the server starts, ends all sessions, and reuses no id.
func TestSecurityLostLog(t *testing.T) {
	t.Parallel()
	dataDir := filepath.Join(t.TempDir(), "data")
	server := servertest.Cheap(t, dataDir)
	var sessions []*servertest.Session
	register := func(s *servertest.Server, name string) *servertest.Session {
		t.Helper()
		session, err := s.Register(http.DefaultClient, name, "quiet-otter-42")
		if err != nil || !session.Success {
			t.Fatalf("got %+v, %v; want success", session, err)
		}
		return session
	}
	const users = 5
	for i := range users {
		sessions = append(sessions, register(server, fmt.Sprintf("user%d", i)))
	}
	server.Kill()
	wal := func(dataDir string) string { return filepath.Join(dataDir, "accountd.db-wal") }

	// Nothing is lost: whatever looks first, all is there, and no alarm.
	for _, command := range [][]string{{"doctor"}, {"backup"}, {"tokens", "clear"}} {
		whole := copyData(t, dataDir)
		if out, _ := servertest.Command(t, whole, "", command...); strings.Contains(out, "write-ahead log") {
			t.Errorf("%s after a crash: got\n%s\nwant no word of the log", command, out)
		}
		if out := servertest.Run(t, whole, "", "doctor"); !strings.Contains(out, fmt.Sprintf("is sound: %d accounts",
			users)) {
			t.Errorf("doctor after a crash and %s: got\n%s\nwant %d accounts", command, out, users)
		}
	}

	for name, lose := range map[string]func(string) error{
		"removed": os.Remove,
		"emptied": func(file string) error { return os.Truncate(file, 0) },
		"cut off": func(file string) error { return os.Truncate(file, 31) },
	} {
		commands := [][]string{{"doctor"}, {"serve", "--listen", "127.0.0.1:0"}}
		if name == "removed" {
			commands = append(commands, []string{"user", "list"}, []string{"backup"})
		}
		lost := copyData(t, dataDir)
		if err := lose(wal(lost)); err != nil {
			t.Fatal(err)
		}
		before := databaseHashes(t, lost)
		for _, command := range commands {
			out, code := servertest.Command(t, lost, "", command...)
			if code != 1 || !strings.Contains(out, "its write-ahead log (-wal) is missing or empty") ||
				!strings.Contains(out, "--accept-lost-log") {
				t.Fatalf("log %s: %s: got exit %d, want 1 and the remedy\n%s", name, command, code, out)
			}
			if command[0] == "doctor" && !strings.Contains(out, "PROBLEM  database: ") {
				t.Errorf("log %s: doctor: got\n%s\nwant a problem of the database", name, out)
			}
		}
		if after := databaseHashes(t, lost); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("log %s: the database: got %v, want %v", name, after, before)
		}
	}

	if err := os.Remove(wal(dataDir)); err != nil {
		t.Fatal(err)
	}
	server = servertest.StartProgram(t,
		[]string{"sh", "-c", `exec "$@" --accept-lost-log`, "sh", servertest.Binary(t)}, dataDir,
		servertest.CheapHashing...)
	if !strings.Contains(server.Log(), "the write-ahead log was lost") {
		t.Errorf("got the log\n%s\nwant a line about the lost write-ahead log", server.Log())
	}
	var seen []string
	for i := range 2 * users {
		session := register(server, fmt.Sprintf("new%d", i))
		answer, err := server.Ask(http.DefaultClient, session.Token, "{ me { username pk } }", nil)
		if err != nil || !strings.Contains(string(answer.Data["me"]), "new") {
			t.Fatalf("me: got %+v, %v; want the new account", answer, err)
		}
		seen = append(seen, string(answer.Data["me"]))
	}
	for i, session := range sessions {
		if answer, err := server.Ask(http.DefaultClient, session.Token, "{ me { username } }", nil); err != nil ||
			string(answer.Data["me"]) != "null" {
			t.Errorf("access token %d from before: got %s, %v; want null", i, answer.Data["me"], err)
		}
		if out := runMutation(t, server, "refreshToken", "refreshToken: $token", "token",
			map[string]any{"token": session.RefreshToken}); out["success"] != false {
			t.Errorf("refresh token %d from before: got %v, want a refusal", i, out)
		}
	}
	var first struct{ ID int }
	if err := json.Unmarshal([]byte(servertest.Run(t, dataDir, "", "user", "show", "new0", "--json")),
		&first); err != nil || first.ID <= users {
		t.Errorf("got the id %d, %v; want one above %d: %v", first.ID, err, users, seen)
	}
	server.Kill()
	server = servertest.Cheap(t, dataDir) // without the flag
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"-wal", "-shm", "-needs-wal"} {
		if _, err := os.Lstat(filepath.Join(dataDir, "accountd.db"+suffix)); !os.IsNotExist(err) {
			t.Errorf("after an orderly end: got %s, want none: %v", suffix, err)
		}
	}
	if kept, err := filepath.Glob(filepath.Join(dataDir, "accountd-replaced-*.db-needs-wal")); err != nil ||
		len(kept) != 1 {
		t.Errorf("the replaced file: got the marks %v, %v; want 1", kept, err)
	}
}

// TestSecurityLogDeleted: a server whose WAL is deleted reports that, and saves everything at an orderly end.
func TestSecurityLogDeleted(t *testing.T) {
	t.Parallel()
	dataDir := filepath.Join(t.TempDir(), "data")
	server := servertest.Cheap(t, dataDir)
	if ada, err := server.Register(http.DefaultClient, "ada", "quiet-otter-42"); err != nil || !ada.Success {
		t.Fatalf("got %+v, %v; want success", ada, err)
	}
	if err := os.Remove(filepath.Join(dataDir, "accountd.db-wal")); err != nil {
		t.Fatal(err)
	}
	if bob, err := server.Register(http.DefaultClient, "bob", "quiet-otter-42"); err != nil || !bob.Success {
		t.Errorf("got %+v, %v; want success", bob, err)
	}
	if status := ready(t, server); status != http.StatusServiceUnavailable {
		t.Errorf("readyz without its log: got %d, want 503", status)
	}
	if err := server.Stop(); err != nil {
		t.Errorf("stop: got %v, want no error\n%s", err, server.Log())
	}
	if list := servertest.Run(t, dataDir, "", "user", "list"); !strings.Contains(list, "ada") ||
		!strings.Contains(list, "bob") {
		t.Errorf("afterwards: got\n%s\nwant ada and bob", list)
	}
}

// TestSecurityLogLeft: another program may close the database last and delete the WAL. Nothing is lost, and there is
// no false alarm.
func TestSecurityLogLeft(t *testing.T) {
	t.Parallel()
	dataDir := filepath.Join(t.TempDir(), "data")
	server := servertest.Cheap(t, dataDir)
	db, err := sql.Open("sqlite", filepath.Join(dataDir, "accountd.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if ada, err := server.Register(http.DefaultClient, "ada", "quiet-otter-42"); err != nil || !ada.Success {
		t.Fatalf("got %+v, %v; want success", ada, err)
	}
	var users int
	if err := db.QueryRow(`SELECT count(*) FROM users`).Scan(&users); err != nil || users != 1 {
		t.Fatalf("got %d users, %v; want 1", users, err)
	}
	servertest.Run(t, dataDir, "", "user", "add", "--username=bob", "--email=bob@example.com", "--no-password")
	if _, err := os.Lstat(filepath.Join(dataDir, "accountd.db-needs-wal")); err != nil {
		t.Errorf("after a command beside the server: got %v, want its mark", err)
	}
	if err := server.Stop(); err != nil {
		t.Error(err)
	}
	servertest.Run(t, dataDir, "", "user", "add", "--username=cleo", "--email=cleo@example.com", "--no-password")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(filepath.Join(dataDir, "accountd.db-wal")); !os.IsNotExist(err) {
		t.Errorf("after another program: got %v for the log, want none", err)
	}
	list := servertest.Run(t, dataDir, "", "user", "list")
	for _, name := range []string{"ada", "bob", "cleo"} {
		if !strings.Contains(list, name) {
			t.Errorf("got\n%s\nwant %s", list, name)
		}
	}
}

// TestSecurityEndKilled kills a command at each step of its end. None of its writes is lost, and there is no false
// alarm.
func TestSecurityEndKilled(t *testing.T) {
	t.Parallel()
	first := filepath.Join(t.TempDir(), "data")
	servertest.Run(t, first, "", "user", "add", "--username=ada", "--email=ada@example.com", "--no-password")
	for _, step := range []struct{ calls, file string }{
		{"unlink,unlinkat", "accountd.db-needs-wal"}, {"unlink,unlinkat", "accountd.db-wal"},
		{"fsync,fdatasync", "accountd.db"}, {"fsync", ""},
	} {
		kills := 0
		for n := 1; ; n++ {
			dataDir := copyData(t, first)
			killed := stracedOn(t, []string{filepath.Join(dataDir, step.file)}, step.calls, n, dataDir, "user", "add",
				"--username=bob", "--email=bob@example.com", "--no-password")
			if _, err := os.Stat(filepath.Join(dataDir, "accountd.db-wal")); os.IsNotExist(err) {
				if _, err := os.Stat(filepath.Join(dataDir, "accountd.db-needs-wal")); err == nil {
					t.Errorf("killed at %s %d: got a mark without a log, want none", step, n)
				}
			}
			list := servertest.Run(t, dataDir, "", "user", "list")
			if !strings.Contains(list, "ada") || !strings.Contains(list, "bob") &&
				(!killed || strings.HasPrefix(step.file, "accountd.db-n")) {
				t.Errorf("killed at %s %d: got\n%s\nwant all acknowledged accounts", step, n, list)
			}
			if !killed {
				break
			}
			kills++
		}
		if kills == 0 {
			t.Errorf("%s: got no kill, want at least one", step)
		}
	}
}

// TestSecurityRestoreInUse: restore names the file that another program has open, and changes nothing.
func TestSecurityRestoreInUse(t *testing.T) {
	t.Parallel()
	dataDir, backup := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "backup.db")
	servertest.Run(t, dataDir, "", "user", "add", "--username=ada", "--email=ada@example.com", "--no-password")
	servertest.Run(t, dataDir, "", "backup", backup)
	file := filepath.Join(dataDir, "accountd.db")
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var users int
	if err := db.QueryRow(`SELECT count(*) FROM users`).Scan(&users); err != nil {
		t.Fatal(err)
	}
	out, code := servertest.Command(t, dataDir, "", "restore", backup)
	if code != 1 || !strings.Contains(out, file+": another program has it open (lsof or fuser") ||
		strings.Count(out, "another program") != 1 {
		t.Errorf("restore beside another program: got exit %d, want 1 and the file once\n%s", code, out)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	servertest.Run(t, dataDir, "", "restore", backup)
}
