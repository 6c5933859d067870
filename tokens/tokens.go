// Package tokens issues and checks the three kinds of tokens: access tokens (JWT, for a few minutes),
// refresh tokens (random, rotating, one family per session) and action tokens (inside emails).
//
// It promises that a stolen database holds no usable token, that a refresh family has one live leaf, and
// that a token of one kind or purpose never works as another. It does not know users: the caller says who
// a session belongs to and whether that user may go on.
//
// Files: the key ring (keys.json, mode 0600). Tables: sessions, refresh_tokens.
package tokens

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrInvalid says that a token is not good: not ours, altered, for something else, ended or unknown.
var ErrInvalid = errors.New("invalid token")

// ErrExpired says that a token is ours and too old.
var ErrExpired = errors.New("expired token")

// ReuseError says that a rotated refresh token came back after its grace period, which is theft (RFC 9700,
// section 4.14.2). Its session has been ended in the transaction: commit it, then answer as for ErrInvalid.
type ReuseError struct {
	User int64 // whose session it was
}

func (e *ReuseError) Error() string {
	return fmt.Sprintf("%v: a rotated refresh token of user %d came back", ErrInvalid, e.User)
}

func (e *ReuseError) Unwrap() error { return ErrInvalid }

// Settings say what tokens look like and how long they live.
type Settings struct {
	Algorithm        string // HS256, HS384, HS512, EdDSA, ES256 or RS256
	Issuer, Audience string // checked when set
	Leeway           time.Duration
	AccessLifetime   time.Duration
	RefreshLifetime  time.Duration // without use
	SessionLifetime  time.Duration // absolute; 0: none
	RotationGrace    time.Duration
	AllowRefresh     bool
	LongRunning      bool // false: no refresh tokens; a live access token is refreshed instead
	Rotate           bool // false: a refresh token stays good when it is used
	RefreshBytes     int  // of randomness
	SessionsPerUser  int  // the oldest go first

	ActivationLifetime, PasswordResetLifetime, PasswordSetLifetime, SecondaryEmailLifetime time.Duration
}

// Issuer makes and checks tokens. It is safe for concurrent use.
type Issuer struct {
	keys     *Keys
	settings Settings
	now      func() time.Time
}

// New returns an Issuer that signs with the first key of the ring. now is the clock of tokens that are
// checked outside a transaction.
func New(keys *Keys, s Settings, now func() time.Time) (*Issuer, error) {
	if s.Algorithm != keys.algorithm {
		return nil, fmt.Errorf("tokens: the key ring is for %s, not %s", keys.algorithm, s.Algorithm)
	}
	if s.RefreshBytes < 16 {
		return nil, fmt.Errorf("tokens: %d bytes are too few for a refresh token", s.RefreshBytes)
	}
	return &Issuer{keys: keys, settings: s, now: now}, nil
}

// decodeSegment decodes base64url without padding, and nothing that merely means the same: the library's
// decoder skips line breaks.
func decodeSegment(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, ErrInvalid
	}
	return base64.RawURLEncoding.Strict().DecodeString(s)
}
