package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// dir is what a directory holds, one name a line.
func dir(t *testing.T, path string) string {
	t.Helper()
	entries, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return strings.Join(names, " ")
}

// TestBackupUnderWrites: each backup has all that was acknowledged before it began, and is one sound file.
func TestBackupUnderWrites(t *testing.T) {
	t.Parallel()
	path, out := filepath.Join(t.TempDir(), "test.db"), t.TempDir()
	db := open(t, path)
	stop, stopped, acknowledged := make(chan struct{}), make(chan struct{}), make(chan int, 1)
	acknowledged <- 0
	go func() {
		defer close(stopped)
		for i := 1; ; i++ {
			if err := db.Write(context.Background(), insertName(fmt.Sprint(i))); err != nil {
				t.Error(err)
				return
			}
			<-acknowledged
			acknowledged <- i
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	for i := range 5 {
		n := <-acknowledged
		acknowledged <- n
		dest := filepath.Join(out, fmt.Sprint(i))
		found, err := Backup(t.Context(), path, dest)
		if err != nil || len(found.Problems) > 0 {
			t.Fatalf("got %+v, %v; want no problems", found, err)
		}
		if info, err := os.Stat(dest); err != nil || info.Mode() != 0o600 {
			t.Errorf("got %v, %v; want mode 0600", info, err)
		}
		if got := countIn(t, dest); got < n {
			t.Errorf("backup %d has %d rows, want at least the %d that were acknowledged", i, got, n)
		}
	}
	close(stop)
	<-stopped
	if got := dir(t, out); got != "0 1 2 3 4" {
		t.Errorf("got %s left, want 0 to 4", got)
	}
	before, err := os.ReadFile(filepath.Join(out, "0"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Backup(t.Context(), path, filepath.Join(out, "0")); err == nil || !strings.Contains(err.Error(),
		"is there already: name another file") {
		t.Errorf("over another file: got %v, want a refusal", err)
	}
	if after, err := os.ReadFile(filepath.Join(out, "0")); err != nil || !bytes.Equal(before, after) {
		t.Error("got a changed backup, want the same")
	}
	if _, err := Backup(t.Context(), path, filepath.Join(out, "nowhere", "0")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("into a directory that does not exist: got %v, want fs.ErrNotExist", err)
	}
	if _, err := Backup(t.Context(), filepath.Join(out, "none.db"), filepath.Join(out, "9")); !errors.Is(err,
		fs.ErrNotExist) {
		t.Errorf("of a file that does not exist: got %v, want fs.ErrNotExist", err)
	}
	if got := dir(t, out); got != "0 1 2 3 4" {
		t.Errorf("after failures: got %s left, want 0 to 4", got)
	}
}

// countIn counts the rows of a file that no process has open, without changing it.
func countIn(t *testing.T, path string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(`SELECT count(*) FROM outbox`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// damage makes a closed database, lets spoil do its worst, and gives its path.
func damage(t *testing.T, spoil func(path string, raw []byte) error) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test.db")
	db := open(t, path)
	if err := db.Write(t.Context(), insertName("a")); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err == nil {
		err = spoil(path, raw)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func rewrite(change func([]byte) []byte) func(string, []byte) error {
	return func(path string, raw []byte) error { return os.WriteFile(path, change(raw), 0o600) }
}

// TestDamagedFiles: a changed file is refused with a reason, and left as it is. No new file takes its place.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(path string, raw []byte) error
		want  string
	}{
		{"empty", rewrite(func([]byte) []byte { return nil }), "it is empty"},
		{"half a header", rewrite(func(b []byte) []byte { return b[:50] }), "shorter than its header"},
		{"cut at a page", rewrite(func(b []byte) []byte { return b[:8192] }), "it has 8192 bytes of"},
		{"one byte short", rewrite(func(b []byte) []byte { return b[:len(b)-1] }), "bytes of"},
		{"header of zeros", rewrite(func(b []byte) []byte { return append(make([]byte, 100), b[100:]...) }),
			"header is not SQLite's"},
		{"garbage", rewrite(func(b []byte) []byte { return bytes.Repeat([]byte("garbage "), len(b)/8) }),
			"header is not SQLite's"},
		{"page size of nothing", rewrite(func(b []byte) []byte { b[16], b[17] = 0, 7; return b }),
			"header is not SQLite's"},
		{"schema of garbage", rewrite(func(b []byte) []byte {
			copy(b[100:4096], bytes.Repeat([]byte{0xff},
				4096))
			return b
		}), "damaged or no database"},
		{"a directory", func(path string, _ []byte) error {
			return errors.Join(os.Remove(path), os.Mkdir(path,
				0o700))
		}, "not a regular file"},
		{"a link", func(path string, _ []byte) error {
			return errors.Join(os.Rename(path, path+".real"), os.Symlink(path+".real", path))
		}, "not a regular file"},
		{"gone, but for its WAL", func(path string, _ []byte) error {
			return errors.Join(os.Remove(path), os.WriteFile(path+"-wal", []byte("x"), 0o600))
		}, "it is gone, but its -wal is there"},
		{"a database without tables", func(path string, _ []byte) error {
			return errors.Join(os.Remove(path), execIn(path,
				"PRAGMA user_version = 0; CREATE TABLE x (y); DROP TABLE x"))
		}, "no database of accountd's"},
		{"somebody else's database", func(path string, _ []byte) error {
			return errors.Join(os.Remove(path), execIn(path, "CREATE TABLE photos (y); PRAGMA user_version = 3"))
		}, "it lacks users"},
		{"without a table", func(path string, _ []byte) error { return execIn(path, "DROP TABLE outbox") },
			"it lacks outbox"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := damage(t, c.spoil)
			before, _ := os.ReadFile(path)
			for range 2 {
				if _, err := Open(t.Context(), path, time.Now); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("Open = %v, want %q", err, c.want)
				}
				if _, err := Check(t.Context(), path); err == nil {
					t.Error("Check: got no error, want one")
				}
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("got a changed file, want the same")
			}
		})
	}
}

func execIn(path, query string) error {
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		return err
	}
	_, err = db.Exec(query)
	return errors.Join(err, db.Close())
}

// TestCheck finds problems that opening does not: damage in pages, missing references, tables of other programs.
func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(path string, raw []byte) error
		want  string
	}{
		{"sound", func(string, []byte) error { return nil }, ""},
		{"a broken reference", func(path string, _ []byte) error {
			return execIn(path, `PRAGMA foreign_keys = OFF; INSERT INTO sessions (user_id, created_at) VALUES (7, 1)`)
		}, "row 1 of sessions refers to a row of users that is not there"},
		{"a page of zeros", func(path string, raw []byte) error {
			copy(raw[len(raw)-4096:], make([]byte, 4096))
			return os.WriteFile(path, raw, 0o600)
		}, "page"},
		{"an index of another make", func(path string, _ []byte) error {
			return execIn(path, `DROP INDEX sessions_user; CREATE INDEX sessions_user ON sessions (created_at)`)
		}, "its sessions_user is not as accountd makes it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, err := Check(t.Context(), damage(t, c.spoil))
			text := fmt.Sprint(found.Problems, err)
			if sound := err == nil && len(found.Problems) == 0; sound != (c.want == "") || !strings.Contains(text,
				c.want) {
				t.Errorf("%s, want %q", text, c.want)
			}
		})
	}
}

