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

// kindsInterval is how often the kinds of stored hashes are looked for: commands write hashes beside the server.
const kindsInterval = time.Minute

// storedKinds is one stored hash of each kind, by kind. It takes a step in an index for each, however many users
// there are.
func storedKinds(ctx context.Context, tx *store.Tx) (map[string]string, error) {
	return passwords.StoredKinds(func(from, end string) (beginning, encoded string, err error) {
		return hashBetween(ctx, tx, from, end)
	})
}

// MeasureHashes measures what comparing with stored hashes costs. From then on a wrong password takes longer than the
// dearest kind of them, whoever's it is and whether or not there is such a user. Where all hashes have the current
// parameters, that is the time of one hash and nobody waits.
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
		s.log.InfoContext(ctx, "what a wrong password takes has changed with the kinds of password hashes that are stored",
			slog.Duration("time", refusal), slog.Any("kinds", slices.Sorted(maps.Keys(kinds))))
	}
	return err
}

// FollowHashes is MeasureHashes every minute, until ctx ends.
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
			s.log.ErrorContext(ctx, "the kinds of password hashes cannot be looked at; it is tried again in a minute", "error", err)
		}
	}
}
