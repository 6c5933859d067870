package store

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// TestConnectionInUnknownState ends the transaction behind the writer's back, which then opens another connection.
func TestConnectionInUnknownState(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	db := open(t, path)
	for name, run := range map[string]func(context.Context, func(*Tx) error) error{"Read": db.Read, "Write": db.Write} {
		for _, want := range []error{nil, errRefused} {
			var c *conn
			var before *sql.Conn
			err := run(t.Context(), func(tx *Tx) error {
				c, before = tx.conn, tx.conn.sql
				if _, err := tx.ExecContext(t.Context(), "COMMIT"); err != nil {
					t.Error(err)
				}
				return want
			})
			if err == nil || !errors.Is(err, want) && want != nil {
				t.Errorf("%s of a function that ends the transaction and returns %v: got %v, want an error", name,
					want, err)
			}
			if c.sql == before {
				t.Errorf("%s: got the same connection, want another", name)
			}
		}
	}
	if err := db.Write(t.Context(), insertName("b")); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"b"}, names(t, db)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got a WAL (%v), want none as no connection is open", err)
	}
}

func TestContextEnds(t *testing.T) {
	t.Parallel()
	t.Run("while waiting", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			db := open(t, filepath.Join(t.TempDir(), "test.db"))
			ctx, cancel := context.WithCancel(t.Context())
			left := make(chan error, 1)
			together(db, insertName("a"), func(*Tx) error { return nil }) // statements are prepared
			release := make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				if err := db.Write(context.Background(), func(tx *Tx) error { <-release; return nil }); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
			wg.Go(func() {
				left <- db.Write(ctx, func(*Tx) error { t.Error("got run, want skipped"); return nil })
			})
			synctest.Wait()
			cancel()
			if err := <-left; !errors.Is(err, context.Canceled) {
				t.Errorf("Write: got %v, want context.Canceled", err)
			}
			close(release)
			wg.Wait()
			if err := db.Write(ctx, func(*Tx) error { t.Error("got run, want skipped"); return nil }); !errors.Is(err,
				context.Canceled) {
				t.Errorf("Write: got %v, want context.Canceled", err)
			}
		})
	})
	t.Run("while another process writes", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "test.db")
		db, other := open(t, path), open(t, path)
		ctx, cancel := context.WithCancel(t.Context())
		err := other.Write(t.Context(), func(*Tx) error {
			w := &write{fn: func(*Tx) error { t.Error("got run, want skipped"); return nil }, done: make(chan struct{})}
			db.writer.queue <- w // taken, and now waiting for the lock of the file
			cancel()
			return w.wait(ctx)
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Write: got %v, want context.Canceled", err)
		}
		if err := db.Write(t.Context(), insertName("a")); err != nil {
			t.Error(err)
		}
	})
	t.Run("while running", func(t *testing.T) {
		db := open(t, filepath.Join(t.TempDir(), "test.db"))
		ctx, cancel := context.WithCancel(t.Context())
		err := db.Write(ctx, func(tx *Tx) error {
			cancel()
			var n int
			if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM outbox`).Scan(&n); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, insert, "a")
			return err
		})
		if n := count(t, db); err != nil || n != 1 {
			t.Errorf("got %v, %d rows; want 1", err, n)
		}
	})
	t.Run("while reading", func(t *testing.T) {
		db := open(t, filepath.Join(t.TempDir(), "test.db"))
		for range 2 * readers {
			ctx, cancel := context.WithCancel(t.Context())
			err := db.Read(ctx, func(tx *Tx) error {
				rows, err := tx.QueryContext(ctx,
					`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n`)
				if err != nil {
					return err
				}
				cancel()
				for rows.Next() {
				}
				return rows.Err()
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("Read: got %v, want context.Canceled", err)
			}
			count(t, db)
		}
	})
}

// TestStatementsAreBounded: a connection does not keep every query that it has run.
func TestStatementsAreBounded(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "test.db"))
	for i := range maxStatements + 10 {
		err := db.Write(t.Context(), func(tx *Tx) error {
			var n int
			err := tx.QueryRowContext(t.Context(), "SELECT "+strconv.Itoa(i)).Scan(&n)
			if kept := len(tx.Prepared()); err != nil || n != i || kept > maxStatements+2 {
				t.Errorf("query %d: got %d, %v, %d statements, want at most %d", i, n, err, kept, maxStatements+2)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestTxIsOver(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "test.db"))
	for name, run := range map[string]func(context.Context, func(*Tx) error) error{"Read": db.Read, "Write": db.Write} {
		var order []string
		err := run(t.Context(), func(tx *Tx) error {
			tx.After(func(bool) {
				order = append(order, "first")
				if err := insertName("late")(tx); err == nil {
					t.Errorf("%s: got a statement after the transaction, want an error", name)
				}
				if err := db.Write(t.Context(), func(*Tx) error { return nil }); err != nil {
					t.Errorf("%s: a write in the hook: got %v, want no error", name, err)
				}
			})
			tx.After(func(bool) { order = append(order, "second") })
			return nil
		})
		if err != nil || !slices.Equal(order, []string{"first", "second"}) {
			t.Errorf("%s: got %v, hooks %v; want first and second", name, err, order)
		}
	}
	if n := count(t, db); n != 0 {
		t.Errorf("got %d rows, want none", n)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "test.db")
		db := open(t, path)
		release := make(chan struct{})
		var wg sync.WaitGroup
		var closed atomic.Bool
		const writes = 8 * groupSize // so that the writer meets Close between two groups
		for i := range writes {
			wg.Go(func() {
				err := db.Write(context.Background(), func(tx *Tx) error {
					if i == 0 {
						<-release
					}
					return errors.Join(insertName(strconv.Itoa(i))(tx), db.Read(t.Context(),
						func(*Tx) error { return nil }))
				})
				if err != nil {
					t.Error(err)
				}
			})
			if i == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		wg.Go(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
			closed.Store(true)
		})
		synctest.Wait()
		if closed.Load() {
			t.Error("Close: got an end before the write's, want one after it")
		}
		if err := db.Write(t.Context(), insertName("late")); !errors.Is(err, errClosed) {
			t.Errorf("Write: got %v, want %v", err, errClosed)
		}
		close(release)
		wg.Wait()
		if err := db.Read(t.Context(), func(*Tx) error { return nil }); !errors.Is(err, errClosed) {
			t.Errorf("Read: got %v, want %v", err, errClosed)
		}
		if err := db.Close(); err != nil {
			t.Errorf("Close again: got %v, want no error", err)
		}
		if n := count(t, open(t, path)); n != writes {
			t.Errorf("%d rows, want %d", n, writes)
		}
	})
}
