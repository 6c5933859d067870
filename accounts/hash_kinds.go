package accounts

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	passwords "accountd/internal/password"
	"accountd/internal/store"
)

// kindsInterval is how often stored hashes are measured again: commands may import some beside the server.
const kindsInterval = time.Minute

// storedKinds returns one stored hash of each kind, by kind. Each takes one index look-up, however many users there
// are.
func storedKinds(ctx context.Context, tx *store.Tx) (map[string]string, error) {
	return passwords.StoredKinds(func(from, end string) (beginning, encoded string, err error) {
		return hashBetween(ctx, tx, from, end)
	})
}

// MeasureHashes measures what it costs to compare with each kind of stored hash. From then on the answer to a wrong
// password takes longer than the most expensive kind, for every account and for unknown names. While all hashes have
// the current parameters, the answer is not delayed.
func (s *Service) MeasureHashes(ctx context.Context) error {
	var kinds map[string]string
	err := s.db.Read(ctx, func(tx *store.Tx) (err error) {
		kinds, err = storedKinds(ctx, tx)
		return err
	})
	if err != nil {
		return err
	}
	refusal, changed, err := s.hasher.Measure(ctx, kinds)
	if changed {
		s.log.InfoContext(ctx, "delay of wrong passwords has changed with the kinds of stored password hashes",
			slog.Duration("time", refusal), slog.Any("kinds", slices.Sorted(maps.Keys(kinds))))
	}
	return err
}

// FollowHashes calls MeasureHashes every minute until ctx ends, and logs its errors.
func (s *Service) FollowHashes(ctx context.Context) {
	tick := time.NewTicker(kindsInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var busy *BusyError
		if err := s.MeasureHashes(ctx); err != nil && !errors.As(err, &busy) && !errors.Is(err, context.Canceled) {
			s.log.ErrorContext(ctx, "measuring stored password hashes failed; next attempt in a minute", "error", err)
		}
	}
}
