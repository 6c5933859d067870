package tokens

import (
	"encoding/binary"
	"time"
)

// A session id is the time at which the session began, in unix milliseconds, followed by random bits. A counter would
// give ids out again after a restore, and tokens of lost sessions would then match new ones. Time comes first so
// that sessions are stored in the order in which they began.
const (
	sessionTimeBits   = 42 // until the year 2109
	sessionRandomBits = 21
)

// newSessionID makes the id of a session that begins at the given time, which is limited to the years 1970 to 2109.
func newSessionID(at time.Time) int64 {
	began := min(max(at.UnixMilli(), 1), 1<<sessionTimeBits-1)
	random := binary.NativeEndian.Uint32(randomBytes(4)) % (1 << sessionRandomBits)
	return began<<sessionRandomBits | int64(random)
}

// SessionState is a session without its secrets. Times are unix seconds.
type SessionState struct {
	ID          int64
	CreatedAt   int64
	RefreshedAt int64  // when the newest refresh token was issued; CreatedAt without one
	ExpiresAt   *int64 // absolute limit; nil: none
	IdleUntil   *int64 // expiry of the live refresh token, at most ExpiresAt; nil: there is no such token
	EndedAt     *int64 // nil: not ended
	EndReason   string
}

// Ends is the time at which the session expires unless it is refreshed; nil: never.
func (s SessionState) Ends() *int64 {
	if s.IdleUntil != nil {
		return s.IdleUntil
	}
	return s.ExpiresAt
}

// Live reports whether the session has neither ended nor expired at now, in unix seconds.
func (s SessionState) Live(now int64) bool {
	return s.EndedAt == nil && (s.Ends() == nil || *s.Ends() > now)
}