// oldFile makes a file of schema 1 with a user.
func oldFile(t *testing.T, path string) {
	t.Helper()
	first, err := migrations.ReadFile("migrations/0001_init.sql")
	if err != nil {
		t.Fatal(err)
	}
	err = execIn(path, string(first)+`; PRAGMA user_version = 1;`+ada)
	if err != nil {
		t.Fatal(err)
	}
}

// TestBackupBeforeMigration: a file with users is kept as it was, once however often the migration fails, and not at
// all where it cannot be kept.
func TestBackupBeforeMigration(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	path := filepath.Join(home, "test.db")
	oldFile(t, path)
	at := time.Unix(1_800_000_000, 0)
	for range 3 {
		at = at.Add(time.Hour)
		if err := backupBefore(t.Context(), path, filepath.Join(home, "backups"), 1, at); err != nil {
			t.Fatal(err)
		}
	}
	if got := dir(t, filepath.Join(home, "backups")); got != "accountd-schema-1-20270115T090000.000Z.db" {
		t.Errorf("after three failures: got %s, want one backup of schema 1", got)
	}
	db, err := Open(t.Context(), path, func() time.Time { return at })
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if got := dir(t, filepath.Join(home, "backups")); got != "accountd-schema-1-20270115T090000.000Z.db" {
		t.Errorf("after the migration: got %s, want one backup of schema 1", got)
	}
	found, err := Check(t.Context(), filepath.Join(home, "backups", "accountd-schema-1-20270115T090000.000Z.db"))
	if err != nil || found.Version != 1 || found.Users != 1 || len(found.Problems) > 0 {
		t.Errorf("got %+v, %v; want schema 1, one user, no problems", found, err)
	}

	blocked := filepath.Join(t.TempDir(), "test.db")
	oldFile(t, blocked)
	if err := os.WriteFile(filepath.Join(filepath.Dir(blocked), "backups"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), blocked, time.Now); err == nil || !strings.Contains(err.Error(),
		"back up before the migration from schema 1 to") {
		t.Errorf("without a backup: got %v, want a refusal", err)
	}
	if found, err := Check(t.Context(), blocked); err != nil || found.Version != 1 {
		t.Errorf("without a backup: got %+v, %v; want schema 1", found, err)
	}
}

