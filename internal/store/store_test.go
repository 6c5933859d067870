package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func open(t *testing.T, path string) *DB {
	t.Helper()
	db, err := Open(t.Context(), path, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

const insert = `INSERT INTO outbox (name, created_at, message) VALUES (?, 1, x'00')`

func count(t *testing.T, db *DB) (n int) {
	t.Helper()
	err := db.Read(t.Context(), func(tx *Tx) error {
		return tx.QueryRowContext(t.Context(), `SELECT count(*) FROM outbox`).Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestCommitAndRollback(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "a b?c%20#.db"))
	var calls []bool
	write := func(name string, fail error) error {
		return db.Write(t.Context(), func(tx *Tx) error {
			tx.After(func(committed bool) {
				calls = append(calls, committed)
				if want := map[bool]int{true: 1, false: 1}[committed]; count(t, db) != want {
					t.Errorf("after the end, committed %t: got %d rows, want %d", committed, count(t, db), want)
				}
			})
			if _, err := tx.ExecContext(t.Context(), insert, name); err != nil {
				return err
			}
			return fail
		})
	}
	if err := write("a", nil); err != nil {
		t.Fatal(err)
	}
	failure := errors.New("failure")
	if err := write("b", failure); !errors.Is(err, failure) {
		t.Errorf("Write: got %v, want %v", err, failure)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("got no panic, want one")
			}
		}()
		_ = db.Write(t.Context(), func(tx *Tx) error {
			if _, err := tx.ExecContext(t.Context(), insert, "c"); err != nil {
				t.Error(err)
			}
			panic("boom")
		})
	}()
	if n := count(t, db); n != 1 || len(calls) != 2 || !calls[0] || calls[1] {
		t.Errorf("got %d rows, calls %v; want 1, true and false", n, calls)
	}
	if err := write("a", nil); err == nil || !strings.Contains(err.Error(), "UNIQUE constraint failed") {
		t.Errorf("the name twice: %v, want a violated constraint", err)
	}
}

func TestReadersDoNotWrite(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "test.db"))
	err := db.Read(t.Context(), func(tx *Tx) error {
		_, err := tx.ExecContext(t.Context(), insert, "a")
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "readonly") {
		t.Errorf("a write by a reader: got %v, want a readonly error", err)
	}
}

// TestManyWriters: many goroutines use statements at once that are not prepared yet.
func TestManyWriters(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "test.db"))
	const goroutines, writes = 64, 20
	var wg sync.WaitGroup
	for i := range goroutines {
		wg.Go(func() {
			for j := range writes {
				err := db.Write(context.Background(), func(tx *Tx) error {
					var n int
					if err := tx.QueryRowContext(context.Background(),
						`SELECT count(*) FROM outbox`).Scan(&n); err != nil {
						return err
					}
					_, err := tx.ExecContext(context.Background(), insert, fmt.Sprintf("%d: %d of %d", n, j, i))
					return err
				})
				if err != nil {
					t.Error(err)
				}
				if got := count(t, db); got < j+1 {
					t.Errorf("got %d rows, want at least %d that are acknowledged", got, j+1)
				}
			}
		})
	}
	wg.Wait()
	for n, name := range names(t, db) {
		if !strings.HasPrefix(name, fmt.Sprintf("%d: ", n)) {
			t.Errorf("row %[1]d: got %[2]q, want a name that starts with %[1]d", n, name)
		}
	}
	if n := count(t, db); n != goroutines*writes {
		t.Errorf("%d rows, want %d", n, goroutines*writes)
	}
}

func TestFileModes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	db := open(t, path)
	count(t, db)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got %v, %v; want mode 0600", suffix, info, err)
		}
	}
}

