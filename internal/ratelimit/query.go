package ratelimit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"accountd/internal/store"
)

// load returns the zero record where nothing was counted.
func load(ctx context.Context, tx *store.Tx, c Counter) (r record, err error) {
	err = tx.QueryRowContext(ctx, `SELECT since, count, failures, refused FROM throttles WHERE kind = ? AND key = ?`,
		string(c.Kind), c.Key).Scan(&r.since, &r.count, &r.consecutive, &r.refused)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return record{}, fmt.Errorf("read rate limit: %w", err)
	}
	return r, nil
}

// save stores a record. Where the kind has more counters than MaxKeys, it deletes those that were used least recently:
// one for the new one, and up to a hundred after MaxKeys was lowered.
func save(ctx context.Context, tx *store.Tx, l Limit, r record) error {
	_, err := tx.Exec(ctx, "store rate limit", `
		INSERT INTO throttles (kind, key, since, count, failures, refused, used) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (kind, key) DO UPDATE SET since = excluded.since, count = excluded.count,
			failures = excluded.failures, refused = excluded.refused, used = excluded.used`,
		string(l.Kind), l.Key, r.since, r.count, r.consecutive, r.refused, tx.Now.Unix())
	if err != nil || l.MaxKeys == 0 {
		return err
	}
	_, err = tx.Exec(ctx, "bound rate limits", `
		DELETE FROM throttles WHERE kind = ?1 AND key IN (SELECT key FROM throttles WHERE kind = ?1 ORDER BY used
			LIMIT (SELECT min(max(keys - ?2, 0), 100) FROM throttle_sizes WHERE kind = ?1))`,
		string(l.Kind), l.MaxKeys)
	return err
}

// Reset deletes what was counted.
func Reset(ctx context.Context, tx *store.Tx, counters ...Counter) error {
	for _, c := range counters {
		const one = `DELETE FROM throttles WHERE kind = ? AND key = ?`
		if _, err := tx.Exec(ctx, "reset rate limit", one, string(c.Kind), c.Key); err != nil {
			return err
		}
	}
	return nil
}

// DeleteUnused deletes up to limit counters that have not changed since before, and returns how many. It keeps those of
// the kind keep.
func DeleteUnused(ctx context.Context, tx *store.Tx, before time.Time, keep Kind, limit int) (int64, error) {
	return tx.Exec(ctx, "delete unused rate limits", `
		DELETE FROM throttles WHERE (kind, key) IN (
			SELECT kind, key FROM throttles WHERE kind <> ? AND used < ? LIMIT ?)`,
		string(keep), before.Unix(), limit)
}
