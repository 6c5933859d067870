package email

import (
	"context"
	"fmt"

	"accountd/internal/store"
)

// row is a message in the outbox.
type row struct {
	id        int64
	name      string
	createdAt int64 // unix seconds; set by listRows
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

func countRows(ctx context.Context, tx *store.Tx) (n int, err error) {
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM outbox`).Scan(&n); err != nil {
		return 0, fmt.Errorf("count outbox: %w", err)
	}
	return n, nil
}

func listRows(ctx context.Context, tx *store.Tx, after int64, limit int) ([]row, error) {
	rows, err := tx.QueryContext(ctx,
		`SELECT id, name, created_at, message FROM outbox WHERE id > ? ORDER BY id LIMIT ?`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list outbox: %w", err)
	}
	defer rows.Close()
	var list []row
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.id, &r.name, &r.createdAt, &r.sealed); err != nil {
			return nil, fmt.Errorf("list outbox: %w", err)
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

func rowExists(ctx context.Context, tx *store.Tx, id int64) (bool, error) {
	return exists(ctx, tx, `SELECT EXISTS (SELECT 1 FROM outbox WHERE id = ?)`, id)
}

func nameExists(ctx context.Context, tx *store.Tx, name string) (bool, error) {
	return exists(ctx, tx, `SELECT EXISTS (SELECT 1 FROM outbox WHERE name = ?)`, name)
}

func exists(ctx context.Context, tx *store.Tx, query string, key any) (found bool, err error) {
	if err := tx.QueryRowContext(ctx, query, key).Scan(&found); err != nil {
		return false, fmt.Errorf("look up outbox row: %w", err)
	}
	return found, nil
}

func deleteRows(ctx context.Context, tx *store.Tx, rows []row) error {
	for _, r := range rows {
		if _, err := tx.ExecContext(ctx, `DELETE FROM outbox WHERE id = ?`, r.id); err != nil {
			return fmt.Errorf("delete from outbox: %w", err)
		}
	}
	return nil
}

func deleteAllRows(ctx context.Context, tx *store.Tx) (int64, error) {
	result, err := tx.ExecContext(ctx, `DELETE FROM outbox`)
	if err != nil {
		return 0, fmt.Errorf("delete all of the outbox: %w", err)
	}
	return result.RowsAffected()
}
