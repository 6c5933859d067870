package graphqlhttp

import (
	"strconv"
	"strings"
)

// scanned is what one pass over a document finds without parsing it.
type scanned struct {
	nesting   int  // deepest nesting of (), [] and {}
	surrogate bool // a string has an escaped surrogate that is not one of a pair, which the parser reads as U+FFFD
	strings   bool // there is a string
}

// scanDocument looks through a text that may or may not be a GraphQL document.
func scanDocument(text string) scanned {
	var s scanned
	depth := 0
	for i := 0; i < len(text); {
		switch text[i] {
		case '#':
			for i < len(text) && text[i] != '\n' && text[i] != '\r' {
				i++
			}
			continue
		case '"':
			s.strings = true
			if strings.HasPrefix(text[i:], `"""`) {
				i = skipBlockString(text, i+3)
			} else {
				var lone bool
				i, lone = skipString(text, i+1)
				s.surrogate = s.surrogate || lone
			}
			continue
		case '(', '[', '{':
			depth++
			s.nesting = max(s.nesting, depth)
		case ')', ']', '}':
			depth--
		}
		i++
	}
	return s
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

// skipString returns where the string that i is in ends, and whether it has a surrogate that is not one of a pair.
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
