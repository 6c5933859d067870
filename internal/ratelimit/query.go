package ratelimit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"accountd/internal/store"
)

// load is the zero counter where nothing was counted.
func load(ctx context.Context, tx *store.Tx, l Limit) (c counter, err error) {
	err = tx.QueryRowContext(ctx, `SELECT since, count, failures, refused FROM throttles WHERE kind = ? AND key = ?`,
		string(l.Kind), l.Key).Scan(&c.since, &c.count, &c.consecutive, &c.refused)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return counter{}, fmt.Errorf("look up throttle: %w", err)
	}
	return c, nil
}

func save(ctx context.Context, tx *store.Tx, l Limit, c counter) error {
	if _, err := tx.ExecContext(ctx, `
		INSERT INTO throttles (kind, key, since, count, failures, refused, used) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (kind, key) DO UPDATE SET since = excluded.since, count = excluded.count, failures = excluded.failures,
			refused = excluded.refused, used = excluded.used`,
		string(l.Kind), l.Key, c.since, c.count, c.consecutive, c.refused, tx.Now.Unix()); err != nil {
		return fmt.Errorf("count: %w", err)
	}
	if l.MaxKeys == 0 {
		return nil
	}
	return evict(ctx, tx, l)
}

// evict deletes the least recently used counters of a kind that has more than MaxKeys. Of those it deletes at most a
// hundred, which matters where the bound was lowered.
func evict(ctx context.Context, tx *store.Tx, l Limit) error {
	var keys int
	err := tx.QueryRowContext(ctx, `SELECT keys FROM throttle_sizes WHERE kind = ?`, string(l.Kind)).Scan(&keys)
	if err != nil {
		return fmt.Errorf("count throttles: %w", err)
	}
	if keys <= l.MaxKeys {
		return nil
	}
	if _, err := tx.ExecContext(ctx, `
		DELETE FROM throttles WHERE kind = ?1 AND key IN (SELECT key FROM throttles WHERE kind = ?1 ORDER BY used LIMIT ?2)`,
		string(l.Kind), min(keys-l.MaxKeys, 100)); err != nil {
		return fmt.Errorf("bound throttles: %w", err)
	}
	return nil
}

// Reset deletes the counter of one key.
func Reset(ctx context.Context, tx *store.Tx, kind Kind, key string) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM throttles WHERE kind = ? AND key = ?`, string(kind), key); err != nil {
		return fmt.Errorf("reset throttle: %w", err)
	}
	return nil
}

// DeleteUnused deletes up to limit counters that have not changed since before, and returns how many. It keeps those of
// the kind keep.
func DeleteUnused(ctx context.Context, tx *store.Tx, before time.Time, keep Kind, limit int) (int64, error) {
	result, err := tx.ExecContext(ctx, `
		DELETE FROM throttles WHERE (kind, key) IN (SELECT kind, key FROM throttles WHERE kind <> ? AND used < ? LIMIT ?)`,
		string(keep), before.Unix(), limit)
	if err != nil {
		return 0, fmt.Errorf("delete unused throttles: %w", err)
	}
	return result.RowsAffected()
}
