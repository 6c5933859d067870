package accounts

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"accountd/internal/store"
)

// loadTally is zero where nothing was counted.
func loadTally(ctx context.Context, tx *store.Tx, b bucket) (tally, error) {
	var t tally
	err := tx.QueryRowContext(ctx, `SELECT since, count, failures, refused FROM throttles WHERE kind = ? AND key = ?`, string(b.kind), b.key).
		Scan(&t.since, &t.count, &t.failures, &t.refused)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return tally{}, fmt.Errorf("look up throttle: %w", err)
	}
	return t, nil
}

func storeTally(ctx context.Context, tx *store.Tx, b bucket, t tally) error {
	if _, err := tx.ExecContext(ctx, `
		INSERT INTO throttles (kind, key, since, count, failures, refused, used) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (kind, key) DO UPDATE SET since = excluded.since, count = excluded.count, failures = excluded.failures,
			refused = excluded.refused, used = excluded.used`,
		string(b.kind), b.key, t.since, t.count, t.failures, t.refused, tx.Now.Unix()); err != nil {
		return fmt.Errorf("count: %w", err)
	}
	return nil
}

// boundTallies deletes the least recently used of a kind where there are more than limit: one for one, and some more at a time where
// the limit was lowered.
func boundTallies(ctx context.Context, tx *store.Tx, kind throttleKind, limit int) error {
	var keys int
	if err := tx.QueryRowContext(ctx, `SELECT keys FROM throttle_sizes WHERE kind = ?`, string(kind)).Scan(&keys); err != nil {
		return fmt.Errorf("count throttles: %w", err)
	}
	if keys <= limit {
		return nil
	}
	if _, err := tx.ExecContext(ctx, `
		DELETE FROM throttles WHERE kind = ?1 AND key IN (SELECT key FROM throttles WHERE kind = ?1 ORDER BY used LIMIT ?2)`,
		string(kind), min(keys-limit, 100)); err != nil {
		return fmt.Errorf("bound throttles: %w", err)
	}
	return nil
}

// clearFailures lets passwords of a user be looked at again, from wherever they come.
func clearFailures(ctx context.Context, tx *store.Tx, id int64) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM throttles WHERE kind = ? AND key = ?`, string(throttleAccount), accountKey(id)); err != nil {
		return fmt.Errorf("clear failures: %w", err)
	}
	first, end := knownKeys(id)
	if _, err := tx.ExecContext(ctx, `DELETE FROM throttles WHERE kind = ? AND key >= ? AND key < ?`,
		string(throttleKnown), first, end); err != nil {
		return fmt.Errorf("clear failures: %w", err)
	}
	return nil
}

// knownKeys is the range of the keys of a user's own networks.
func knownKeys(id int64) (first, end string) { return knownKey(id, ""), knownKey(id, "\x7f") }

// loadKnownTallies are those of a user's own networks.
func loadKnownTallies(ctx context.Context, tx *store.Tx, id int64) (list []tally, err error) {
	first, end := knownKeys(id)
	rows, err := tx.QueryContext(ctx,
		`SELECT since, count, failures, refused FROM throttles WHERE kind = ? AND key >= ? AND key < ?`,
		string(throttleKnown), first, end)
	if err != nil {
		return nil, fmt.Errorf("look up throttles: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var t tally
		if err := rows.Scan(&t.since, &t.count, &t.failures, &t.refused); err != nil {
			return nil, fmt.Errorf("look up throttles: %w", err)
		}
		list = append(list, t)
	}
	return list, rows.Err()
}

// clearTally deletes what a bucket has counted.
func clearTally(ctx context.Context, tx *store.Tx, b bucket) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM throttles WHERE kind = ? AND key = ?`, string(b.kind), b.key); err != nil {
		return fmt.Errorf("clear failures: %w", err)
	}
	return nil
}

// clearTallies deletes up to limit rows that no rate can count any more, and says how many. Accounts keep theirs:
// failures in a row do not age, but for those from a network of the owner's own.
func clearTallies(ctx context.Context, tx *store.Tx, before time.Time, limit int) (int64, error) {
	result, err := tx.ExecContext(ctx, `
		DELETE FROM throttles WHERE (kind, key) IN (SELECT kind, key FROM throttles WHERE kind <> ? AND used < ? LIMIT ?)`,
		string(throttleAccount), before.Unix(), limit)
	if err != nil {
		return 0, fmt.Errorf("clear throttles: %w", err)
	}
	return result.RowsAffected()
}