// TestMigrationsMeet: processes that open an old file at once migrate it once.
func TestMigrationsMeet(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	oldFile(t, path)
	failures := make(chan error)
	for range 4 {
		go func() {
			db, err := Open(context.Background(), path, time.Now)
			if err == nil {
				err = db.Close()
			}
			failures <- err
		}()
	}
	for range 4 {
		if err := <-failures; err != nil {
			t.Error(err)
		}
	}
}

// TestCreateMeets: processes that find no file make one.
func TestCreateMeets(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	failures := make(chan error)
	for i := range 4 {
		go func() {
			db, err := Open(context.Background(), path, time.Now)
			if err == nil {
				err = errors.Join(db.Write(context.Background(), insertName(fmt.Sprint(i))), db.Close())
			}
			failures <- err
		}()
	}
	for range 4 {
		if err := <-failures; err != nil {
			t.Error(err)
		}
	}
	if n := count(t, open(t, path)); n != 4 {
		t.Errorf("got %d rows, want 4", n)
	}
	if got := dir(t, filepath.Dir(path)); strings.Contains(got, tmpPrefix) {
		t.Errorf("got %s left, want no temporary file", got)
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	at := time.Unix(1_800_000_000, 0)
	for i := range 4 {
		for _, name := range []string{BackupName(at.Add(time.Duration(i) * time.Hour)),
			fmt.Sprintf("accountd-schema-%d-20270115T090000.000Z.db", i), "accountd-2-mine.db", "accountd.db"} {
			if err := os.WriteFile(filepath.Join(home, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	removed, err := Prune(home, 2)
	if want := BackupName(at) + " " + BackupName(at.Add(time.Hour)); err != nil || strings.Join(removed, " ") != want {
		t.Errorf("%v, %v, want %s", removed, err, want)
	}
	if got := len(strings.Fields(dir(t, home))); got != 8 {
		t.Errorf("got %s left, want 8 files", dir(t, home))
	}
	if removed, err := Prune(home, 2); err != nil || len(removed) > 0 {
		t.Errorf("again: got %v, %v removed; want nothing", removed, err)
	}
}

// TestCheckBesideMigration: a check reads one snapshot of a file while its schema changes.
func TestCheckBesideMigration(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, step := range steps()[:6] {
		if _, err := db.Exec(step.sql); err != nil {
			t.Fatal(err)
		}
	}
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if _, err := db.Exec("BEGIN IMMEDIATE; DROP INDEX users_hash; PRAGMA user_version = 5; COMMIT; " +
				"BEGIN IMMEDIATE;" + steps()[5].sql + "; COMMIT"); err != nil {
				stopped <- err
				return
			}
		}
	}()
	for range 20 {
		if found, err := Check(t.Context(), path); err != nil || len(found.Problems) > 0 {
			t.Errorf("got %+v, %v; want no problems", found, err)
		}
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
