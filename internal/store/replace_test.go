package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// twoFiles are a database with one row, and a backup of another with three.
func twoFiles(t *testing.T) (path, backup string) {
	t.Helper()
	path, backup = filepath.Join(t.TempDir(), "accountd.db"), filepath.Join(t.TempDir(), "backup.db")
	db, other := open(t, path), open(t, filepath.Join(t.TempDir(), "other.db"))
	for i, name := range []string{"a", "b", "c"} {
		if err := other.Write(t.Context(), insertName(name)); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if err := db.Write(t.Context(), insertName(name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := Backup(t.Context(), other.path(t), backup); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path, backup
}

// path is the file of db.
func (db *DB) path(t *testing.T) (path string) {
	t.Helper()
	err := db.Read(t.Context(), func(tx *Tx) error {
		return tx.QueryRowContext(t.Context(), `SELECT file FROM pragma_database_list WHERE name = 'main'`).Scan(&path)
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReplace(t *testing.T) {
	t.Parallel()
	path, backup := twoFiles(t)
	home := filepath.Dir(path)
	if err := os.WriteFile(path+"-wal", []byte("of the first"), 0o600); err != nil {
		t.Fatal(err)
	}
	copied, err := Copy(backup, home)
	if err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, copied, "aside.db"); err != nil {
		t.Fatal(err)
	}
	if got := dir(t, home); got != "accountd.db aside.db aside.db-wal" {
		t.Errorf("got %s, want accountd.db and aside.db with its WAL", got)
	}
	if n := countIn(t, path); n != 3 {
		t.Errorf("got %d rows, want 3", n)
	}
	if err := FinishReplace(path); Replacing(path) || err != nil {
		t.Errorf("a second FinishReplace: got replacing %t, %v; want false, no error", Replacing(path), err)
	}
}

// TestReplaceInterrupted: from each state that an interruption can leave, FinishReplace comes to the same end.
func TestReplaceInterrupted(t *testing.T) {
	t.Parallel()
	for n := range 5 {
		path, backup := twoFiles(t)
		home := filepath.Dir(path)
		copied, err := Copy(backup, home)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+"-wal", []byte("of the first"), 0o600); err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(replacement{filepath.Base(copied), "aside.db"})
		if err != nil {
			t.Fatal(err)
		}
		steps := []func() error{
			func() error { return os.WriteFile(path+".replace", raw, 0o600) },
			func() error { return os.Rename(path, filepath.Join(home, "aside.db")) },
			func() error { return os.Rename(path+"-wal", filepath.Join(home, "aside.db-wal")) },
			func() error { return os.Rename(copied, path) },
		}
		for _, step := range steps[:n] {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		if Replacing(path) != (n > 0) {
			t.Errorf("after %d steps: got replacing %t, want %t", n, Replacing(path), n > 0)
		}
		if err := FinishReplace(path); err != nil || Replacing(path) {
			t.Fatalf("after %d steps: got replacing %t, %v; want false, no error", n, Replacing(path), err)
		}
		if n == 0 {
			continue
		}
		if got := dir(t, home); got != "accountd.db aside.db aside.db-wal" {
			t.Errorf("after %d steps: got %s, want accountd.db and aside.db with its WAL", n, got)
		}
		if rows := countIn(t, path); rows != 3 {
			t.Errorf("after %d steps: got %d rows, want 3", n, rows)
		}
	}
}

// TestReplaceFails: nothing has happened, and the copy is gone.
func TestReplaceFails(t *testing.T) {
	t.Parallel()
	path, backup := twoFiles(t)
	home := filepath.Dir(path)
	copied, err := Copy(backup, home)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(copied); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, copied, "aside.db"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a copy: got %v, want fs.ErrNotExist", err)
	}
	if got := dir(t, home); got != "accountd.db" || countIn(t, path) != 1 {
		t.Errorf("got %s, want accountd.db with one row", got)
	}
	for _, text := range []string{"", "{", `{"new":"../x","aside":"y"}`, `{"new":"x","aside":"/y"}`} {
		if err := os.WriteFile(path+".replace", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := FinishReplace(path); err == nil || !strings.Contains(err.Error(),
			"an interrupted restore cannot be finished") {
			t.Errorf("%q: got %v, want a restore that cannot be finished", text, err)
		}
	}
	if countIn(t, path) != 1 {
		t.Error("got a changed database, want the same")
	}
}

// TestCopyRefuses: the file of a running server is refused, because pages may be in its WAL only.
func TestCopyRefuses(t *testing.T) {
	t.Parallel()
	path, backup := twoFiles(t)
	if _, err := Copy(path, t.TempDir()); err == nil || !strings.Contains(err.Error(),
		"is no backup but the file of a server") {
		t.Errorf("a server's file: got %v, want a refusal", err)
	}
	if err := Settle(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{path, backup} {
		copied, err := Copy(file, t.TempDir())
		if err != nil {
			t.Errorf("%s: got %v, want no error", file, err)
			continue
		}
		if info, err := os.Stat(copied); err != nil || info.Mode() != 0o600 {
			t.Errorf("got %v, %v; want mode 0600", info, err)
		}
		Discard(copied)
		if got := dir(t, filepath.Dir(copied)); got != "" {
			t.Errorf("got %s left, want nothing", got)
		}
	}
	db := open(t, path)
	count(t, db)
	if err := Settle(t.Context(), path); err == nil {
		t.Error("Settle of an open database: got no error, want one")
	}
	if _, err := OpenCopy(t.Context(), filepath.Join(t.TempDir(), "none.db"), db.now); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenCopy of a file that does not exist: got %v, want fs.ErrNotExist", err)
	}
}

// TestLook: an existing file is read without a change, and a missing file is not created.
func TestLook(t *testing.T) {
	t.Parallel()
	path, _ := twoFiles(t)
	at := time.Unix(1_800_000_000, 0)
	now := func() time.Time { return at }
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	err = Look(t.Context(), path, now, func(tx *Tx) error {
		var n int
		err := tx.QueryRowContext(t.Context(), `SELECT count(*) FROM outbox`).Scan(&n)
		if err != nil || n != 1 || !tx.Now.Equal(at) {
			t.Errorf("got %d rows at %s, %v; want 1 at %s", n, tx.Now, err, at)
		}
		if _, err := tx.ExecContext(t.Context(), `DELETE FROM outbox`); err == nil {
			t.Error("a write in Look: got no error, want one")
		}
		return errClosed
	})
	if !errors.Is(err, errClosed) {
		t.Errorf("got %v, want the function's error", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("got a changed file, %v; want the same", err)
	}
	none := filepath.Join(t.TempDir(), "none.db")
	if err := Look(t.Context(), none, now, func(*Tx) error { return nil }); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that does not exist: got %v, want fs.ErrNotExist", err)
	}
	if _, err := os.Lstat(none); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got a new file, %v; want none", err)
	}
}

// TestSkipIDs: ids that were given out are not given out again.
func TestSkipIDs(t *testing.T) {
	t.Parallel()
	path, _ := twoFiles(t)
	last, err := LastIDs(t.Context(), path)
	if err != nil || len(last) != 1 || last["outbox"] != 1 {
		t.Fatalf("got %v, %v; want id 1 of the outbox", last, err)
	}
	for _, c := range []struct {
		name         string
		last         map[string]int64
		outbox, user int64
	}{
		{"known", map[string]int64{"outbox": 40, "users": 7, "nothing": 3}, 41, 8},
		{"known to be fewer", map[string]int64{"outbox": 0}, 2, 1},
		{"unknown", nil, unknownIDs + 2, unknownIDs + 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, _ := twoFiles(t)
			db := open(t, path)
			err := db.Write(t.Context(), func(tx *Tx) error { return SkipIDs(context.Background(), tx, c.last) })
			if err != nil {
				t.Fatal(err)
			}
			var outbox, newest int64
			err = db.Write(t.Context(), func(tx *Tx) error {
				if _, err := tx.ExecContext(t.Context(), `
					INSERT INTO outbox (name, created_at, message) VALUES ('z', 1, x'00');
					INSERT INTO addresses VALUES ('a@example.com', (SELECT coalesce((SELECT seq FROM sqlite_sequence
						WHERE name = 'users'), 0) + 1), 'a@example.com');
					INSERT INTO users (email, date_joined) VALUES ('a@example.com', 1)`); err != nil {
					return err
				}
				return tx.QueryRowContext(t.Context(),
					`SELECT (SELECT max(id) FROM outbox), (SELECT max(id) FROM users)`).Scan(&outbox, &newest)
			})
			if err != nil || outbox != c.outbox || newest != c.user {
				t.Errorf("the next are %d and %d, %v, want %d and %d", outbox, newest, err, c.outbox, c.user)
			}
		})
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	for _, name := range []string{".accountd-new-A", ".accountd-new-A-wal", ".accountd-backup-B",
		".accountd-backup-B-journal", ".accountd-restore-C", "accountd.db", ".mine"} {
		if err := os.WriteFile(filepath.Join(home, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := Clean(home); err != nil {
		t.Fatal(err)
	}
	if got := dir(t, home); got != ".mine accountd.db" {
		t.Errorf("got %s left, want .mine and accountd.db", got)
	}
	if err := Clean(filepath.Join(home, "nowhere")); err != nil {
		t.Error(err)
	}
}
