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

// ClearSessions deletes sessions that are over, and refresh tokens that have expired, in short transactions that let
// others in between. What it has deleted when an error comes stays deleted.
func (s *Service) ClearSessions(ctx context.Context, in ClearInput) (tokens.Cleared, error) {
	var all tokens.Cleared
	steps := []func(context.Context, *store.Tx, time.Duration) (cleared tokens.Cleared, more bool, err error){s.tokens.ClearExpired}
	if !in.ExpiredOnly {
		steps = append(steps, s.tokens.ClearEnded)
	}
	for _, clear := range steps {
		for more := true; more; {
			var batch tokens.Cleared
			pause := s.aside()
			err := s.db.Write(ctx, func(tx *store.Tx) (err error) {
				batch, more, err = clear(ctx, tx, in.Keep)
				return err
			})
			if err != nil {
				return all, err
			}
			all.Add(batch)
			if more {
				pause(ctx)
			}
		}
	}
	return all, nil
}

// maxPause bounds the pause after a batch: a machine that was busy for a moment is not waited for.
const maxPause = 50 * time.Millisecond

// aside begins a batch of what nobody waits for. What it returns is to be called after the batch, and lasts as long as that did: half
// of the writer's time, and of the disk's, is left to others, be they in this process or not.
func (s *Service) aside() (pause func(context.Context)) {
	began := s.pace.now()
	return func(ctx context.Context) {
		took := min(s.pace.now().Sub(began), maxPause)
		if took <= 0 {
			return
		}
		select {
		case <-s.pace.timer(took):
		case <-ctx.Done():
		}
	}
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
	if (cleared != tokens.Cleared{}) {
		s.log.InfoContext(ctx, "old sessions were cleared away", slog.Int64("sessions", cleared.Sessions), slog.Int64("refresh_tokens", cleared.RefreshTokens))
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
