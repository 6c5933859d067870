package graphqlhttp

import "bytes"

// characters are a text in either form.
type characters interface{ string | []byte }

// scanned is what one pass over a text finds without parsing it.
type scanned struct {
	nesting   int  // deepest nesting of (), [] and {}
	surrogate bool // a string has an escaped surrogate that is not one of a pair
	strings   bool // there is a string
}

// scanDocument looks through a GraphQL document. Text that is no GraphQL does not harm it.
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
			if hasPrefixAt(text, i, `"""`) {
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

// loneSurrogate reports whether a string of a JSON text has one. encoding/json reads it as U+FFFD, so that different
// strings would become equal.
func loneSurrogate(text []byte) bool {
	if !bytes.Contains(text, []byte(`\u`)) {
		return false
	}
	for i := 0; i < len(text); {
		if text[i] != '"' {
			i++
			continue
		}
		var lone bool
		if i, lone = skipString(text, i+1); lone {
			return true
		}
	}
	return false
}

func hasPrefixAt[T characters](text T, i int, prefix string) bool {
	return len(text)-i >= len(prefix) && string(text[i:i+len(prefix)]) == prefix
}

func skipBlockString(text string, i int) int {
	for i < len(text) {
		switch {
		case hasPrefixAt(text, i, `\"""`):
			i += 4
		case hasPrefixAt(text, i, `"""`):
			return i + 3
		default:
			i++
		}
	}
	return i
}

// skipString returns where the string that i is in has ended, for the syntax that GraphQL and JSON share.
func skipString[T characters](text T, i int) (end int, lone bool) {
	for i < len(text) {
		switch text[i] {
		case '"':
			return i + 1, lone
		case '\n', '\r':
			return i, lone // not closed: whoever parses will say so
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
func unicodeEscape[T characters](text T, i int) (unit rune, ok bool) {
	if !hasPrefixAt(text, i, `\u`) || len(text) < i+6 {
		return 0, false
	}
	for n := 2; n < 6; n++ {
		c := text[i+n]
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		unit = unit<<4 | rune(c)
	}
	return unit, true
}
