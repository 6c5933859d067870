package graphqlhttp

import (
	"strconv"
	"strings"
)

// scanned is what one pass over a document finds without parsing it.
type scanned struct {
	nesting   int  // deepest nesting of (), [] and {}
	parts     int  // upper bound of the nodes that the parser makes of it, __typename counted twice
	strings   bool // there is a string
	surrogate bool // a string has half of a surrogate pair, which the parser would read as U+FFFD
}

// scanDocument looks through a text that may or may not be a GraphQL document.
func scanDocument(text string) scanned {
	var s scanned
	depth := 0
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '#':
			s.parts++
			for i < len(text) && text[i] != '\n' && text[i] != '\r' {
				i++
			}
			continue
		case c == '"':
			s.strings = true
			if strings.HasPrefix(text[i:], `"""`) {
				i = skipBlockString(text, i+3)
			} else {
				var lone bool
				i, lone = skipString(text, i+1)
				s.surrogate = s.surrogate || lone
			}
			continue
		case isWord(c):
			start := i
			for i < len(text) && isWord(text[i]) {
				i++
			}
			s.parts++
			if text[start:i] == "__typename" {
				s.parts++ // validation makes a definition for each
			}
			continue
		case c == '(' || c == '[' || c == '{':
			depth++
			s.nesting = max(s.nesting, depth)
			if c != '(' {
				s.parts++
			}
		case c == ')' || c == ']' || c == '}':
			depth--
		}
		i++
	}
	return s
}

// isWord reports whether c is part of a name or a number.
func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c|' ' >= 'a' && c|' ' <= 'z'
}

func skipBlockString(text string, i int) int {
	for i < len(text) {
		switch {
		case strings.HasPrefix(text[i:], `\"""`):
			i += 4
		case strings.HasPrefix(text[i:], `"""`):
			return i + 3
		default:
			i++
		}
	}
	return i
}

// skipString returns where the string that i is in ends, and whether it has half of a surrogate pair.
func skipString(text string, i int) (end int, lone bool) {
	for i < len(text) {
		switch text[i] {
		case '"':
			return i + 1, lone
		case '\n', '\r':
			return i, lone // not closed: the parser refuses it
		case '\\':
			unit, ok := unicodeEscape(text, i)
			switch {
			case !ok:
				i += 2
				continue
			case unit >= 0xD800 && unit < 0xDC00:
				if next, ok := unicodeEscape(text, i+6); ok && next >= 0xDC00 && next < 0xE000 {
					i += 6
				} else {
					lone = true
				}
			case unit >= 0xDC00 && unit < 0xE000:
				lone = true
			}
			i += 6
		default:
			i++
		}
	}
	return i, lone
}

// unicodeEscape reads \uXXXX at i.
func unicodeEscape(text string, i int) (unit uint64, ok bool) {
	if len(text) < i+6 || text[i:i+2] != `\u` {
		return 0, false
	}
	unit, err := strconv.ParseUint(text[i+2:i+6], 16, 16)
	return unit, err == nil
}
