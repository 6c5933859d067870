package store

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
)

const countRows = `SELECT count(*) FROM outbox`

// TestReadOne: one statement runs, and a second does not. What one read does wrong, the next does not suffer from.
func TestReadOne(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "test.db"))
	ctx := t.Context()
	if err := db.Write(ctx, func(tx *Tx) error {
		_, err := tx.ExecContext(ctx, insert, "a")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	failure := errors.New("failure")
	var n int
	for _, test := range []struct {
		name string
		fn   func(tx *Tx) error
		want error
	}{
		{"one", func(tx *Tx) error { return tx.QueryRowContext(ctx, countRows).Scan(&n) }, nil},
		{"second", func(tx *Tx) error {
			return errors.Join(tx.QueryRowContext(ctx, countRows).Scan(&n), tx.QueryRowContext(ctx, countRows).Scan(&n))
		}, errOneOnly},
		{"failed", func(tx *Tx) error { return errors.Join(tx.QueryRowContext(ctx, countRows).Scan(&n), failure) },
			failure},
		{"context of the statement ended", func(tx *Tx) error {
			return tx.QueryRowContext(ended,
				countRows).Scan(&n)
		}, nil},
		{"left open", func(tx *Tx) error {
			rows, err := tx.QueryContext(ctx, `SELECT id FROM outbox UNION ALL SELECT 2`)
			if err == nil && !rows.Next() {
				err = errors.New("no row")
			}
			n = 1
			return err
		}, nil},
		{"nothing", func(*Tx) error { n = 1; return nil }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range readers + 1 { // each connection
				n = -1
				var outcome []bool
				err := db.ReadOne(ctx, func(tx *Tx) error {
					tx.After(func(ok bool) { outcome = append(outcome, ok) })
					return test.fn(tx)
				})
				if !errors.Is(err, test.want) || test.want == nil && n != 1 {
					t.Fatalf("%d rows, %v; want %v", n, err, test.want)
				}
				if len(outcome) != 1 || outcome[0] != (test.want == nil) {
					t.Errorf("After: got %v, want %t once", outcome, test.want == nil)
				}
				if got := count(t, db); got != 1 {
					t.Errorf("the next read: got %d rows, want 1", got)
				}
			}
		})
	}
	t.Run("context ended", func(t *testing.T) {
		err := db.ReadOne(ended, func(*Tx) error { t.Error("got run, want skipped"); return nil })
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	t.Run("panic", func(t *testing.T) {
		func() {
			defer func() {
				if got := recover(); got != failure {
					t.Errorf("got the panic %v, want %v", got, failure)
				}
			}()
			_ = db.ReadOne(ctx, func(*Tx) error { panic(failure) })
		}()
		if got := count(t, db); got != 1 {
			t.Errorf("the next read: got %d rows, want 1", got)
		}
	})
	t.Run("writes", func(t *testing.T) {
		err := db.ReadOne(ctx, func(tx *Tx) error {
			_, err := tx.ExecContext(ctx, insert, "b")
			return err
		})
		if err == nil || count(t, db) != 1 {
			t.Errorf("got %v, %d rows; want an error, 1", err, count(t, db))
		}
	})
	t.Run("sees what is committed", func(t *testing.T) {
		for want := range 5 {
			for range 2 {
				if err := db.ReadOne(ctx, func(tx *Tx) error {
					return tx.QueryRowContext(ctx,
						countRows).Scan(&n)
				}); err != nil || n != want+1 {
					t.Fatalf("%d rows, %v; want %d", n, err, want+1)
				}
			}
			if err := db.Write(ctx, func(tx *Tx) error {
				_, err := tx.ExecContext(ctx, insert, string(rune('c'+want)))
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
	})
}
