package tokens

import (
	"context"

	"accountd/internal/store"
)

// Session is one login, as it can be listed. Times are unix seconds.
type Session struct {
	ID          int64
	StartedAt   int64
	RefreshedAt int64  // when its newest refresh token was given out; StartedAt without any
	ExpiresAt   *int64 // of its live refresh token, else its absolute limit; nil: none
	EndedAt     *int64 // nil: it has not been ended
	EndReason   string
}

// Live reports whether the session has neither ended nor expired.
func (s Session) Live(now int64) bool {
	return s.EndedAt == nil && (s.ExpiresAt == nil || *s.ExpiresAt > now)
}

// Sessions lists a user's sessions by id, the ended ones that are still stored too.
func (i *Issuer) Sessions(ctx context.Context, tx *store.Tx, user int64) ([]Session, error) {
	return listSessions(ctx, tx, user)
}

// End ends one session of a user. It fails with ErrInvalid when that is not theirs or has ended.
func (i *Issuer) End(ctx context.Context, tx *store.Tx, user, session int64, reason string) error {
	live, err := i.Live(ctx, tx, session, user)
	if err != nil {
		return err
	}
	if !live {
		return ErrInvalid
	}
	return endSession(ctx, tx, session, reason)
}
