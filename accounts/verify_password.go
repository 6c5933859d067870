package accounts

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"accountd/internal/ratelimit"
	"accountd/internal/store"
)

// verifyPassword compares a password with the stored hash of an account. u is nil where a name has no account. name
// is what was typed, or ownName. A wrong password is counted for the account and the client's network, and logged as
// event.
//
// While the account's limit is reached every password is wrong. While the network's limit is reached verifyPassword
// fails with *ThrottledError, before it hashes. Otherwise it costs one hash, whatever is stored, and fails with
// *BusyError where too many wait for one.
//
// Attempts with one name run one at a time, whether it has an account or not: so attempts at once are no more than
// attempts in sequence. Two names do not wait for each other: that would reveal which names belong to one account.
//
// A right password resets no counter: the caller's transaction does, by clearOwnFailures.
func (s *Service) verifyPassword(
	ctx context.Context, u *account, name, password, encoded, event string,
) (ok, upgrade bool, err error) {
	ticket, err := s.hasher.Enter(ctx, s.client(ctx), name)
	if err != nil {
		return false, false, err
	}
	defer ticket.Release()

	var onNetwork []ratelimit.Limit
	var onAccount ratelimit.Limit
	var full *ratelimit.State
	err = s.db.Read(ctx, func(tx *store.Tx) (err error) {
		if onNetwork, err = s.networkLimits(ctx, tx, limitNetwork); err != nil {
			return err
		}
		if onAccount, err = s.accountLimit(ctx, tx, u, name); err != nil {
			return err
		}
		full, err = ratelimit.Full(ctx, tx, onAccount)
		return err
	})
	if err != nil {
		return false, false, err
	}
	endAttempt, err := s.attempts.Reserve(ctx, s.db, onNetwork)
	if err != nil {
		return false, false, s.logThrottled(ctx, "network_throttled", u, err)
	}
	defer endAttempt()
	throttled := full != nil
	if throttled {
		encoded = "" // no password matches that, and it costs the same hash
	}
	if ok, upgrade, err = ticket.Verify(password, encoded); err != nil || ok {
		return ok, upgrade, err
	}

	s.failedEvent(ctx, event, u.id(), slog.Bool("throttled", throttled))
	if err := s.recordFailure(ctx, u, throttled, onAccount, onNetwork); err != nil {
		return false, false, err
	}
	endAttempt()
	// The name is held during the delay: otherwise the start of its next attempt would reveal the kind of the stored
	// hash.
	ticket.DelayRefusal(ctx)
	return false, false, nil
}

// recordFailure counts a wrong password, even if the client has gone. A throttled attempt is written, too: it must take
// as long as any other.
func (s *Service) recordFailure(
	ctx context.Context, u *account, throttled bool, onAccount ratelimit.Limit, onNetwork []ratelimit.Limit,
) error {
	if len(onNetwork) == 0 && !onAccount.Enforced() {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	locked, err := read(ctx, s.db.Write, func(tx *store.Tx) (*ratelimit.State, error) {
		if err := ratelimit.Add(ctx, tx, throttled, append(onNetwork, onAccount)...); err != nil {
			return nil, err
		}
		return ratelimit.Full(ctx, tx, onAccount)
	})
	if err == nil && locked != nil && u != nil && !throttled {
		s.event(ctx, "account_throttled", u.ID)
	}
	return err
}

// kindsInterval is how often stored hashes are measured again: commands may import some beside the server.
const kindsInterval = time.Minute

// MeasureHashes measures what it costs to compare with each kind of stored hash. From then on the answer to a wrong
// password takes longer than the most expensive kind, for every account and for unknown names. While all hashes have
// the current parameters, the answer is not delayed.
func (s *Service) MeasureHashes(ctx context.Context) error {
	kinds, err := read(ctx, s.db.Read, func(tx *store.Tx) (map[string]string, error) { return storedKinds(ctx, tx) })
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
	every(ctx, kindsInterval, func() {
		var busy *BusyError
		if err := s.MeasureHashes(ctx); err != nil && !errors.As(err, &busy) && !errors.Is(err, context.Canceled) {
			s.log.ErrorContext(ctx, "measuring stored password hashes failed; next attempt in a minute", "error", err)
		}
	})
}
