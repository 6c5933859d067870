package accounts

import (
	"context"
	"log/slog"
	"slices"

	"accountd/internal/ratelimit"
	"accountd/internal/store"
)

// verifyPassword compares a password with the hash of an account, and costs one hash. It counts wrong passwords, for
// the account and the network. While the account is full no password is the right one; while the network is full,
// *ThrottledError comes before the hash. u is nil for nobody. name is what was typed, or stands for the caller's
// account. event names a failure.
//
// Attempts with one typed name run one at a time, be it somebody's name or nobody's: so parallel attempts get no more
// tries than sequential ones. Names do not wait for each other: that would tell which belong to one account.
//
// The right password clears nothing: the caller's transaction does, by clearOwnFailures.
func (s *Service) verifyPassword(
	ctx context.Context, u *account, name, password, encoded, event string,
) (ok, upgrade bool, err error) {
	a := &attempt{}
	defer a.end()
	ticket, err := s.hasher.Enter(ctx, s.client(ctx), name)
	if err != nil {
		return false, false, err
	}
	defer ticket.Release()
	if err := s.admit(ctx, a, u, name); err != nil {
		return false, false, s.logThrottled(ctx, "network_throttled", u, err)
	}
	if a.refused {
		encoded = "" // no password fits
	}
	if ok, upgrade, err = ticket.Verify(password, encoded); err != nil || ok {
		return ok, upgrade, err
	}
	s.failedEvent(ctx, event, u.id(), slog.Bool("throttled", a.refused))
	if err := s.recordFailure(ctx, u, a); err != nil {
		return false, false, err
	}
	a.end() // from here on the database counts it
	// The name is held meanwhile: when the next attempt begins must not tell what kind of hash this one was compared
	// with.
	ticket.DelayRefusal(ctx)
	return false, false, nil
}

// attempt is a password that is being verified.
type attempt struct {
	account     ratelimit.Limit
	network     []ratelimit.Limit
	refused     bool                   // the account is full
	reservation *ratelimit.Reservation // in the network's limits
}

func (a *attempt) end() {
	if a.reservation != nil {
		a.reservation.End()
	}
}

// admit returns when a may be looked at, or has been refused because its account is full. It fails with
// *ThrottledError when its network is full.
func (s *Service) admit(ctx context.Context, a *attempt, u *account, name string) error {
	err := s.db.ReadOne(ctx, func(tx *store.Tx) (err error) {
		a.network, err = s.networkLimits(ctx, tx, limitNetwork)
		return err
	})
	if err != nil {
		return err
	}
	a.reservation = s.attempts.Reserve(a.network)
	if err := a.reservation.Wait(ctx, s.db); err != nil {
		return err
	}
	return s.db.Read(ctx, func(tx *store.Tx) (err error) {
		if a.account, err = s.accountLimitFor(ctx, tx, u, name); err != nil {
			return err
		}
		full, err := ratelimit.Full(ctx, tx, a.account)
		a.refused = full != nil
		return err
	})
}

// recordFailure counts a wrong password. It is durable before anybody is told, even where whoever asked has gone; and a
// try that was refused is written as well, so that it takes as long.
func (s *Service) recordFailure(ctx context.Context, u *account, a *attempt) error {
	limits := a.network
	if a.account.Enforced() {
		limits = append(slices.Clone(limits), a.account)
	}
	if len(limits) == 0 {
		return nil
	}
	var full *ratelimit.State
	err := s.db.Write(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		err := ratelimit.Add(ctx, tx, a.refused, limits...)
		if err != nil || u == nil || a.refused {
			return err
		}
		full, err = ratelimit.Full(ctx, tx, a.account)
		return err
	})
	if err == nil && full != nil {
		s.event(ctx, "account_throttled", u.id())
	}
	return err
}
