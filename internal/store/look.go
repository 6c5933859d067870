package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// visit runs fn with a connection to the file at path, which is neither created nor migrated.
func visit(ctx context.Context, path string, fn func(*conn) error, pragmas ...string) error {
	fail := func(err error) error { return fmt.Errorf("%s: %w", path, explain(err)) }
	if _, err := inspect(path); err != nil {
		return fail(err)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return fail(err)
	}
	c, err := dial(ctx, dsn(abs, append(pragmas, wait)...))
	if err != nil {
		return fail(err)
	}
	defer func() { // the errors do not matter: fn is done
		_ = c.close()
		_ = leaveAsOneFile(context.Background(), abs, false)
	}()
	return fn(c)
}

// look runs fn in a read transaction on the file at path, which is neither created, migrated nor changed.
func look(ctx context.Context, path string, fn func(*Tx) error) error {
	return visit(ctx, path, func(c *conn) error {
		if err := c.begin(ctx, "BEGIN"); err != nil {
			return fmt.Errorf("%s: %w", path, explain(err))
		}
		tx := &Tx{conn: c}
		err := fn(tx)
		tx.end()
		return errors.Join(err, c.rollback())
	}, "query_only(1)")
}

// Look runs fn on the file at path, which is neither created, migrated nor changed.
func Look(ctx context.Context, path string, now func() time.Time, fn func(*Tx) error) error {
	return look(ctx, path, func(tx *Tx) error {
		tx.Now = now().UTC()
		return fn(tx)
	})
}

// LastIDs returns the last id that each table of the database at path has used. After a restore, ids that were used
// since the backup must not be used again, because tokens name them.
func LastIDs(ctx context.Context, path string) (last map[string]int64, err error) {
	err = look(ctx, path, func(tx *Tx) error {
		last, err = pairs[int64](tx.QueryContext(ctx, `SELECT name, seq FROM sqlite_sequence`))
		return err
	})
	return last, err
}

// NextID uses up an id of a table without inserting a row. The table must have had a row before.
func NextID(ctx context.Context, tx *Tx, table string) (id int64, err error) {
	const query = `UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = ? RETURNING seq`
	if err := tx.QueryRowContext(ctx, query, table).Scan(&id); err != nil {
		return 0, fmt.Errorf("give out an id of %s: %w", table, err)
	}
	return id, nil
}

// unknownIDs is the number of ids that are skipped if the last ones are not known. Ids of users have 32 bits in the
// API.
const unknownIDs = 1 << 20

// SkipIDs makes every table continue after the ids of last; nil: they are not known.
func SkipIDs(ctx context.Context, tx *Tx, last map[string]int64) error {
	// A table that has used no id yet has no row.
	_, err := tx.ExecContext(ctx, `
		INSERT INTO sqlite_sequence (name, seq)
		SELECT name, 0 FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'
			AND name NOT IN (SELECT name FROM sqlite_sequence)`)
	if err == nil && last == nil {
		_, err = tx.ExecContext(ctx, `UPDATE sqlite_sequence SET seq = seq + ?`, unknownIDs)
	}
	for name, id := range last {
		if err == nil {
			_, err = tx.ExecContext(ctx, `UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?`, id, name)
		}
	}
	if err != nil {
		return fmt.Errorf("skip ids: %w", err)
	}
	return nil
}
