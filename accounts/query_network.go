package accounts

import (
	"context"
	"fmt"
	"time"

	"accountd/internal/ratelimit"
	"accountd/internal/store"
)

// A user's own networks are the latest maxOwnNetworks that the user has authenticated from in ownNetworkDays, which is
// longer than a session may last. Each is written once a day.
const (
	maxOwnNetworks = 10
	ownNetworkDays = 180
)

func ownSince(now time.Time) int64 { return now.AddDate(0, 0, -ownNetworkDays).Unix() }

// isOwnNetwork reports whether a network is one of a user's own.
func isOwnNetwork(ctx context.Context, tx *store.Tx, id int64, network string) (bool, error) {
	return exists(ctx, tx, `
		SELECT EXISTS (SELECT 1 FROM own_networks WHERE user_id = ? AND network = ? AND used_at > ?)`,
		id, network, ownSince(tx.Now))
}

// isKnownNetwork reports whether a network is some user's own.
func isKnownNetwork(ctx context.Context, tx *store.Tx, network string) (bool, error) {
	return exists(ctx, tx, `SELECT EXISTS (SELECT 1 FROM own_networks WHERE network = ? AND used_at > ?)`,
		network, ownSince(tx.Now))
}

// passwordCounters are the counters of a user's wrong passwords: the account's, and those of the user's own networks.
func passwordCounters(ctx context.Context, tx *store.Tx, id int64) ([]ratelimit.Counter, error) {
	networks, err := column[string](ctx, tx, "list networks", `SELECT network FROM own_networks WHERE user_id = ?`, id)
	list := []ratelimit.Counter{accountCounter(id)}
	for _, network := range networks {
		list = append(list, ownNetworkCounter(id, network))
	}
	return list, err
}

// rememberNetwork makes the client's network one of the user's own, who has authenticated by the password or by a link
// in a mail. Of the others it deletes the least recently used beyond maxOwnNetworks.
func (s *Service) rememberNetwork(ctx context.Context, tx *store.Tx, id int64) error {
	network := s.networkPseudonym(ctx)
	if network == "" {
		return nil
	}
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
	return exec(ctx, tx, "forget networks", `
		DELETE FROM own_networks WHERE user_id = ?1 AND network NOT IN (
			SELECT network FROM own_networks WHERE user_id = ?1 ORDER BY network = ?2 DESC, used_at DESC LIMIT ?3)`,
		id, network, maxOwnNetworks)
}

// clearNetworks deletes up to limit networks that have not been used for ownNetworkDays, and returns how many.
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
