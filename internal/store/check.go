package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// Condition is the result of Check.
type Condition struct {
	Version, Newest int      // of the schema: that of the file, and the newest
	Users           int64    // number of users
	Problems        []string // nil: the file is sound
}

// Check reads the whole file at path: pages, indexes and foreign keys, and whether the schema is complete. It reports
// at most ten problems of pages and indexes, and ten of foreign keys. It changes nothing, and fails if the file cannot
// be read.
func Check(ctx context.Context, path string) (Condition, error) {
	found := Condition{Newest: len(steps())}
	err := look(ctx, path, func(tx *Tx) error { // one snapshot, even if another process migrates the file
		if err := found.read(ctx, tx); err != nil {
			return fmt.Errorf("%s: %w", path, explain(err))
		}
		return nil
	})
	return found, err
}

func (f *Condition) read(ctx context.Context, tx *Tx) (err error) {
	if f.Version, err = tx.version(ctx); err != nil {
		return err
	}
	want, err := expectedSchema(ctx, f.Version)
	if err != nil {
		return err
	}
	have, err := pairs[string](tx.QueryContext(ctx, schemaQuery))
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if sql, ok := have[name]; !ok {
			return notAccountd(name)
		} else if sql != want[name] {
			f.Problems = append(f.Problems, "its "+name+" is not as accountd makes it")
		}
	}
	if err := f.add(ctx, tx, `PRAGMA integrity_check(10)`); err != nil {
		return err
	}
	const references = `
		SELECT printf('row %s of %s refers to a row of %s that is not there', coalesce(rowid, '?'), "table", parent)
		FROM pragma_foreign_key_check LIMIT 10`
	if err := f.add(ctx, tx, references); err != nil {
		return err
	}
	return tx.QueryRowContext(ctx, `SELECT count(*) FROM users`).Scan(&f.Users)
}

// add adds the rows of a query to the problems, except "ok".
func (f *Condition) add(ctx context.Context, tx *Tx, query string) error {
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		if text != "ok" {
			f.Problems = append(f.Problems, text)
		}
	}
	return rows.Err()
}