func TestRefusedFiles(t *testing.T) {
	t.Parallel()
	t.Run("newer", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "test.db")
		db := open(t, path)
		if err := db.Write(t.Context(), func(tx *Tx) error {
			_, err := tx.ExecContext(t.Context(), "PRAGMA user_version = 9999")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), path, time.Now); err == nil || !strings.Contains(err.Error(), "newer accountd") {
			t.Errorf("Open: got %v, want an error about a newer accountd", err)
		}
	})
	t.Run("not SQLite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "test.db")
		text := strings.Repeat("not a database ", 1000)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), path, time.Now); err == nil {
			t.Error("Open of garbage: got no error, want one")
		}
		if left, err := os.ReadFile(path); err != nil || string(left) != text {
			t.Error("got changed garbage, want the same")
		}
	})
	t.Run("a directory", func(t *testing.T) {
		if _, err := Open(t.Context(), t.TempDir(), time.Now); err == nil {
			t.Error("Open of a directory: got no error, want one")
		}
	})
}

// TestMigrate: a file of the first schema gets the newest one and keeps its rows.
func TestMigrate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	first, err := migrations.ReadFile("migrations/0001_init.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{string(first), "PRAGMA user_version = 1", strings.Replace(insert, "?", "'a'", 1)} {
		if err := execIn(path, query); err != nil {
			t.Fatal(err)
		}
	}
	schema := func(db *DB) (objects string) {
		err := db.Read(t.Context(), func(tx *Tx) error {
			return tx.QueryRowContext(t.Context(),
				`SELECT group_concat(sql, ';' ORDER BY name) FROM sqlite_schema`).Scan(&objects)
		})
		if err != nil {
			t.Fatal(err)
		}
		return objects
	}
	db := open(t, path)
	if n := count(t, db); n != 1 {
		t.Errorf("got %d rows, want 1", n)
	}
	if migrated, fresh := schema(db), schema(open(t, filepath.Join(t.TempDir(), "test.db"))); migrated != fresh ||
		!strings.Contains(fresh, "sessions_ended") {
		t.Errorf("got the migrated schema\n%s\nwant the fresh one\n%s", migrated, fresh)
	}
}

func TestReopen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	db := open(t, path)
	if err := db.Write(t.Context(), func(tx *Tx) error {
		_, err := tx.ExecContext(t.Context(), insert, "a")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if n := count(t, open(t, path)); n != 1 {
		t.Errorf("after reopening: got %d rows, want 1", n)
	}
}

// TestMigrateWithUsers: a file of the first schema, frozen here as a step, gets its search tables filled.
func TestMigrateWithUsers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	first, err := migrations.ReadFile("migrations/0001_init.sql")
	if err != nil {
		t.Fatal(err)
	}
	old, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{string(first), `
		INSERT INTO users (username, email, first_name, date_joined)
		VALUES ('Straße', 'a@example.com', 'Ada', 1), (NULL, 'b@example.com', '', 1);
		INSERT INTO addresses (canonical, user_id, address)
		VALUES ('a@example.com', 1, 'A@example.com'), ('b@example.com', 2, 'B@example.com');
		INSERT INTO user_status (user_id, verified) VALUES (1, 1), (2, 0);
		PRAGMA user_version = 1`} {
		if _, err := old.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	db := open(t, path)
	for query, want := range map[string]string{
		`SELECT group_concat(username || ' ' || email || ' ' || first_name || ' ' || verified, ', ')
			FROM user_search`: "strasse a@example.com ada 1, b@example.com b@example.com  0",
		`SELECT group_concat(rowid) FROM search_username WHERE search_username MATCH '"ass"'`: "1",
		`SELECT group_concat(rowid) FROM search_email WHERE search_email MATCH '"exa"'`:       "1,2",
		`PRAGMA integrity_check`: "ok",
	} {
		err := db.Read(t.Context(), func(tx *Tx) error {
			var got string
			if err := tx.QueryRowContext(t.Context(), query).Scan(&got); err != nil {
				return err
			}
			if got != want {
				t.Errorf("%s: %q, want %q", query, got, want)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: got %v, want no error", query, err)
		}
	}
}
