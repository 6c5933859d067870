// Package tokens issues and verifies access tokens, refresh tokens and the action tokens inside emails.
//
// An access token is a JWT (RFC 7519) that lives for minutes and names its session. A refresh token is random;
// refreshing rotates it, and of each session one token, the live leaf, is the newest. An action token authorises one
// action of one user, such as a password reset.
//
// Guarantees: a stolen database contains no usable token. A session never has two live leaves, and the reuse of a
// rotated token ends it (RFC 9700, section 4.14.2). A token of one kind or purpose is never accepted as another.
//
// The package does not know users. Its caller decides who a session belongs to and whether that user may refresh it.
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

// ErrInvalid says that a token is unknown, altered, of another kind or purpose, or of a session that has ended.
var ErrInvalid = errors.New("invalid token")

// ErrExpired says that a token is authentic and has expired.
var ErrExpired = errors.New("expired token")

// ReuseError says that a rotated refresh token was used after its grace period and after its successor had been used.
// The transaction has ended the session: the caller commits it and then answers as for ErrInvalid.
type ReuseError struct {
	User int64 // of the session
}

func (e *ReuseError) Error() string { return "reuse of a rotated refresh token" }

func (e *ReuseError) Unwrap() error { return ErrInvalid }

// Settings say what tokens look like and how long they live.
type Settings struct {
	// Algorithm is what access tokens are signed with, and which keys of the ring are used.
	Algorithm string `toml:"tokens.algorithm" one:"HS256,HS384,HS512,EdDSA,ES256,RS256"`

	// Issuer and Audience are the claims iss and aud of access tokens, checked when set.
	Issuer   string `toml:"tokens.issuer"`
	Audience string `toml:"tokens.audience"`

	// Leeway is how far apart the clocks of issuer and verifier may be.
	Leeway         time.Duration `toml:"tokens.leeway" min:"0s" max:"60s"`
	AccessLifetime time.Duration `toml:"tokens.access_lifetime" min:"1s" max:"365d"`

	// AllowRefresh turns refreshToken on. Without LongRunning there are no refresh tokens: a live access token is
	// refreshed instead.
	AllowRefresh bool `toml:"tokens.allow_refresh"`
	LongRunning  bool `toml:"tokens.long_running"`

	// RefreshLifetime is how long an unused refresh token is valid, SessionLifetime how long a session is, however
	// often it is refreshed; 0: no limit.
	RefreshLifetime time.Duration `toml:"tokens.refresh_lifetime" min:"1s" max:"3650d"`
	SessionLifetime time.Duration `toml:"tokens.session_lifetime" min:"0s" max:"3650d"`

	// Rotation "rotate" replaces a refresh token when it is used, "keep" leaves it valid. RotationGrace is how long a
	// replaced token is still answered.
	Rotation      string        `toml:"tokens.rotation" one:"rotate,keep"`
	RotationGrace time.Duration `toml:"tokens.rotation_grace" min:"0s" max:"1h"`
	RefreshBytes  int           `toml:"tokens.refresh_bytes" min:"16" max:"64"` // of randomness

	// SessionsPerUser is how many live sessions a user has at most: the oldest ends when one more begins.
	SessionsPerUser int `toml:"limits.sessions_per_user" min:"1" max:"10000"`

	// The lifetimes of action tokens, by purpose.
	ActivationLifetime     time.Duration `toml:"tokens.activation_lifetime" min:"1s" max:"365d"`
	PasswordResetLifetime  time.Duration `toml:"tokens.password_reset_lifetime" min:"1s" max:"365d"`
	PasswordSetLifetime    time.Duration `toml:"tokens.password_set_lifetime" min:"1s" max:"365d"`
	SecondaryEmailLifetime time.Duration `toml:"tokens.secondary_email_lifetime" min:"1s" max:"365d"`
}

// Issuer makes and checks tokens. It is safe for concurrent use.
type Issuer struct {
	keys      *Keys
	settings  Settings
	lifetimes map[Purpose]time.Duration // of action tokens
	now       func() time.Time
}

// New returns an Issuer over a key ring. now is the clock outside of transactions.
func New(keys *Keys, s Settings, now func() time.Time) (*Issuer, error) {
	if s.Algorithm != keys.algorithm {
		return nil, fmt.Errorf("tokens: the key ring is for %s, not %s", keys.algorithm, s.Algorithm)
	}
	if s.RefreshBytes < 16 {
		return nil, fmt.Errorf("tokens: %d bytes are too few for a refresh token", s.RefreshBytes)
	}
	return &Issuer{keys: keys, settings: s, now: now, lifetimes: map[Purpose]time.Duration{
		Activation: s.ActivationLifetime, PasswordReset: s.PasswordResetLifetime,
		PasswordSet: s.PasswordSetLifetime, SecondaryEmail: s.SecondaryEmailLifetime,
	}}, nil
}

// decodeSegment decodes unpadded base64url. It accepts one encoding of each value: the standard decoder skips line
// breaks.
func decodeSegment(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, ErrInvalid
	}
	return base64.RawURLEncoding.Strict().DecodeString(s)
}
