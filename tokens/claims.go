package tokens

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf8"
)

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

// MarshalJSON gives the claims as they stand in the token.
func (c Claims) MarshalJSON() ([]byte, error) { return c.append(nil), nil }

// append writes the claims as JSON. Ids are decimal strings, as RFC 7519 wants sub to be.
func (c Claims) append(b []byte) []byte {
	b = appendText(append(b, `{"username":`...), c.Username)
	b = strconv.AppendInt(append(b, `,"exp":`...), c.ExpiresAt, 10)
	b = strconv.AppendInt(append(b, `,"origIat":`...), c.OrigIssuedAt, 10)
	b = strconv.AppendInt(append(b, `,"iat":`...), c.IssuedAt, 10)
	b = strconv.AppendInt(append(b, `,"sub":"`...), c.Subject, 10)
	b = strconv.AppendInt(append(b, `","sid":"`...), c.Session, 10)
	b = append(b, '"')
	if c.Issuer != "" {
		b = appendText(append(b, `,"iss":`...), c.Issuer)
	}
	if c.Audience != "" {
		b = appendText(append(b, `,"aud":`...), c.Audience)
	}
	return append(b, '}')
}

// appendText writes a JSON string, escaped as encoding/json does.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) // a string never fails
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// claimed is what the payload of an access token says.
type claimed struct {
	Claims
	notBefore int64 // unix seconds
}

// parseClaims reads a payload. Claims of other names are passed over.
func parseClaims(payload []byte) (c claimed, ok bool) {
	var sub, sid string
	members := []member{
		{name: "username", text: &c.Username}, {name: "sub", text: &sub}, {name: "sid", text: &sid},
		{name: "iss", text: &c.Issuer}, {name: "aud", text: &c.Audience}, {name: "nbf", number: &c.notBefore},
		{name: "exp", number: &c.ExpiresAt, required: true}, {name: "iat", number: &c.IssuedAt, required: true},
		{name: "origIat", number: &c.OrigIssuedAt, required: true},
	}
	if !parseObject(payload, members, true) {
		return claimed{}, false
	}
	var subOK, sidOK bool
	c.Subject, subOK = parseID(sub)
	c.Session, sidOK = parseID(sid)
	return c, subOK && sidOK
}

// parseID reads an id as it is written here, and in no other way.
func parseID(s string) (int64, bool) {
	id, err := strconv.ParseInt(s, 10, 64)
	return id, err == nil && strconv.FormatInt(id, 10) == s
}

// member is a member of a JSON object that is read, into one of text and number. null is as good as left out.
type member struct {
	name     string
	text     *string
	number   *int64
	required bool
	seen     bool
}

// parseObject reads a JSON object strictly: valid UTF-8, names to the letter and none of these twice, whole numbers. others says
// whether it may have more than these.
func parseObject(raw []byte, members []member, others bool) bool {
	if !utf8.Valid(raw) || !json.Valid(raw) {
		return false
	}
	rest := skipSpace(raw)
	if rest[0] != '{' {
		return false
	}
	for rest = skipSpace(rest[1:]); rest[0] != '}'; {
		var name, value []byte
		name, rest = cutValue(rest)
		value, rest = cutValue(skipSpace(rest[1:])) // after the colon
		if rest[0] == ',' {
			rest = skipSpace(rest[1:])
		}
		if bytes.IndexByte(name, '\\') >= 0 {
			return false // another way to write a name
		}
		name = name[1 : len(name)-1]
		at := slices.IndexFunc(members, func(m member) bool { return m.name == string(name) })
		if at < 0 && others {
			continue
		}
		if at < 0 || members[at].seen || !members[at].parse(value) {
			return false
		}
	}
	return !slices.ContainsFunc(members, func(m member) bool { return m.required })
}

// parse takes a valid JSON value.
func (m *member) parse(value []byte) bool {
	m.seen = true
	if string(value) == "null" {
		return true
	}
	m.required = false // it is there
	if m.number != nil {
		n, err := strconv.ParseInt(string(value), 10, 64)
		*m.number = n
		return err == nil
	}
	if value[0] != '"' {
		return false
	}
	if bytes.IndexByte(value, '\\') >= 0 {
		return json.Unmarshal(value, m.text) == nil
	}
	*m.text = string(value[1 : len(value)-1])
	return true
}

func skipSpace(b []byte) []byte { return bytes.TrimLeft(b, " \t\r\n") }

// cutValue cuts the first value off JSON that is known to be valid, and the space after it.
func cutValue(b []byte) (value, rest []byte) {
	depth, quoted := 0, false
	for i := 0; ; i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
			if !quoted && depth == 0 {
				return b[:i+1], skipSpace(b[i+1:])
			}
		case quoted:
		case c == '{' || c == '[':
			depth++
		case depth > 0 && (c == '}' || c == ']'):
			if depth--; depth == 0 {
				return b[:i+1], skipSpace(b[i+1:])
			}
		case depth == 0 && (c == ',' || c == '}' || c == ' ' || c == '\t' || c == '\r' || c == '\n'):
			return b[:i], skipSpace(b[i:])
		}
	}
}
