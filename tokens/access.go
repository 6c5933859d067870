package tokens

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v2/jws"
)

// maxAccessToken is the longest access token looked at, in bytes.
const maxAccessToken = 4096

// Subject is who a session belongs to.
type Subject struct {
	ID       int64
	Username string
}

// Claims are what an access token says. Times are unix seconds.
type Claims struct {
	Username     string
	Subject      int64 // user id
	Session      int64
	ExpiresAt    int64
	IssuedAt     int64
	OrigIssuedAt int64 // of the session's first token
	Issuer       string
	Audience     string
}

// wireClaims are Claims as JSON. Ids are decimal strings, as RFC 7519 wants sub to be.
type wireClaims struct {
	Username  string `json:"username"`
	Exp       *int64 `json:"exp"`
	OrigIat   *int64 `json:"origIat"`
	Iat       *int64 `json:"iat"`
	NotBefore *int64 `json:"nbf,omitempty"`
	Sub       string `json:"sub"`
	Sid       string `json:"sid"`
	Iss       string `json:"iss,omitempty"`
	Aud       string `json:"aud,omitempty"`
}

// MarshalJSON gives the claims as they stand in the token.
func (c Claims) MarshalJSON() ([]byte, error) {
	return json.Marshal(wireClaims{
		Username: c.Username,
		Exp:      &c.ExpiresAt, OrigIat: &c.OrigIssuedAt, Iat: &c.IssuedAt,
		Sub: strconv.FormatInt(c.Subject, 10), Sid: strconv.FormatInt(c.Session, 10),
		Iss: c.Issuer, Aud: c.Audience,
	})
}

// sign makes the access token of a session. orig is the time of its first token, expires of its own end.
func (i *Issuer) sign(who Subject, session int64, now time.Time, orig, expires int64) (string, Claims, error) {
	claims := Claims{
		Username: who.Username, Subject: who.ID, Session: session,
		ExpiresAt: expires, IssuedAt: now.Unix(), OrigIssuedAt: orig,
		Issuer: i.settings.Issuer, Audience: i.settings.Audience,
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", claims, fmt.Errorf("encode claims: %w", err)
	}
	key := i.keys.ring().signing
	headers := jws.NewHeaders()
	if err := errors.Join(headers.Set(jws.TypeKey, "JWT"), headers.Set(jws.KeyIDKey, key.id)); err != nil {
		return "", claims, fmt.Errorf("sign access token: %w", err)
	}
	token, err := jws.Sign(payload, jws.WithKey(key.alg, key.sign, jws.WithProtectedHeaders(headers)))
	if err != nil {
		return "", claims, fmt.Errorf("sign access token: %w", err)
	}
	return string(token), claims, nil
}

// Verify says what an access token claims: its signature by a key of the ring under the configured
// algorithm, then its times and names (RFC 8725). It fails with ErrInvalid or ErrExpired. Whether the
// session still lives, Live says.
func (i *Issuer) Verify(raw string) (Claims, error) {
	claims, notBefore, err := i.signed(raw)
	if err != nil {
		return Claims{}, err
	}
	now, leeway := i.now().Unix(), int64(i.settings.Leeway/time.Second)
	if claims.ExpiresAt+leeway <= now {
		return Claims{}, ErrExpired
	}
	if claims.IssuedAt > now+leeway || notBefore > now+leeway {
		return Claims{}, ErrInvalid
	}
	return claims, nil
}

// signed says what an access token claims that is ours, however old.
func (i *Issuer) signed(raw string) (claims Claims, notBefore int64, err error) {
	if len(raw) > maxAccessToken || strings.Count(raw, ".") != 2 {
		return Claims{}, 0, ErrInvalid
	}
	header, rest, _ := strings.Cut(raw, ".")
	kid, ok := i.acceptsHeader(header)
	if !ok {
		return Claims{}, 0, ErrInvalid
	}
	for segment := range strings.SplitSeq(rest, ".") {
		if _, err := decodeSegment(segment); err != nil {
			return Claims{}, 0, ErrInvalid
		}
	}
	for _, key := range i.keys.ring().candidates(kid) {
		// The key is bound to its algorithm: what the header asks for is never believed.
		verified, err := jws.Verify([]byte(raw), jws.WithKey(key.alg, key.verify))
		if err == nil {
			return i.claims(verified)
		}
	}
	return Claims{}, 0, ErrInvalid
}

// acceptsHeader refuses every header but the ones this package writes: another type, another algorithm,
// and extensions that would have to be understood (crit) or point to keys (jku, jwk, x5u, x5c).
func (i *Issuer) acceptsHeader(segment string) (kid string, ok bool) {
	raw, err := decodeSegment(segment)
	if err != nil {
		return "", false
	}
	var header struct {
		Alg string `json:"alg"`
		Typ string `json:"typ"`
		Kid string `json:"kid"`
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	ok = dec.Decode(&header) == nil && !dec.More() && header.Typ == "JWT" && header.Alg == i.settings.Algorithm
	return header.Kid, ok
}

func (i *Issuer) claims(payload []byte) (claims Claims, notBefore int64, err error) {
	var wire wireClaims
	if json.Unmarshal(payload, &wire) != nil || wire.Exp == nil || wire.Iat == nil || wire.OrigIat == nil {
		return Claims{}, 0, ErrInvalid
	}
	subject, err1 := strconv.ParseInt(wire.Sub, 10, 64)
	session, err2 := strconv.ParseInt(wire.Sid, 10, 64)
	if err1 != nil || err2 != nil || wire.Iss != i.settings.Issuer || wire.Aud != i.settings.Audience {
		return Claims{}, 0, ErrInvalid
	}
	if wire.NotBefore != nil {
		notBefore = *wire.NotBefore
	}
	return Claims{
		Username: wire.Username, Subject: subject, Session: session,
		ExpiresAt: *wire.Exp, IssuedAt: *wire.Iat, OrigIssuedAt: *wire.OrigIat, Issuer: wire.Iss, Audience: wire.Aud,
	}, notBefore, nil
}
