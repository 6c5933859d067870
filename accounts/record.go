package accounts

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// record reads a text that SQLite's json_array or json_group_array made, from the front. A user, or a page of them, comes from
// the database as one such text: each column by itself would cost two calls of SQLite with a mutex each, and memory.
//
// Every text comes out as it is in the database, whatever bytes it has, and a part of the record where nothing had to be
// escaped. After an error nothing more is read.
type record struct {
	rest string
	err  error
}

var errRecord = errors.New("not an array as SQLite makes them")

func (r *record) fail() {
	if r.err == nil {
		r.err = fmt.Errorf("%w, %d bytes before its end", errRecord, len(r.rest))
	}
	r.rest = ""
}

// skip takes c away if it comes next.
func (r *record) skip(c byte) bool {
	if r.rest == "" || r.rest[0] != c {
		return false
	}
	r.rest = r.rest[1:]
	return true
}

// open begins an array.
func (r *record) open() {
	if !r.skip('[') {
		r.fail()
	}
}

// more reports whether the array goes on, and ends it if not. It takes the comma between two values away.
func (r *record) more() bool {
	switch {
	case r.skip(']'):
		return false
	case r.skip(','):
	case r.rest == "":
		r.fail()
	}
	return r.err == nil
}

// end ends an array.
func (r *record) end() {
	if !r.skip(']') {
		r.fail()
	}
}

// null takes a NULL away if it comes next in the array.
func (r *record) null() bool {
	r.skip(',')
	rest, ok := strings.CutPrefix(r.rest, "null")
	r.rest = rest
	return ok
}

// number is the text of the next value, a number.
func (r *record) number() string {
	r.skip(',')
	end := 0
	for end < len(r.rest) && r.rest[end] != ',' && r.rest[end] != ']' {
		end++
	}
	text := r.rest[:end]
	r.rest = r.rest[end:]
	return text
}

// integer is the next value.
func (r *record) integer() int64 {
	n, err := strconv.ParseInt(r.number(), 10, 64)
	if err != nil {
		r.fail()
	}
	return n
}

// text is the next value, "" for NULL.
func (r *record) text() string {
	if r.null() {
		return ""
	}
	if !r.skip('"') {
		r.fail()
		return ""
	}
	for i := range len(r.rest) {
		switch r.rest[i] {
		case '"':
			text := r.rest[:i]
			r.rest = r.rest[i+1:]
			return text
		case '\\':
			return r.escaped(i)
		}
	}
	r.fail()
	return ""
}

// escapes are the letters after a backslash, and escapedBytes what they stand for.
const escapes, escapedBytes = `"\bfnrt`, "\"\\\b\f\n\r\t"

// escaped is a text whose first escape sequence is at start.
func (r *record) escaped(start int) string {
	text := []byte(r.rest[:start])
	r.rest = r.rest[start:]
	for r.rest != "" {
		c := r.rest[0]
		switch {
		case c == '"':
			r.rest = r.rest[1:]
			return string(text)
		case c != '\\':
			text = append(text, c)
			r.rest = r.rest[1:]
		case len(r.rest) >= 6 && r.rest[1] == 'u':
			code, err := strconv.ParseUint(r.rest[2:6], 16, 8) // control characters only
			if err != nil {
				r.fail()
				return ""
			}
			text, r.rest = append(text, byte(code)), r.rest[6:]
		default:
			i := -1
			if len(r.rest) > 1 {
				i = strings.IndexByte(escapes, r.rest[1])
			}
			if i < 0 {
				r.fail()
				return ""
			}
			text, r.rest = append(text, escapedBytes[i]), r.rest[2:]
		}
	}
	r.fail()
	return ""
}

// value is the next value as its column has it: nil, a string, an int64 or a float64. SQLite writes negative zero as zero.
func (r *record) value() any {
	switch {
	case r.null():
		return nil
	case strings.HasPrefix(r.rest, `"`):
		return r.text()
	}
	text := r.number()
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) { // SQLite writes infinity as 9e999
		r.fail()
	}
	return f
}
