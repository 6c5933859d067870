package store

import (
	"context"
	"errors"
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

// maxProblems is the largest number of problems of one kind that are reported.
const maxProblems = 10

// Check reads the whole file at path: pages, indexes and foreign keys, and whether the schema is complete. It changes
// nothing, and fails if the file cannot be read.
func Check(ctx context.Context, path string) (Condition, error) {
	var found Condition
	c, err := connectTo(ctx, path, "query_only(1)")
	if err != nil {
		return found, err
	}
	defer c.end()
	if err = c.begin(ctx, "BEGIN"); err == nil { // one snapshot, even if another process migrates the file
		err = errors.Join(found.read(ctx, c.conn), c.rollback())
	}
	if err != nil {
		return found, fmt.Errorf("%s: %w", path, explain(err))
	}
	return found, nil
}

func (f *Condition) read(ctx context.Context, c *conn) error {
	names, err := steps()
	if err != nil {
		return err
	}
	f.Newest = len(names)
	if err := c.sql.QueryRowContext(ctx, "PRAGMA user_version").Scan(&f.Version); err != nil {
		return err
	}
	if f.Version > f.Newest {
		return newer(f.Version, f.Newest)
	}
	if f.Version < 1 {
		return notAccountd("")
	}
	want, err := expectedSchema(ctx, f.Version)
	if err != nil {
		return err
	}
	have, err := readSchema(ctx, c)
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
	if err := f.add(ctx, c, fmt.Sprintf("PRAGMA integrity_check(%d)", maxProblems), "ok"); err != nil {
		return err
	}
	const references = `
		SELECT printf('row %s of %s refers to a row of %s that is not there', coalesce(rowid, '?'), "table", parent)
		FROM pragma_foreign_key_check LIMIT 10`
	if err := f.add(ctx, c, references, ""); err != nil {
		return err
	}
	return c.sql.QueryRowContext(ctx, `SELECT count(*) FROM users`).Scan(&f.Users)
}

// add adds the rows of a query to the problems, except those equal to fine.
func (f *Condition) add(ctx context.Context, c *conn, query, fine string) error {
	rows, err := c.sql.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		if text != fine {
			f.Problems = append(f.Problems, text)
		}
	}
	return rows.Err()
}

// err returns the problems as one error, nil if there are none.
func (f Condition) err() error {
	var errs []error
	for _, problem := range f.Problems {
		errs = append(errs, errors.New(problem))
	}
	return errors.Join(errs...)
}
