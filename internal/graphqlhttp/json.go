package graphqlhttp

import (
	"encoding/json"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonText is a JSON text (RFC 8259) being read, once, into what encoding/json makes of it: numbers as json.Number, and of
// members with one name the last. It is UTF-8 and without lone surrogates. Nothing that is read refers to it.
//
// The functions report whether the text goes on as they have to read it; what is wrong with it, encoding/json tells better.
type jsonText struct {
	text  []byte
	at    int
	depth int // of open objects and arrays
}

// maxJSONDepth is encoding/json's.
const maxJSONDepth = 10000

// readJSON reads a text that is one value.
func readJSON(text []byte) (value any, ok bool) {
	t := jsonText{text: text}
	value, ok = t.value()
	return value, ok && t.end()
}

// end reports whether nothing but space is left.
func (t *jsonText) end() bool {
	return t.next() == 0 && t.at >= len(t.text)
}

// next skips space and returns the byte that follows, 0 at the end, without going past it.
func (t *jsonText) next() byte {
	for ; t.at < len(t.text); t.at++ {
		switch c := t.text[t.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// take skips space and goes past c, if that is what follows.
func (t *jsonText) take(c byte) bool {
	t.next()
	return t.skip(c)
}

func (t *jsonText) value() (any, bool) {
	switch c := t.next(); {
	case c == '{':
		object := map[string]any{}
		ok := t.object(func(name []byte) (ok bool) {
			key := string(name)
			object[key], ok = t.value()
			return ok
		})
		return object, ok
	case c == '[':
		return t.array()
	case c == '"':
		text, ok := t.string()
		return string(text), ok
	case c == '-' || c >= '0' && c <= '9':
		return t.number()
	case t.word("true"):
		return true, true
	case t.word("false"):
		return false, true
	default:
		return nil, t.word("null")
	}
}

// object reads an object and calls member with each name, which is good until then, for it to read the value.
func (t *jsonText) object(member func(name []byte) bool) bool {
	if t.depth++; t.depth > maxJSONDepth || !t.take('{') {
		return false
	}
	for first := true; !t.take('}'); first = false {
		if !first && !t.take(',') {
			return false
		}
		name, ok := t.string()
		if !ok || !t.take(':') || !member(name) {
			return false
		}
	}
	t.depth--
	return true
}

func (t *jsonText) array() (any, bool) {
	if t.depth++; t.depth > maxJSONDepth || !t.take('[') {
		return nil, false
	}
	items := []any{}
	for !t.take(']') {
		if len(items) > 0 && !t.take(',') {
			return nil, false
		}
		item, ok := t.value()
		if !ok {
			return nil, false
		}
		items = append(items, item)
	}
	t.depth--
	return items, true
}

// string reads a string. What it returns may be a part of the text.
func (t *jsonText) string() ([]byte, bool) {
	if !t.take('"') {
		return nil, false
	}
	start := t.at
	for ; t.at < len(t.text); t.at++ {
		switch c := t.text[t.at]; {
		case c == '"':
			t.at++
			return t.text[start : t.at-1], true
		case c == '\\':
			return t.escaped(append([]byte(nil), t.text[start:t.at]...))
		case c < ' ':
			return nil, false
		}
	}
	return nil, false
}

// escapes are those of one character.
var escapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escaped reads the rest of a string from its first escape on, and appends it to out.
func (t *jsonText) escaped(out []byte) ([]byte, bool) {
	for t.at < len(t.text) {
		c := t.text[t.at]
		switch {
		case c == '"':
			t.at++
			return out, true
		case c < ' ':
			return nil, false
		case c != '\\':
			out = append(out, c)
			t.at++
			continue
		}
		if unit, ok := unicodeEscape(t.text, t.at); ok {
			t.at += 6
			if utf16.IsSurrogate(unit) {
				low, _ := unicodeEscape(t.text, t.at)
				unit = utf16.DecodeRune(unit, low)
				t.at += 6
			}
			out = utf8.AppendRune(out, unit)
			continue
		}
		if t.at+1 >= len(t.text) || escapes[t.text[t.at+1]] == 0 {
			return nil, false
		}
		out = append(out, escapes[t.text[t.at+1]])
		t.at += 2
	}
	return nil, false
}

func (t *jsonText) number() (any, bool) {
	start := t.at
	t.skip('-')
	if !t.skip('0') && t.digits() == 0 {
		return nil, false
	}
	if t.skip('.') && t.digits() == 0 {
		return nil, false
	}
	if t.skip('e') || t.skip('E') {
		if !t.skip('+') {
			t.skip('-')
		}
		if t.digits() == 0 {
			return nil, false
		}
	}
	return json.Number(t.text[start:t.at]), true
}

// skip goes past c, if that is what follows at once.
func (t *jsonText) skip(c byte) bool {
	ok := t.at < len(t.text) && t.text[t.at] == c
	if ok {
		t.at++
	}
	return ok
}

// word goes past word, if that is what follows at once.
func (t *jsonText) word(word string) bool {
	ok := hasPrefixAt(t.text, t.at, word)
	if ok {
		t.at += len(word)
	}
	return ok
}

// digits goes past digits and returns how many there were.
func (t *jsonText) digits() int {
	start := t.at
	for t.at < len(t.text) && t.text[t.at] >= '0' && t.text[t.at] <= '9' {
		t.at++
	}
	return t.at - start
}
