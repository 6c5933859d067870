package tokens

import (
	"context"
	"encoding/binary"
	"time"

	"accountd/internal/store"
)

// A session's id is the time at which it began, in unix milliseconds, and then random bits. Counted ids would come
// again after a file has lost its newest sessions, and with them the tokens that name them. Time comes first so that
// sessions lie in the file in the order in which they began.
const (
	sessionTimeBits   = 42 // until the year 2109
	sessionRandomBits = 21
)

// newSessionID makes the id of a session that begins at a time. A clock outside of 1970 to 2109 counts as the nearest
// time in it.
func newSessionID(at time.Time) int64 {
	began := min(max(at.UnixMilli(), 1), 1<<sessionTimeBits-1)
	random := binary.NativeEndian.Uint32(randomBytes(4)) % (1 << sessionRandomBits)
	return began<<sessionRandomBits | int64(random)
}

// SessionState is a session as an operator may see it. Times are unix seconds.
type SessionState struct {
	ID          int64
	CreatedAt   int64
	RefreshedAt int64  // when its newest refresh token was given out; CreatedAt where there is none
	ExpiresAt   *int64 // absolute limit; nil: none
	IdleUntil   *int64 // end of its live refresh token, no later than ExpiresAt; nil: there is none
	EndedAt     *int64 // nil: it has not been ended
	EndReason   string
}

// Ends is when the session expires if it is not refreshed; nil: never.
func (s SessionState) Ends() *int64 {
	if s.IdleUntil != nil {
		return s.IdleUntil
	}
	return s.ExpiresAt
}

// Live reports whether the session has neither been ended nor expired at a time in unix seconds.
func (s SessionState) Live(now int64) bool {
	return s.EndedAt == nil && (s.Ends() == nil || *s.Ends() > now)
}

// Sessions gives the sessions of a user that are still stored, the newest first.
func (i *Issuer) Sessions(ctx context.Context, tx *store.Tx, userID int64) ([]SessionState, error) {
	return listSessions(ctx, tx, userID)
}

// End ends one session of a user. It fails with ErrInvalid when that is not theirs or has ended.
func (i *Issuer) End(ctx context.Context, tx *store.Tx, user, session int64, reason string) error {
	live, err := isLive(ctx, tx, session, user)
	if err != nil {
		return err
	}
	if !live {
		return ErrInvalid
	}
	return endSession(ctx, tx, session, reason)
}

// EndAll ends every session of everybody, and says how many.
func EndAll(ctx context.Context, tx *store.Tx, reason string) (int64, error) {
	return endAllSessions(ctx, tx, reason)
}
