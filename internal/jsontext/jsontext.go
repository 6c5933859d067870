// Package jsontext reads and writes JSON texts (RFC 8259) on the paths where encoding/json takes a noticeable part of a
// request: GraphQL requests, the users that SQLite returns as JSON arrays, and strings in answers and tokens.
//
// A [Reader] accepts what encoding/json accepts, with two exceptions. Half of a surrogate pair is an error, because
// encoding/json reads different strings with one as the same string. Bytes that are not UTF-8 are kept as they are in
// strings without escape sequences.
package jsontext

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"accountd/internal/pattern"
)

// Errors of a [Reader].
var (
	ErrSyntax    = errors.New("invalid JSON")
	ErrSurrogate = errors.New("half of a surrogate pair")
)

// maxDepth is the number of nested objects and arrays that encoding/json reads at most.
const maxDepth = 10000

// Reader reads a JSON text from front to back. After its first error every method returns a zero value, so the error
// may be checked at the end.
type Reader struct {
	rest  string
	depth int  // number of open objects and arrays
	first bool // no comma precedes the next value
	err   error
}

// NewReader returns a reader at the beginning of text.
func NewReader(text string) *Reader { return &Reader{rest: text, first: true} }

// Err returns the first error, nil for none.
func (r *Reader) Err() error { return r.err }

// End fails if anything but white space is left. It returns the first error.
func (r *Reader) End() error {
	if r.next(); r.rest != "" {
		r.fail(ErrSyntax)
	}
	return r.err
}

// Open reads the beginning of an object or array: delim is '{' or '['.
func (r *Reader) Open(delim byte) {
	r.value()
	if r.depth++; r.depth > maxDepth || !r.take(delim) {
		r.fail(ErrSyntax)
	}
	r.first = true
}

// More reports whether the open object or array has another value. If not, it reads the end, which is delim.
func (r *Reader) More(delim byte) bool {
	if r.take(delim) {
		r.depth--
		r.first = false
		return false
	}
	return r.err == nil
}

// Close reads the end of the open object or array, and fails if there is another value.
func (r *Reader) Close(delim byte) {
	if r.More(delim) {
		r.fail(ErrSyntax)
	}
}

// Name reads the name of the next member of an object. Its value comes next.
func (r *Reader) Name() string {
	name := r.Text()
	if !r.take(':') {
		r.fail(ErrSyntax)
	}
	r.first = true
	return name
}

// Null reads a null if that is the next value.
func (r *Reader) Null() bool {
	r.value()
	null := r.skip("null")
	r.first = !null
	return null
}

// Text reads a string. It may share memory with the text that is read.
func (r *Reader) Text() string {
	r.value()
	if !r.take('"') {
		r.fail(ErrSyntax)
		return ""
	}
	escaped := false
	for i := 0; i < len(r.rest) && r.rest[i] >= ' '; i++ {
		switch r.rest[i] {
		case '\\':
			escaped = true
			i++
		case '"':
			text := r.rest[:i]
			if r.rest = r.rest[i+1:]; escaped {
				return r.unescape(text)
			}
			return text
		}
	}
	r.fail(ErrSyntax)
	return ""
}

// unescape decodes a string that has escape sequences.
func (r *Reader) unescape(text string) string {
	var decoded string
	if err := json.Unmarshal([]byte(`"`+text+`"`), &decoded); err != nil {
		r.fail(ErrSyntax)
		return ""
	}
	if strings.ContainsRune(decoded, utf8.RuneError) && LoneSurrogate(text) {
		r.fail(ErrSurrogate)
	}
	return decoded
}

// escapes matches an escape sequence, and captures half of a surrogate pair.
var escapes = pattern.Lazy(`(?i)\\(?:ud[89ab]..\\ud[c-f]..|(ud[89a-f])|.)`)

// LoneSurrogate reports whether a string of JSON or GraphQL, as it is written, has half of a surrogate pair. Decoders
// read U+FFFD for it.
func LoneSurrogate(text string) bool {
	lone := func(escape []string) bool { return escape[1] != "" }
	return slices.ContainsFunc(escapes().FindAllStringSubmatch(text, -1), lone)
}

// OptionalText reads a string or null, which is "".
func (r *Reader) OptionalText() string {
	if r.Null() {
		return ""
	}
	return r.Text()
}

// Number reads a number, as it is written.
func (r *Reader) Number() json.Number {
	r.value()
	text := r.rest
	r.rest = strings.TrimLeft(text, "0123456789+-.eE")
	text = text[:len(text)-len(r.rest)]
	if !json.Valid([]byte(text)) {
		r.fail(ErrSyntax)
		return ""
	}
	return json.Number(text)
}

// Int reads an integer of 64 bits. It fails for every other number.
func (r *Reader) Int() int64 {
	n, err := strconv.ParseInt(string(r.Number()), 10, 64)
	if err != nil {
		r.fail(ErrSyntax)
	}
	return n
}

// Value reads any value into the type that encoding/json has for it, numbers into json.Number. Of several members of
// one name the last counts. Strings do not share memory with the text that is read; names and numbers may.
func (r *Reader) Value() any {
	c := r.value()
	r.first = true // the methods below begin the value again
	switch {
	case c == '{':
		object := map[string]any{}
		for r.Open('{'); r.More('}'); {
			name := r.Name()
			object[name] = r.Value()
		}
		return object
	case c == '[':
		array := []any{}
		for r.Open('['); r.More(']'); {
			array = append(array, r.Value())
		}
		return array
	case c == '"':
		return strings.Clone(r.Text())
	case c == '-' || c >= '0' && c <= '9':
		return r.Number()
	}
	r.first = false
	switch {
	case r.skip("true"):
		return true
	case r.skip("false"):
		return false
	case !r.skip("null"):
		r.fail(ErrSyntax)
	}
	return nil
}

// value reads what precedes a value, and returns the value's first byte without reading it.
func (r *Reader) value() byte {
	if !r.first && !r.take(',') {
		r.fail(ErrSyntax)
	}
	r.first = false
	return r.next()
}

// next reads white space, and returns the byte that follows without reading it; 0 at the end.
func (r *Reader) next() byte {
	for r.rest != "" {
		switch c := r.rest[0]; c {
		case ' ', '\t', '\r', '\n':
			r.rest = r.rest[1:]
		default:
			return c
		}
	}
	return 0
}

// take reads white space, and c if that follows.
func (r *Reader) take(c byte) bool {
	if r.next() != c || r.rest == "" {
		return false
	}
	r.rest = r.rest[1:]
	return true
}

// skip reads word if that follows.
func (r *Reader) skip(word string) (ok bool) {
	r.rest, ok = strings.CutPrefix(r.rest, word)
	return ok
}

func (r *Reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.rest = ""
}

// AppendString appends s to out as a JSON string, escaped as encoding/json does.
func AppendString(out []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) // never fails for a string
			return append(out, quoted...)
		}
	}
	out = append(out, '"')
	out = append(out, s...)
	return append(out, '"')
}
