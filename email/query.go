package email

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"accountd/internal/store"
)

// row is a message in the outbox.
type row struct {
	id        int64
	name      string
	createdAt int64 // unix seconds
	sealed    []byte
}

func insertRow(ctx context.Context, tx *store.Tx, name string, sealed []byte) (int64, error) {
	result, err := tx.ExecContext(ctx,
		`INSERT INTO outbox (name, created_at, message) VALUES (?, ?, ?)`, name, tx.Now.Unix(), sealed)
	if err != nil {
		return 0, fmt.Errorf("insert into outbox: %w", err)
	}
	return result.LastInsertId()
}

// Count counts the messages in the outbox, unreadable ones included. It works with every schema version.
func Count(ctx context.Context, tx *store.Tx) (n int, err error) {
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM outbox`).Scan(&n); err != nil {
		return 0, fmt.Errorf("count outbox: %w", err)
	}
	return n, nil
}

// eachRow calls fn for every row, oldest first, until it fails. fn runs outside of transactions.
func eachRow(ctx context.Context, db *store.DB, fn func(row) error) error {
	const query = `SELECT id, name, created_at, message FROM outbox WHERE id > ? ORDER BY id LIMIT 1`
	for r := (row{}); ; {
		last := r.id
		err := db.ReadOne(ctx, func(tx *store.Tx) error {
			err := tx.QueryRowContext(ctx, query, last).Scan(&r.id, &r.name, &r.createdAt, &r.sealed)
			if errors.Is(err, sql.ErrNoRows) {
				return nil // an error would drop the connection
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("read the outbox: %w", err)
		}
		if r.id == last {
			return nil
		}
		if err := fn(r); err != nil {
			return err
		}
	}
}

// hasRow reports whether the outbox has a message of the name.
func hasRow(ctx context.Context, db *store.DB, name string) (found bool, err error) {
	err = db.ReadOne(ctx, func(tx *store.Tx) error {
		return tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM outbox WHERE name = ?)`, name).Scan(&found)
	})
	if err != nil {
		return false, fmt.Errorf("look up outbox row: %w", err)
	}
	return found, nil
}

func deleteRows(ctx context.Context, tx *store.Tx, ids []int64) error {
	for _, id := range ids {
		if _, err := tx.Exec(ctx, "delete from outbox", `DELETE FROM outbox WHERE id = ?`, id); err != nil {
			return err
		}
	}
	return nil
}

// DropAll deletes every message from the outbox and counts them. No process may be serving.
func DropAll(ctx context.Context, tx *store.Tx) (int64, error) {
	return tx.Exec(ctx, "delete all of the outbox", `DELETE FROM outbox`)
}
