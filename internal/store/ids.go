package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// connectTo connects to the file at path without creating or migrating it.
func connectTo(ctx context.Context, path string, pragmas ...string) (*fileConn, error) {
	if err := inspect(path); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return connectToOpen(ctx, path, pragmas...)
}

// connectToOpen is connectTo for a file that this process has open: inspect would close the file, and so drop the
// locks on it (POSIX).
func connectToOpen(ctx context.Context, path string, pragmas ...string) (*fileConn, error) {
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
	return &fileConn{c, abs}, nil
}

// fileConn is a connection to an existing file, which may have any schema.
type fileConn struct {
	*conn
	abs string
}

// end closes the connection. Errors do not matter: everything has been read.
func (l *fileConn) end() {
	_ = l.close()
	_ = leaveAsOneFile(context.Background(), l.abs, false)
}

// Look runs fn on the file at path, which is neither created, migrated nor changed.
func Look(ctx context.Context, path string, now func() time.Time, fn func(*Tx) error) error {
	c, err := connectTo(ctx, path, "query_only(1)")
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

// LastIDs returns the last id that each table of the database at path has used. After a restore, ids that were used
// since the backup must not be used again, because tokens name them.
func LastIDs(ctx context.Context, path string) (map[string]int64, error) {
	c, err := connectTo(ctx, path, "query_only(1)")
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
	if last == nil {
		// A table that has used no id yet has no row.
		for _, query := range []string{
			`UPDATE sqlite_sequence SET seq = seq + ?1`,
			`INSERT INTO sqlite_sequence (name, seq)
				SELECT name, ?1 FROM sqlite_schema s WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'
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
			`INSERT INTO sqlite_sequence (name, seq)
				SELECT name, ?2 FROM sqlite_schema s WHERE type = 'table' AND name = ?1
				AND NOT EXISTS (SELECT 1 FROM sqlite_sequence q WHERE q.name = s.name)`,
		} {
			if _, err := tx.ExecContext(ctx, query, name, id); err != nil {
				return fmt.Errorf("skip ids: %w", err)
			}
		}
	}
	return nil
}
