package accounts

import (
	"context"
	"fmt"
	"time"

	"accountd/internal/store"
)

// A network of a user's own is forgotten when the owner has not proven who they are from there for ownNetworkDays,
// which is longer than a session may last. A login is written once a day.
const ownNetworkDays = 180

func ownSince(now time.Time) int64 { return now.AddDate(0, 0, -ownNetworkDays).Unix() }

// hasNetwork reports whether a network is one of a user's own.
func hasNetwork(ctx context.Context, tx *store.Tx, id int64, network string) (found bool, err error) {
	err = tx.QueryRowContext(ctx, `
		SELECT EXISTS (SELECT 1 FROM own_networks WHERE user_id = ? AND network = ? AND used_at > ?)`,
		id, network, ownSince(tx.Now)).Scan(&found)
	if err != nil {
		err = fmt.Errorf("look up network: %w", err)
	}
	return found, err
}

// hasLogins reports whether a network is one of anybody's own.
func hasLogins(ctx context.Context, tx *store.Tx, network string) (found bool, err error) {
	err = tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM own_networks WHERE network = ? AND used_at > ?)`,
		network, ownSince(tx.Now)).Scan(&found)
	if err != nil {
		err = fmt.Errorf("look up network: %w", err)
	}
	return found, err
}

// insertNetwork remembers that a user was in a network, and forgets those that they have not been in for the longest.
func insertNetwork(ctx context.Context, tx *store.Tx, id int64, network string) error {
	result, err := tx.ExecContext(ctx, `
		INSERT INTO own_networks (user_id, network, used_at) VALUES (?1, ?2, ?3)
		ON CONFLICT (user_id, network) DO UPDATE SET used_at = ?3 WHERE abs(?3 - used_at) >= 86400`,
		id, network, tx.Now.Unix())
	if err != nil {
		return fmt.Errorf("remember network: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return err
	}
	if _, err := tx.ExecContext(ctx, `
		DELETE FROM own_networks WHERE user_id = ?1 AND network NOT IN (
			SELECT network FROM own_networks WHERE user_id = ?1 ORDER BY network = ?2 DESC, used_at DESC LIMIT ?3)`,
		id, network, ownNetworks); err != nil {
		return fmt.Errorf("forget networks: %w", err)
	}
	return nil
}

// clearNetworks deletes up to limit networks that are no longer anybody's own, and says how many.
func clearNetworks(ctx context.Context, tx *store.Tx, limit int) (int64, error) {
	result, err := tx.ExecContext(ctx, `
		DELETE FROM own_networks WHERE (user_id, network) IN (
			SELECT user_id, network FROM own_networks WHERE used_at <= ? LIMIT ?)`,
		ownSince(tx.Now), limit)
	if err != nil {
		return 0, fmt.Errorf("clear networks: %w", err)
	}
	return result.RowsAffected()
}
