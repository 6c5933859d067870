package accounts

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"accountd/internal/ratelimit"
	"accountd/internal/store"
	"accountd/tokens"
)

const (
	clearInterval = time.Hour

	// clearAfter is how long the hourly run keeps ended and expired sessions. Until then an expired refresh token can
	// still be revoked, and operators see why a session ended.
	clearAfter = 7 * 24 * time.Hour

	purgeBatch  = 200 // accounts that are looked up at once
	counterRows = 100 // counters of limits, and networks, that are deleted in one transaction
)

// ClearInput selects the sessions to delete.
type ClearInput struct {
	ExpiredOnly bool          // not ended ones
	Keep        time.Duration // how long ago they have ended or expired at least
}

// Cleared counts what ClearSessions has deleted.
type Cleared struct {
	tokens.Cleared
	Longest time.Duration // the longest time that a transaction has held the write lock, its commit included
}

// ClearSessions deletes ended and expired sessions and expired refresh tokens, in short transactions. After an error
// what it has deleted stays deleted.
func (s *Service) ClearSessions(ctx context.Context, in ClearInput) (Cleared, error) {
	var all Cleared
	type step = func(context.Context, *store.Tx, time.Duration, int) (cleared tokens.Cleared, more bool, err error)
	steps := []step{s.tokens.ClearExpired, s.tokens.ClearEnded}
	if in.ExpiredOnly {
		steps = steps[:1]
	}
	rows := tokens.ClearRows / 4
	for _, clear := range steps {
		for more := true; more; {
			var batch tokens.Cleared
			held, err := s.writeBatch(ctx, func(tx *store.Tx) (err error) {
				batch, more, err = clear(ctx, tx, in.Keep, rows)
				return err
			})
			if err != nil {
				return all, err
			}
			all.Add(batch)
			all.Longest = max(all.Longest, held)
			rows = nextRows(rows, held)
		}
	}
	return all, nil
}

// maxHeld is how long a batch should hold the write lock at most. It is a quarter of what requests may notice, because
// disks take several times as long at times.
const maxHeld = 5 * time.Millisecond

// nextRows halves a batch that held the write lock for longer than maxHeld, and adds a row to any other.
func nextRows(rows int, held time.Duration) int {
	if held > maxHeld {
		return max(rows/2, 1)
	}
	return min(rows+1, tokens.ClearRows)
}

// maxPause is the longest pause after a batch.
const maxPause = 50 * time.Millisecond

// writeBatch runs a batch of background work in a transaction, and returns how long it held the write lock, its commit
// included. A checkpoint comes first: a commit takes longer while the disk is busy with one. A pause as long as both
// follows, so that half of the time of writer and disk is left to others, in this process or another.
func (s *Service) writeBatch(ctx context.Context, batch func(*store.Tx) error) (held time.Duration, err error) {
	began := s.delay.Now()
	if err := s.db.Checkpoint(ctx); err != nil {
		return 0, err
	}
	writing := began
	if err := s.db.Write(ctx, func(tx *store.Tx) error {
		writing = s.delay.Now()
		return batch(tx)
	}); err != nil {
		return 0, err
	}
	ended := s.delay.Now()
	if took := min(ended.Sub(began), maxPause); took > 0 {
		select {
		case <-s.delay.Timer(took):
		case <-ctx.Done():
		}
	}
	return ended.Sub(writing), nil
}

// ClearHourly deletes, every hour until ctx ends, sessions that ended or expired a week ago, accounts by
// PurgeUnverified, and unused counters of limits. It begins with a warning if the clock has been set back.
func (s *Service) ClearHourly(ctx context.Context) {
	s.checkClock(ctx)
	last := s.db.Now()
	every(ctx, clearInterval, func() { last = s.clearOld(ctx, last) })
}

// every calls fn after each interval until ctx ends.
func every(ctx context.Context, interval time.Duration, fn func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			fn()
		}
	}
}

