package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// addUser adds an account without a password.
func (w *world) addUser(name string) {
	w.t.Helper()
	w.ok("user", "add", "--username="+name, "--email="+name+"@example.com", "--no-password")
}

// names lists the accounts there are.
func (w *world) names() string {
	w.t.Helper()
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^\d+ +(\S+)`).FindAllStringSubmatch(w.ok("user", "list"), -1) {
		names = append(names, m[1])
	}
	return strings.Join(names, " ")
}

func TestBackupAndRestore(t *testing.T) {
	w := newWorld(t)
	w.fails(exitFailure, "accountd: no accounts here: stat PATH/data/accountd.db: no such file or directory: name "+
		"the server's directory with --data-dir\n", "backup")
	w.addUser("ada")
	w.addUser("bob")
	var old struct{ Token string }
	for _, kind := range []string{"activation"} {
		if err := json.Unmarshal([]byte(w.ok("user", "link", kind, "ada", "--json")), &old); err != nil {
			t.Fatal(err)
		}
	}
	out := w.ok("backup")
	file := filepath.Join(w.dir, "data", "backups", "accountd-20270115T080000.000Z.db")
	if !strings.HasPrefix(out, "Wrote "+file+" and checked it: 2 accounts, ") ||
		!strings.Contains(out, "copy "+w.dir+"/data/keys.json to another place") {
		t.Errorf("prints %q, want text with %q, text with %q", out, "Wrote "+file+" and checked it: 2 accounts, ",
			"copy "+w.dir+"/data/keys.json to another place")
	}
	w.fails(exitFailure, "accountd: "+file+" is there already: name another file\n", "backup")
	var described struct {
		File   string
		Bytes  int64
		Schema int
		Users  int64
	}
	if err := json.Unmarshal([]byte(w.ok("backup", w.path("mine.db"), "--json")), &described); err != nil ||
		described.File != w.path("mine.db") || described.Users != 2 || described.Bytes == 0 || described.Schema == 0 {
		t.Errorf("got %+v, %v, want mine.db with 2 users", described, err)
	}
	if err := os.Mkdir(w.path("away"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.ok("backup", w.path("away"))
	if _, err := os.Stat(w.path("away/accountd-20270115T080000.000Z.db")); err != nil {
		t.Error(err)
	}
	w.write("data/backups/accountd-20260101T000000.000Z.db", "")
	w.write("away/accountd-20260101T000000.000Z.db", "")
	if err := os.Remove(w.path("away/accountd-20270115T080000.000Z.db")); err != nil {
		t.Fatal(err)
	}
	if out := w.ok("backup", w.path("away"), "--keep=1"); !strings.Contains(out,
		"Deleted accountd-20260101T000000.000Z.db.\n") {
		t.Errorf("prints %q, want text with %q", out, "Deleted accountd-20260101T000000.000Z.db.\n")
	}
	for want, args := range map[string][]string{
		"--keep takes how many backups are to stay, 1 or more":      {"backup", "--keep=-1"},
		"--keep goes with a directory, not with the name of a file": {"backup", "x.db", "--keep=1"},
	} {
		w.fails(exitUsage, "accountd: "+want+"\nTry accountd --help.\n", args...)
	}

	w.addUser("eve")
	out = w.ok("restore", file)
	want := `Restored ` + file + `: 2 accounts.
What was there before is kept as ` + w.dir +
		`/data/accountd-replaced-20270115T080000.000Z.db; delete it when it is no longer needed.
0 sessions have ended, links in mails have stopped working, and 0 mails that waited were dropped. Everything since the backup is lost: accounts, passwords, addresses.
`
	equal(t, out, want)
	equal(t, w.names(), "ada bob")
	w.addUser("kim")
	if shown := w.ok("user", "show", "kim", "--json"); !strings.HasPrefix(shown, `{"id":4,`) {
		t.Errorf("an id is given out again: %s, want text with %q", shown, `{"id":4,`)
	}
	// What was kept can be restored in its turn.
	w.ok("restore", w.path("mine.db"), "--data-dir="+w.path("other"))
	equal(t, w.names(), "ada bob kim")
	w.ok("restore", w.path("data/accountd-replaced-20270115T080000.000Z.db"), "--data-dir="+w.path("other2"))
	if out := w.ok("user", "list", "--data-dir="+w.path("other2")); !strings.Contains(out, "eve") {
		t.Errorf("got the users\n%s\nof the replaced file, want %q among them", out, "eve")
	}
}

func TestRestoreRefuses(t *testing.T) {
	w := newWorld(t)
	w.addUser("ada")
	w.ok("backup", w.path("good.db"))
	w.ok("user", "add", "--username=eve", "--email=eve@example.com", "--no-password")
	good, err := os.ReadFile(w.path("good.db"))
	if err != nil {
		t.Fatal(err)
	}
	live, err := os.ReadFile(w.path("data/accountd.db"))
	if err != nil {
		t.Fatal(err)
	}
	broken := strings.Replace(string(good), "ada@example.com", "ADA@EXAMPLE.COM", 1)
	for name, text := range map[string]string{"empty.db": "", "cut.db": string(good[:len(good)/2]),
		"text.db": strings.Repeat("text ", 1000), "live.db": string(live), "broken.db": broken} {
		w.write(name, text)
	}
	w.write("data/accountd.lock", "")
	before := tree(t, w.path("data"))
	for file, want := range map[string]string{
		"none.db":                            "no backup here",
		"empty.db":                           "it is empty",
		"cut.db":                             "bytes of",
		"text.db":                            "header is not SQLite's",
		"live.db":                            "is no backup but the file of a server",
		"broken.db":                          "cannot be restored",
		filepath.Join("data", "accountd.db"): "is the database itself",
		filepath.Join("data", "spool"):       "not a regular file",
	} {
		code, stdout, stderr := w.run("restore", w.path(file))
		if code != exitFailure || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%s: exits %d with %q, want %q", file, code, stderr, want)
		}
	}
	equal(t, w.names(), "ada eve")
	equal(t, tree(t, w.path("data")), before)
	held, err := lockDir(w.path("data"), false)
	if err != nil {
		t.Fatal(err)
	}
	w.fails(exitFailure, "accountd: another command is using the database in PATH/data: run this again when that "+
		"is done\n", "restore", w.path("good.db"))
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if held, err = lockDir(w.path("data"), true); err != nil {
		t.Fatal(err)
	}
	w.fails(exitFailure, "accountd: a backup is being restored into PATH/data: run this again when that is done\n",
		"user", "list")
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	a := w.app()
	c, err := a.settings()
	if err == nil {
		err = a.lockServe(c, "%s is in use by %s", a.warn)
	}
	if err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := w.run("restore", w.path("good.db")); code != exitFailure ||
		!strings.Contains(stderr, "is in use by a server (process ") || !strings.Contains(stderr, "stop it first") {
		t.Errorf("beside a server: %d, %q, want %v, text with %q, text with %q", code, stderr, exitFailure,
			"is in use by a server (process ", "stop it first")
	}
	if err := a.end(nil); err != nil {
		t.Fatal(err)
	}
}

// tree lists the files below a directory.
func tree(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	hidden, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(append(hidden, files...), "\n") + "\n"
}

// TestRestoreOverDamage: a database that cannot be read is replaced, and kept with its WAL. The ids that it gave out
// are unknown.
func TestRestoreOverDamage(t *testing.T) {
	w := newWorld(t)
	w.addUser("ada")
	w.ok("backup", w.path("good.db"))
	w.write("data/accountd.db", "garbage")
	w.write("data/accountd.db-wal", "of it")
	if code, _, stderr := w.run("user", "list"); code != exitFailure ||
		!strings.Contains(stderr, "bring a backup back with accountd restore FILE") {
		t.Errorf("exits %d with %q, want %v, text with %q", code, stderr, exitFailure,
			"bring a backup back with accountd restore FILE")
	}
	if out := w.ok("restore", w.path("good.db")); !strings.Contains(out, "it is damaged or of a newer accountd") {
		t.Errorf("prints %q, want text with %q", out, "it is damaged or of a newer accountd")
	}
	for suffix, want := range map[string]string{"": "garbage", "-wal": "of it"} {
		if kept, err := os.ReadFile(w.path("data/accountd-replaced-20270115T080000.000Z.db") + suffix); err != nil ||
			string(kept) != want {
			t.Errorf("kept%s: %q, %v, want %v", suffix, kept, err, want)
		}
	}
	w.addUser("bob")
	equal(t, w.names(), "ada bob")
	if shown := w.ok("user", "show", "bob", "--json"); !strings.HasPrefix(shown, `{"id":1048578,`) {
		t.Errorf("%s, want text with %q", shown, `{"id":1048578,`)
	}
}

// TestLostDatabase: a directory that has been in use does not get a new database by itself.
func TestLostDatabase(t *testing.T) {
	w := newWorld(t)
	w.addUser("ada")
	w.ok("backup", w.path("good.db"))
	if err := os.Remove(w.path("data/accountd.db")); err != nil {
		t.Fatal(err)
	}
	w.fails(exitFailure, "accountd: PATH/data/accountd.db is gone: this directory has been in use, as "+
		"PATH/data/spool/new shows; bring a backup back with accountd restore FILE, or, if the accounts may be "+
		"lost, remove PATH/data/spool as well\n",
		"user", "add", "--username=bob", "--email=bob@example.com", "--no-password")
	w.write("data/accountd.db-needs-wal", "")
	if code, _, stderr := w.run("serve", "--listen=127.0.0.1:0", "--accept-lost-log"); code != exitFailure ||
		!strings.Contains(stderr, "accountd.db is gone: this directory has been in use") {
		t.Errorf("a server: exits %d with %q, want %v, text with %q", code, stderr, exitFailure,
			"accountd.db is gone: this directory has been in use")
	}
	w.ok("restore", w.path("good.db"))
	equal(t, w.names(), "ada")
}

// TestConfigCheckKeys: config check reads the key ring.
func TestConfigCheckKeys(t *testing.T) {
	w := newWorld(t)
	w.addUser("ada")
	w.write("data/keys.json", "{")
	if code, _, stderr := w.run("config", "check"); code != exitFailure ||
		!strings.Contains(stderr, "keys.json: not a key ring") {
		t.Errorf("exits %d with %q, want %v, text with %q", code, stderr, exitFailure, "keys.json: not a key ring")
	}
}

// TestNoSpoolNeeded: commands that write no mail do without.
func TestNoSpoolNeeded(t *testing.T) {
	w := newWorld(t)
	w.write("file", "")
	w.environ = append(w.environ, "ACCOUNTD_EMAIL_SPOOL_DIR="+filepath.Join(w.dir, "file", "spool"))
	w.addUser("ada")
	equal(t, w.names(), "ada")
	if code, _, stderr := w.run("serve", "--listen=127.0.0.1:0"); code != exitFailure ||
		!strings.Contains(stderr,
			"file/spool is a file, or lies under one; a directory is needed: name another in email.spool_dir") {
		t.Errorf("a server: got exit code %d with %q, want %d and a remedy", code, stderr, exitFailure)
	}
}
