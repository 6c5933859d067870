package tokens

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/lestrrat-go/jwx/v2/jws"
)

// maxAccessToken is the length of the longest access token that is accepted, in bytes.
const maxAccessToken = 4096

// Subject is the user of a session.
type Subject struct {
	ID       int64
	Username string
}

// sign makes the access token of a pair. orig is the time of the session's first token. The token expires no later
// than its session, for verifiers that check nothing but the token.
func (i *Issuer) sign(who Subject, session int64, now time.Time, orig int64, limit *int64) (Pair, error) {
	claims := Claims{
		Username: who.Username, Subject: who.ID, Session: session,
		ExpiresAt: atMost(limit, now.Add(i.settings.AccessLifetime).Unix()), IssuedAt: now.Unix(), OrigIssuedAt: orig,
		Issuer: i.settings.Issuer, Audience: i.settings.Audience,
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return Pair{}, fmt.Errorf("encode claims: %w", err)
	}
	key := i.keys.ring().signing
	b64 := base64.RawURLEncoding
	token := append(make([]byte, 0, 512), key.header...)
	token = b64.AppendEncode(append(token, '.'), payload)
	// jws.Sign would encode the header again for each token, which costs 5 % of a refresh.
	signature, err := key.signer.Sign(token, key.sign)
	if err != nil {
		return Pair{}, fmt.Errorf("sign access token: %w", err)
	}
	token = b64.AppendEncode(append(token, '.'), signature)
	return Pair{Access: string(token), Claims: claims, Session: session}, nil
}

// Verify returns the claims of an access token after it has checked the signature, the algorithm, the times, the
// issuer and the audience (RFC 8725). It fails with ErrInvalid or ErrExpired. It does not look at the session: see
// LiveSession.
func (i *Issuer) Verify(raw string) (Claims, error) {
	c, err := i.verifySigned(raw)
	if err != nil {
		return Claims{}, err
	}
	now, leeway := i.now().Unix(), int64(i.settings.Leeway/time.Second)
	if c.ExpiresAt+leeway <= now {
		return Claims{}, ErrExpired
	}
	if c.IssuedAt > now+leeway || c.notBefore > now+leeway {
		return Claims{}, ErrInvalid
	}
	return c, nil
}

// verifySigned is Verify without the times.
func (i *Issuer) verifySigned(raw string) (Claims, error) {
	if len(raw) > maxAccessToken {
		return Claims{}, ErrInvalid
	}
	ring := i.keys.ring()
	sum := sha256.Sum256([]byte(raw))
	c, ok := ring.verified.find(sum)
	if !ok {
		if c, ok = ring.verify(raw, i.settings.Algorithm); !ok {
			return Claims{}, ErrInvalid
		}
		ring.verified.add(sum, c)
	}
	if c.Issuer != i.settings.Issuer || c.Audience != i.settings.Audience {
		return Claims{}, ErrInvalid
	}
	return c, nil
}

// verify returns the claims of a token that a key of the ring has signed.
func (r *ring) verify(raw, algorithm string) (c Claims, ok bool) {
	// jws.Verify accepts several spellings of base64, but a token must have one only.
	var segments [3][]byte
	for n, segment := range strings.SplitN(raw, ".", len(segments)) {
		decoded, err := decodeSegment(segment)
		if err != nil {
			return Claims{}, false
		}
		segments[n] = decoded
	}
	candidates, ok := r.candidates(segments[0], algorithm)
	if !ok {
		return Claims{}, false
	}
	options := []jws.VerifyOption{jws.WithCompact()}
	for _, key := range candidates {
		options = append(options, jws.WithKey(key.alg, key.verify)) // bound to its algorithm, whatever the header says
	}
	claims, err := jws.Verify([]byte(raw), options...)
	if err != nil {
		return Claims{}, false
	}
	return parseClaims(claims)
}

