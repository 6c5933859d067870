package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// look connects to the file at path as it is: neither made nor migrated.
func look(ctx context.Context, path string, pragmas ...string) (*looking, error) {
	if err := inspect(path); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return lookOpened(ctx, path, pragmas...)
}

// lookOpened is look for a file that this process has open: inspect closes the file, and with it go the locks on it.
func lookOpened(ctx context.Context, path string, pragmas ...string) (*looking, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	c, err := newConn(dsn(abs, append(pragmas, wait)...))
	if err != nil {
		return nil, err
	}
	if err := c.connect(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, explain(err)), c.close())
	}
	return &looking{c, abs}, nil
}

// looking is a connection to a file as it is.
type looking struct {
	*conn
	abs string
}

// end closes it, and leaves the file as whoever closes it last has to. What it was for has been read.
func (l *looking) end() {
	_ = l.close()
	_ = endUse(context.Background(), l.abs, false)
}

// Look runs fn on the file at path as it is: neither made, migrated nor changed.
func Look(ctx context.Context, path string, now func() time.Time, fn func(*Tx) error) error {
	c, err := look(ctx, path, "query_only(1)")
	if err != nil {
		return err
	}
	defer c.end()
	tx := &Tx{Now: now().UTC(), conn: c.conn}
	tx.Tx.tx = tx
	if err := c.begin(ctx, "BEGIN"); err != nil {
		return fmt.Errorf("%s: %w", path, explain(err))
	}
	err = fn(tx)
	tx.end()
	return errors.Join(err, c.rollback())
}

// LastIDs are the ids that tables of the database at path have given out last. Ids that are newer than a backup must not be
// given out again after it is restored: tokens name them.
func LastIDs(ctx context.Context, path string) (map[string]int64, error) {
	c, err := look(ctx, path, "query_only(1)")
	if err != nil {
		return nil, err
	}
	defer c.end()
	rows, err := c.sql.QueryContext(ctx, `SELECT name, seq FROM sqlite_sequence`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	last := map[string]int64{}
	for rows.Next() {
		var name string
		var id int64
		if err := rows.Scan(&name, &id); err != nil {
			return nil, err
		}
		last[name] = id
	}
	return last, rows.Err()
}

// NextID gives out an id of a table without a row, which then never gets one. The table has had a row before.
func NextID(ctx context.Context, tx *Tx, table string) (id int64, err error) {
	const query = `UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = ? RETURNING seq`
	if err := tx.QueryRowContext(ctx, query, table).Scan(&id); err != nil {
		return 0, fmt.Errorf("give out an id of %s: %w", table, err)
	}
	return id, nil
}

// unknownIDs is how many ids are left out where nobody can say which have been given out. Ids of users are 32-bit numbers
// in the API.
const unknownIDs = 1 << 20

// SkipIDs lets every table go on after the ids of last; nil: nobody knows them.
func SkipIDs(ctx context.Context, tx *Tx, last map[string]int64) error {
	if last == nil {
		// A table that has given out none yet has no row.
		for _, query := range []string{
			`UPDATE sqlite_sequence SET seq = seq + ?1`,
			`INSERT INTO sqlite_sequence (name, seq) SELECT name, ?1 FROM sqlite_schema s WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'
				AND NOT EXISTS (SELECT 1 FROM sqlite_sequence q WHERE q.name = s.name)`,
		} {
			if _, err := tx.ExecContext(ctx, query, unknownIDs); err != nil {
				return fmt.Errorf("skip ids: %w", err)
			}
		}
		return nil
	}
	for name, id := range last {
		for _, query := range []string{
			`UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1`,
			`INSERT INTO sqlite_sequence (name, seq) SELECT name, ?2 FROM sqlite_schema s WHERE type = 'table' AND name = ?1
				AND NOT EXISTS (SELECT 1 FROM sqlite_sequence q WHERE q.name = s.name)`,
		} {
			if _, err := tx.ExecContext(ctx, query, name, id); err != nil {
				return fmt.Errorf("skip ids: %w", err)
			}
		}
	}
	return nil
}
