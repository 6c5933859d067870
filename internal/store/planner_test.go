package store

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestStablePlans: a statement keeps the plan that it was prepared with. A statement that is planned again for a bound
// value would use the partial index for that value.
func TestStablePlans(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "test.db"))
	ctx := t.Context()
	if err := db.Write(ctx, func(tx *Tx) error {
		_, err := tx.ExecContext(ctx, `
			CREATE TABLE plans (a INTEGER, b TEXT);
			CREATE INDEX some ON plans (b) WHERE a = 1`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	const plan = `EXPLAIN QUERY PLAN SELECT 1 FROM plans WHERE b = 'b' AND a = `
	for _, test := range []struct {
		query string
		args  []any
		index bool
	}{{plan + "1", nil, true}, {plan + "?", []any{1}, false}} {
		if err := db.Read(ctx, func(tx *Tx) error {
			var id, parent, unused int
			var step string
			row := tx.QueryRowContext(ctx, test.query, test.args...)
			if err := row.Scan(&id, &parent, &unused, &step); err != nil {
				return err
			}
			if strings.Contains(step, "INDEX some") != test.index {
				t.Errorf("%s %v: got %s, want the index used: %t", test.query, test.args, step, test.index)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}
