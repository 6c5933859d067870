package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"modernc.org/sqlite"
)

// outcome is what a caller of Write has seen.
type outcome struct {
	err      error
	panicked any
	after    []bool // what its hook was told
}

// call writes, and sends the outcome.
func call(ctx context.Context, db *DB, fn func(*Tx) error) (o outcome) {
	defer func() { o.panicked = recover() }()
	o.err = db.Write(ctx, func(tx *Tx) error {
		tx.After(func(committed bool) { o.after = append(o.after, committed) })
		return fn(tx)
	})
	return o
}

// together runs the functions as one group, in this order: the first is held until all the others wait.
// It has to be called in a synctest bubble.
func together(db *DB, fns ...func(*Tx) error) []outcome {
	outcomes := make([]outcome, len(fns))
	release := make(chan struct{})
	var wg sync.WaitGroup
	for i, fn := range fns {
		wg.Go(func() {
			outcomes[i] = call(context.Background(), db, func(tx *Tx) error {
				if i == 0 {
					<-release
				}
				return fn(tx)
			})
		})
		synctest.Wait()
	}
	close(release)
	wg.Wait()
	return outcomes
}

// commits counts the commits of db that had something to write from here on. A veto makes them fail.
func commits(t *testing.T, db *DB) (n *atomic.Int32, veto *atomic.Bool) {
	t.Helper()
	n, veto = new(atomic.Int32), new(atomic.Bool)
	err := db.writer.conn.sql.Raw(func(dc any) error {
		dc.(sqlite.HookRegisterer).RegisterCommitHook(func() int32 {
			if veto.Load() {
				return 1
			}
			n.Add(1)
			return 0
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n, veto
}

func insertName(name string) func(*Tx) error {
	return func(tx *Tx) error {
		_, err := tx.ExecContext(context.Background(), insert, name)
		return err
	}
}

func names(t *testing.T, db *DB) (list []string) {
	t.Helper()
	err := db.Read(t.Context(), func(tx *Tx) error {
		rows, err := tx.QueryContext(t.Context(), `SELECT name FROM outbox ORDER BY id`)
		if err != nil {
			return err
		}
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			list = append(list, name)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestWritesShareCommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := open(t, filepath.Join(t.TempDir(), "test.db"))
		n, _ := commits(t, db)
		var fns []func(*Tx) error
		var want []string
		for i := range groupSize + 10 {
			want = append(want, fmt.Sprint(i))
			fns = append(fns, func(tx *Tx) error {
				if got, bound := n.Load(), int32(i/groupSize); got != bound {
					t.Errorf("write %d begins after %d commits, want %d", i, got, bound)
				}
				return insertName(fmt.Sprint(i))(tx)
			})
		}
		for i, o := range together(db, fns...) {
			if o.err != nil || o.panicked != nil || !slices.Equal(o.after, []bool{true}) {
				t.Errorf("write %d: got %+v, want success", i, o)
			}
		}
		if n.Load() != 2 {
			t.Errorf("%d commits, want 2", n.Load())
		}
		if diff := cmp.Diff(want, names(t, db)); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
	})
}

// Functions of a group that fail, and what the failure takes with it.
var (
	errRefused = errors.New("refused")

	failing = map[string]func(*Tx) error{
		"error": func(tx *Tx) error {
			return errors.Join(insertName("error")(tx), errRefused)
		},
		"panic": func(tx *Tx) error {
			_ = insertName("panic")(tx)
			panic(errRefused)
		},
		"constraint": func(tx *Tx) error {
			return errors.Join(insertName("constraint")(tx), insertName("taken")(tx))
		},
		"foreign key": func(tx *Tx) error {
			_, err := tx.ExecContext(context.Background(), `INSERT INTO child VALUES (1)`)
			return errors.Join(err, insertName("foreign key")(tx))
		},
		"open rows": func(tx *Tx) error {
			rows, err := tx.QueryContext(context.Background(), `SELECT name FROM outbox`)
			if err != nil || !rows.Next() {
				return fmt.Errorf("got no row, want one: %v", err)
			}
			return errors.Join(insertName("open rows")(tx), errRefused)
		},
		"rollback": func(tx *Tx) error {
			_, err := tx.ExecContext(context.Background(),
				`INSERT OR ROLLBACK INTO outbox (name, created_at, message) VALUES ('taken', 1, x'00')`)
			return err
		},
		"rollback, unnoticed": func(tx *Tx) error {
			ctx := context.Background()
			_, _ = tx.ExecContext(ctx,
				`INSERT OR ROLLBACK INTO outbox (name, created_at, message) VALUES ('taken', 1, x'00')`)
			_ = insertName("after the rollback")(tx)
			_, _ = tx.ExecContext(ctx,
				`INSERT INTO outbox (name, created_at, message) VALUES ('unprepared', 1, x'00')`)
			_ = tx.QueryRowContext(ctx,
				`INSERT INTO outbox (name, created_at, message) VALUES ('third', 1, x'00') RETURNING id`).Scan(new(int))
			_ = tx.QueryRowContext(ctx,
				`INSERT INTO outbox (name, created_at, message) VALUES ('both', 1, x'00') RETURNING id`).Scan(new(int))
			return nil
		},
		"disk full": func(tx *Tx) error {
			ctx := context.Background()
			var pages int
			if err := tx.QueryRowContext(ctx, `PRAGMA page_count`).Scan(&pages); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, fmt.Sprintf(`PRAGMA max_page_count = %d`, pages)); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx,
				`INSERT INTO outbox (name, created_at, message) VALUES ('large', 1, zeroblob(1000000))`)
			return err
		},
	}
)

func TestWriteFailsInGroup(t *testing.T) {
	t.Parallel()
	all := []string{"taken", "a", "b", "c", "d"}
	for _, test := range []struct {
		name string
		bad  string
		want []string // rows of a, bad, b, bad, c
	}{
		{"error", "error", all},
		{"panic", "panic", all},
		{"violated constraint", "constraint", all},
		{"deferred foreign key", "foreign key", all},
		{"rows left open", "open rows", all},
		{"SQLite rolls back", "rollback", []string{"taken", "b", "c", "d"}},
		{"SQLite rolls back and the function goes on", "rollback, unnoticed", []string{"taken", "b", "c", "d"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := open(t, filepath.Join(t.TempDir(), "test.db"))
				prepare(t, db)
				bad := failing[test.bad]
				// The first bad one ends its group when SQLite rolls back; b then begins another.
				outcomes := together(db, insertName("a"), bad, insertName("b"), insertName("c"), insertName("d"))
				checkFailed(t, outcomes[1])
				for i, name := range []string{"a", "", "b", "c", "d"} {
					if name == "" {
						continue
					}
					committed := slices.Contains(test.want, name)
					if o := outcomes[i]; committed != (o.err == nil) || !slices.Equal(o.after, []bool{committed}) {
						t.Errorf("%q: %+v, want committed %t", name, o, committed)
					}
				}
				if diff := cmp.Diff(test.want, names(t, db)); diff != "" {
					t.Errorf("rows (-want +got):\n%s", diff)
				}
			})
		})
		t.Run(test.name+", first", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := open(t, filepath.Join(t.TempDir(), "test.db"))
				prepare(t, db)
				outcomes := together(db, failing[test.bad], insertName("a"), insertName("b"))
				checkFailed(t, outcomes[0])
				if err := errors.Join(outcomes[1].err, outcomes[2].err); err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff([]string{"taken", "a", "b"}, names(t, db)); diff != "" {
					t.Errorf("rows (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// prepare makes the tables and the row that the failing functions need.
func prepare(t *testing.T, db *DB) {
	t.Helper()
	err := db.Write(t.Context(), func(tx *Tx) error {
		_, err := tx.ExecContext(t.Context(), `
			CREATE TABLE child (parent INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
			CREATE TABLE parent (id INTEGER PRIMARY KEY);
			INSERT INTO outbox (name, created_at, message) VALUES ('taken', 1, x'00')`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkFailed(t *testing.T, o outcome) {
	t.Helper()
	if o.err == nil && o.panicked == nil || !slices.Equal(o.after, []bool{false}) {
		t.Errorf("the write that fails: got %+v, want an error and After with false", o)
	}
	if o.panicked != nil && o.panicked != errRefused {
		t.Errorf("got the panic %v, want %v", o.panicked, errRefused)
	}
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := open(t, filepath.Join(t.TempDir(), "test.db"))
		prepare(t, db)
		outcomes := together(db, insertName("a"), insertName("b"), failing["disk full"])
		for i, o := range outcomes {
			if o.err == nil || !slices.Equal(o.after, []bool{false}) {
				t.Errorf("write %d: got %+v, want an error and After with false", i, o)
			}
		}
		if err := outcomes[2].err; !strings.Contains(err.Error(), "full") {
			t.Errorf("the full disk: got %v, want an error about it", err)
		}
		if err := outcomes[0].err; !errors.Is(err, errRolledBack) {
			t.Errorf("a write of the same group: got %v, want %v", err, errRolledBack)
		}
		if err := db.Write(t.Context(), func(tx *Tx) error {
			if _, err := tx.ExecContext(t.Context(), `PRAGMA max_page_count = 1000000`); err != nil {
				return err
			}
			return insertName("c")(tx)
		}); err != nil {
			t.Errorf("with space again: got %v, want no error", err)
		}
		if diff := cmp.Diff([]string{"taken", "c"}, names(t, db)); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
	})
}

func TestCommitFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := open(t, filepath.Join(t.TempDir(), "test.db"))
		_, veto := commits(t, db)
		veto.Store(true)
		refused := func(*Tx) error { return errRefused }
		outcomes := together(db, insertName("a"), refused, insertName("b"))
		for i, o := range outcomes {
			if o.err == nil || errors.Is(o.err, errRefused) != (i == 1) || !slices.Equal(o.after, []bool{false}) {
				t.Errorf("write %d: got %+v, want an error, refused %t, and After with false", i, o, i == 1)
			}
		}
		veto.Store(false)
		if err := db.Write(t.Context(), insertName("c")); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"c"}, names(t, db)); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
	})
}

func TestGoexit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := open(t, filepath.Join(t.TempDir(), "test.db"))
		outcomes := together(db, insertName("a"), func(tx *Tx) error {
			_ = insertName("b")(tx)
			runtime.Goexit()
			return nil
		}, insertName("c"))
		if outcomes[0].err == nil || outcomes[1].err == nil || outcomes[2].err != nil {
			t.Errorf("got %+v, want errors of the first two writes only", outcomes)
		}
		if diff := cmp.Diff([]string{"c"}, names(t, db)); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
	})
}
