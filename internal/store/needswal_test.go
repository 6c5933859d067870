package store

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// put writes one row.
func put(t *testing.T, db *DB, name string) {
	t.Helper()
	if err := db.Write(t.Context(), insertName(name)); err != nil {
		t.Fatal(err)
	}
}

// TestMark: the mark exists from the first commit until the last process closes the file, and is then removed with the
// WAL. A process that only reads, or is not the last, removes neither.
func TestMark(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	state := func(when string, marked, logged bool) {
		t.Helper()
		if exists(path+markSuffix) != marked || hasLog(path) != logged {
			t.Errorf("%s: got mark %t, WAL %t; want %t, %t", when, exists(path+markSuffix), hasLog(path), marked,
				logged)
		}
	}
	db := open(t, path)
	state("opened", false, false)
	if err := db.Write(t.Context(), func(*Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	state("nothing written", false, false)
	put(t, db, "first")
	state("written", true, true)
	if info, err := os.Stat(path + markSuffix); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the mark: got %v, %v; want mode 0600", info, err)
	}
	if _, err := Check(t.Context(), path); err != nil {
		t.Error(err)
	}
	state("checked", true, true)
	if err := os.Rename(path+"-wal", path+"-kept"); err != nil {
		t.Fatal(err)
	}
	if err := db.Healthy(t.Context()); !errors.Is(err, errLogGone) {
		t.Errorf("without its WAL: got %v, want %v", err, errLogGone)
	}
	if err := os.Rename(path+"-kept", path+"-wal"); err != nil {
		t.Fatal(err)
	}
	other := open(t, path)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	state("closed by one of two", true, true)
	if err := os.Remove(path + markSuffix); err != nil {
		t.Fatal(err)
	}
	put(t, other, "second")
	state("written without a mark", true, true)
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	state("closed by both", false, false)
	if left, err := filepath.Glob(path + "-*"); err != nil || len(left) > 0 {
		t.Errorf("got %v, %v left; want nothing", left, err)
	}
}

// crashed copies the files that a killed process leaves of an open database.
func crashed(t *testing.T, path string) string {
	t.Helper()
	dir := t.TempDir()
	for _, suffix := range []string{"", "-wal", markSuffix} {
		content, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "test.db"+suffix), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "test.db")
}

// TestLostLog: after a crash, every opening finds all acknowledged writes, whatever has read the file before. Without
// the WAL every opening fails, and changes nothing.
func TestLostLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	put(t, open(t, path), "first")
	uses := map[string]func(path string) error{
		"check":  func(path string) error { _, err := Check(t.Context(), path); return err },
		"ids":    func(path string) error { _, err := LastIDs(t.Context(), path); return err },
		"backup": func(path string) error { _, err := Backup(t.Context(), path, path+".backup"); return err },
		"copy":   func(path string) error { _, err := Copy(path, t.TempDir()); return err },
		"open": func(path string) error {
			db, err := Open(t.Context(), path, time.Now)
			if err != nil {
				return err
			}
			return db.Close()
		},
		"settle": func(path string) error { return Settle(t.Context(), path) },
	}
	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			if name != "copy" { // refuses the file of a server
				path := crashed(t, path)
				if err := use(path); err != nil {
					t.Fatal(err)
				}
				if n := countIn(t, path); n != 1 {
					t.Errorf("afterwards: got %d rows, want 1", n)
				}
			}
			for _, size := range []int64{-1, 0, walHeader - 1, 4096} {
				path := crashed(t, path)
				err := os.Remove(path + "-wal")
				if size >= 0 {
					err = os.WriteFile(path+"-wal", make([]byte, size), 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
				before, err := os.ReadDir(filepath.Dir(path))
				if err != nil {
					t.Fatal(err)
				}
				if err := use(path); !errors.Is(err, ErrLostLog) {
					t.Errorf("a WAL of %d bytes: got %v, want ErrLostLog", size, err)
				}
				after, err := os.ReadDir(filepath.Dir(path))
				if err != nil || len(after) != len(before) || !LostLog(path) {
					t.Errorf("a WAL of %d bytes: got %v, %v; want %v unchanged", size, after, err, before)
				}
			}
		})
	}
}

// TestInUse: operations that need the file alone report that another program has it open, and change nothing.
func TestInUse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	db, err := Open(t.Context(), path, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	other, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	tx, err := other.Begin()
	if err != nil {
		t.Fatal(err)
	}
	var users int
	if err := tx.QueryRow(`SELECT count(*) FROM users`).Scan(&users); err != nil {
		t.Fatal(err)
	}
	if err := Settle(t.Context(), path); !errors.Is(err, ErrInUse) {
		t.Errorf("got %v, want ErrInUse", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Settle(t.Context(), path); err != nil {
		t.Error(err)
	}
}