// candidates are the keys that may have signed a token with this header: the one that its kid names, or all of them
// if the ring has no such key. ok is false for another type or algorithm, and for any other member: extensions (crit)
// and keys that the token brings along (jku, jwk, x5u, x5c).
func (r *ring) candidates(header []byte, algorithm string) (keys []accessKey, ok bool) {
	var alg, typ, kid string
	if !parseObject(header, map[string]any{"alg": &alg, "typ": &typ, "kid": &kid}, false) {
		return nil, false
	}
	if typ != "JWT" || alg != algorithm {
		return nil, false
	}
	for i, key := range r.access {
		if key.id == kid {
			return r.access[i : i+1], true
		}
	}
	return r.access, true
}

const (
	maxVerified      = 8192    // tokens in the cache
	maxVerifiedBytes = 2 << 20 // of the texts of their claims, and verifiedBytes for each
	verifiedBytes    = 192
)

// verifiedTokens caches the claims of tokens with a valid signature, by the SHA-256 of the whole token. Times, issuer
// and session are checked at each use. The cache belongs to one ring, so that tokens of a retired key leave it with
// the key. A full cache is emptied: one verification of each token that is still in use fills it again.
type verifiedTokens struct {
	mu     sync.Mutex
	claims map[[sha256.Size]byte]Claims // guarded by mu
	size   int                          // guarded by mu; bytes of claims
}

func (v *verifiedTokens) find(sum [sha256.Size]byte) (Claims, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	c, ok := v.claims[sum]
	return c, ok
}

func (v *verifiedTokens) add(sum [sha256.Size]byte, c Claims) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.claims == nil || len(v.claims) >= maxVerified || v.size >= maxVerifiedBytes {
		v.claims, v.size = map[[sha256.Size]byte]Claims{}, 0
	}
	v.claims[sum] = c
	v.size += verifiedBytes + len(c.Username) + len(c.Issuer) + len(c.Audience)
}

// Claims are the payload of an access token. Times are unix seconds, ids decimal strings as RFC 7519 wants sub to be.
type Claims struct {
	Username     string `json:"username"`
	ExpiresAt    int64  `json:"exp"`
	OrigIssuedAt int64  `json:"origIat"` // of the session's first token
	IssuedAt     int64  `json:"iat"`
	Subject      int64  `json:"sub,string"` // user id
	Session      int64  `json:"sid,string"`
	Issuer       string `json:"iss,omitempty"`
	Audience     string `json:"aud,omitempty"`

	notBefore int64 // of a token of another issuer
}

// parseClaims decodes a payload. It ignores claims with other names.
func parseClaims(payload []byte) (c Claims, ok bool) {
	var sub, sid string
	var exp, iat, orig *int64
	fields := map[string]any{
		"username": &c.Username, "sub": &sub, "sid": &sid, "iss": &c.Issuer, "aud": &c.Audience,
		"exp": &exp, "iat": &iat, "origIat": &orig, "nbf": &c.notBefore,
	}
	if !parseObject(payload, fields, true) || exp == nil || iat == nil || orig == nil {
		return Claims{}, false
	}
	c.ExpiresAt, c.IssuedAt, c.OrigIssuedAt = *exp, *iat, *orig
	var subOK, sidOK bool
	c.Subject, subOK = parseID(sub)
	c.Session, sidOK = parseID(sid)
	return c, subOK && sidOK
}

// parseID decodes an id in the one form that tokens have: no sign, zero or space in front.
func parseID(s string) (int64, bool) {
	id, err := strconv.ParseInt(s, 10, 64)
	return id, err == nil && strconv.FormatInt(id, 10) == s
}

// parseObject decodes a JSON object into fields, by the names of its members. It is stricter than encoding/json: the
// text is valid UTF-8, names match in case, and no name appears twice (RFC 7519, section 4). Members without a field
// are ignored if others is set, and refused otherwise.
func parseObject(raw []byte, fields map[string]any, others bool) bool {
	if !utf8.Valid(raw) || !json.Valid(raw) { // Token would stop after the object and ignore what follows
		return false
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		return false
	}
	seen := make(map[string]bool, 16)
	for dec.More() {
		token, err := dec.Token()
		name, isName := token.(string)
		if err != nil || !isName || seen[name] {
			return false
		}
		seen[name] = true
		field, known := fields[name]
		if !known {
			field = new(json.RawMessage)
		}
		if !known && !others || dec.Decode(field) != nil {
			return false
		}
	}
	return true
}