// clearOld is one hourly run; last is the time of the previous one. It deletes nothing if the clock has not moved by
// about an hour: a clock that is set to next year by mistake must not delete all sessions.
func (s *Service) clearOld(ctx context.Context, last time.Time) (now time.Time) {
	now = s.db.Now()
	if moved := now.Sub(last); moved < 0 || moved > 2*clearInterval {
		s.log.WarnContext(ctx,
			"the clock was changed: old sessions are not deleted until it has been steady for an hour",
			slog.Duration("moved", moved))
		return now
	}
	cleared, err := s.ClearSessions(ctx, ClearInput{Keep: clearAfter})
	if err == nil {
		_, err = s.PurgeUnverified(ctx)
	}
	if err == nil {
		err = s.clearThrottles(ctx, now.Add(-clearAfter))
	}
	if (cleared.Cleared != tokens.Cleared{}) {
		s.log.InfoContext(ctx, "old sessions deleted", slog.Int64("sessions", cleared.Sessions),
			slog.Int64("refresh_tokens", cleared.RefreshTokens), slog.Duration("longest", cleared.Longest))
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		s.log.ErrorContext(ctx, "hourly deletion of old data failed: it is repeated in an hour", "error", err)
	}
	return now
}

// checkClock warns when a session has begun later than now: the clock was set back while the server was down. Used and
// revoked tokens stay invalid, but sessions and links live as much longer as the clock is behind.
func (s *Service) checkClock(ctx context.Context) {
	now := s.db.Now()
	began, err := read(ctx, s.db.Read, func(tx *store.Tx) (time.Time, error) { return tokens.LastBegan(ctx, tx) })
	switch {
	case err != nil && !errors.Is(err, context.Canceled):
		s.log.ErrorContext(ctx, "comparing the clock with the database failed", "error", err)
	case began.After(now):
		s.log.WarnContext(ctx, "the clock was set back: a session began later than now; set the clock of this machine",
			slog.Time("now", now), slog.Time("session", began))
	}
}

// PurgeUnverified permanently deletes accounts that were neither verified nor used within Settings.PurgeUnverified,
// so that such accounts do not keep names and addresses from their owners. Staff and superusers stay. After an error
// what it has deleted stays deleted.
func (s *Service) PurgeUnverified(ctx context.Context) (deleted int, err error) {
	if s.settings.PurgeUnverified == 0 {
		return 0, nil
	}
	for after, more := int64(0), true; more; {
		// Outside of a write: looking at a million accounts takes long.
		found, err := read(ctx, s.db.Read, func(tx *store.Tx) ([]int64, error) {
			return unverified(ctx, tx, tx.Now.Add(-s.settings.PurgeUnverified), after, purgeBatch)
		})
		if err != nil {
			return deleted, err
		}
		more = len(found) == purgeBatch
		for _, id := range found {
			after = id
			unused := false
			// One by one: an account has more than a hundred entries in the index of user_search, and deleting them
			// among those of a million accounts takes tens of milliseconds.
			if _, err := s.writeBatch(ctx, func(tx *store.Tx) (err error) {
				unused, err = deleteUnverified(ctx, tx, id)
				return err
			}); err != nil {
				return deleted, err
			}
			if unused {
				s.event(ctx, "unverified_account_deleted", id)
				deleted++
			}
		}
	}
	return deleted, nil
}

// clearThrottles deletes counters of limits that count no more, and networks that are no user's own any more.
func (s *Service) clearThrottles(ctx context.Context, before time.Time) error {
	for more := true; more; {
		if _, err := s.writeBatch(ctx, func(tx *store.Tx) error {
			// Counters of accounts stay: consecutive failures do not expire.
			counters, err := ratelimit.DeleteUnused(ctx, tx, before, limitAccount, counterRows)
			if err != nil {
				return err
			}
			networks, err := clearNetworks(ctx, tx, counterRows)
			more = max(counters, networks) == counterRows
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}
