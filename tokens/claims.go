package tokens

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

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
