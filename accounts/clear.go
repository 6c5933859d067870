package accounts

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"accountd/internal/store"
	"accountd/tokens"
)

const (
	clearInterval = time.Hour

	// clearAfter is how long the hourly run leaves sessions that are over: so long an expired refresh token can still
	// be revoked, and an operator sees why a session ended.
	clearAfter = 7 * 24 * time.Hour
)

// ClearInput says which sessions to delete.
type ClearInput struct {
	ExpiredOnly bool          // not those that were ended
	Keep        time.Duration // how long they have to have been over
}

// Cleared is what ClearSessions has deleted.
type Cleared struct {
	tokens.Cleared
	Longest time.Duration // that one transaction has held the writer, its commit included
}

// ClearSessions deletes sessions that are over, and refresh tokens that have expired, in short transactions that let
// others in between. What it has deleted when an error comes stays deleted.
func (s *Service) ClearSessions(ctx context.Context, in ClearInput) (Cleared, error) {
	var all Cleared
	steps := []func(context.Context, *store.Tx, time.Duration, int) (cleared tokens.Cleared, more bool, err error){s.tokens.ClearExpired}
	if !in.ExpiredOnly {
		steps = append(steps, s.tokens.ClearEnded)
	}
	rows := batchRows(tokens.ClearRows / 4)
	for _, clear := range steps {
		for more := true; more; {
			var batch tokens.Cleared
			held, err := s.aside(ctx, func(tx *store.Tx) (err error) {
				batch, more, err = clear(ctx, tx, in.Keep, int(rows))
				return err
			})
			if err != nil {
				return all, err
			}
			all.Add(batch)
			all.Longest = max(all.Longest, held)
			rows.adapt(held)
		}
	}
	return all, nil
}

// heldLong is for how long one batch is to hold the writer at most: a quarter of what nobody may notice, since the disk takes
// several times as long now and then.
const heldLong = 5 * time.Millisecond

// batchRows is how many rows the next batch looks for: as many as the machine manages without holding up others, whatever else it
// has to do.
type batchRows int

// adapt halves what held the writer for too long, and else tries one more.
func (n *batchRows) adapt(held time.Duration) {
	if held > heldLong {
		*n = max(*n/2, 1)
	} else {
		*n = min(*n+1, tokens.ClearRows)
	}
}

// maxPause bounds the pause after a batch: a machine that was busy for a moment is not waited for.
const maxPause = 50 * time.Millisecond

// aside runs a batch of what nobody waits for, and returns how long it held the writer, its commit included. What the one before has
// written is copied into the file first: a commit takes longer while the disk is busy with that. In the end there is a pause as long as all
// that: half of the writer's time, and of the disk's, is left to others, be they in this process or not.
func (s *Service) aside(ctx context.Context, batch func(*store.Tx) error) (held time.Duration, err error) {
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

// ClearHourly deletes what has been over for a week, and accounts by PurgeUnverified, every hour, until ctx ends. First it says if the
// clock has gone back.
func (s *Service) ClearHourly(ctx context.Context) {
	s.checkClock(ctx)
	tick := time.NewTicker(clearInterval)
	defer tick.Stop()
	last := s.db.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			last = s.clearOld(ctx, last)
		}
	}
}

// clearOld is one hourly run; last is when the one before was. It deletes nothing when the clock has moved by more than the
// hour: a clock that is set to next year by mistake must not cost everybody their session for good.
func (s *Service) clearOld(ctx context.Context, last time.Time) (now time.Time) {
	now = s.db.Now()
	if moved := now.Sub(last); moved < 0 || moved > 2*clearInterval {
		s.log.WarnContext(ctx, "the clock has been changed; old sessions are cleared away when it has been steady for an hour", slog.Duration("moved", moved))
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
		s.log.InfoContext(ctx, "old sessions were cleared away", slog.Int64("sessions", cleared.Sessions), slog.Int64("refresh_tokens", cleared.RefreshTokens),
			slog.Duration("longest", cleared.Longest))
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		s.log.ErrorContext(ctx, "what is old cannot be cleared away; it is tried again in an hour", "error", err)
	}
	return now
}

// checkClock warns when a session has begun later than now: the clock was set back while nobody served. Tokens that were used or
// revoked stay so whatever the time is, but the limits of sessions and links last as much longer as the clock is behind.
func (s *Service) checkClock(ctx context.Context) {
	var began, now time.Time
	err := s.db.Read(ctx, func(tx *store.Tx) (err error) {
		now = tx.Now
		began, err = tokens.LastBegan(ctx, tx)
		return err
	})
	switch {
	case err != nil && !errors.Is(err, context.Canceled):
		s.log.ErrorContext(ctx, "the clock cannot be compared with the file", "error", err)
	case began.After(now):
		s.log.WarnContext(ctx, "the clock has gone back: a session began later than now; set the clock of this machine",
			slog.Time("now", now), slog.Time("session", began))
	}
}
