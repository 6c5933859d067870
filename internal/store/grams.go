package store

import (
	"database/sql/driver"
	"fmt"
	"slices"
	"unicode/utf8"

	"modernc.org/sqlite"
)

// SearchColumn is a column of user_search that is searched for substrings: the place of its text among the arguments of
// the SQL function grams.
type SearchColumn int

// The columns, in the order of the arguments.
const (
	SearchUsername SearchColumn = iota
	SearchEmail
	SearchFirstName
	SearchLastName
	SearchSecondaryEmail
	searchColumns
)

// gramSizes are the lengths of the words that the index of substrings has, in code points. A substring is looked for by the
// longest that fit in it: the longer a word, the fewer have it.
var gramSizes = []int{1, 2, 3, 4, 6}

// mark stands before each text, so that its beginning is a substring like any other: spelled NUL, which no text has.
const mark = utf8.RuneSelf

// maxGrams is how many words of one substring are looked for. Few are enough to leave few users, each of which is compared
// with the whole text; each one more may cost a search.
const maxGrams = 4

// spell gives the code points of a folded text as the index has them: SQLite's tokenizer ascii ends a word at what is in ASCII no
// letter or digit, so that is moved to where it does not. What comes to be the same by it is told apart in the row.
func spell(into []rune, text string) []rune {
	for _, r := range text {
		if r < utf8.RuneSelf && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			r += utf8.RuneSelf
		}
		into = append(into, r)
	}
	return into
}

func appendGram(words []byte, column SearchColumn, runes []rune) []byte {
	words = append(words, 'a'+byte(column))
	for _, r := range runes {
		words = utf8.AppendRune(words, r)
	}
	return words
}

// usualWords has room for the words of most users, in bytes, and usualText for a text, in code points.
const usualWords, usualText = 2048, 48

// appendGrams appends the words of one folded text, with a space after each. Single letters, which come again and again, come
// once.
func appendGrams(words []byte, column SearchColumn, text string) []byte {
	if text == "" {
		return words
	}
	marked := spell(append(make([]rune, 0, usualText), mark), text)
	for _, size := range gramSizes {
		for i := 0; i+size <= len(marked); i++ {
			if size == 1 && (i == 0 || slices.Contains(marked[1:i], marked[i])) {
				continue
			}
			words = append(appendGram(words, column, marked[i:i+size]), ' ')
		}
	}
	return words
}

// Substring is the words of the index of substrings, user_substrings, that all users have in whose column a text that Fold
// made is, or at whose beginning, each as MATCH takes it and once. Some other users have them, too: the column itself decides.
// The first word is the text's end, where texts that begin alike differ, the second its beginning.
func Substring(column SearchColumn, text string, beginning bool) []string {
	var runes []rune
	if beginning {
		runes = append(runes, mark)
	}
	runes = spell(runes, text)
	size := 0
	for _, s := range gramSizes {
		if s <= len(runes) {
			size = s
		}
	}
	var words []string
	word := func(at int) {
		if w := `"` + string(appendGram(nil, column, runes[at:at+size])) + `"`; !slices.Contains(words, w) {
			words = append(words, w)
		}
	}
	word(len(runes) - size)
	for i := 0; i+size <= len(runes) && i < (maxGrams-1)*size; i += size {
		word(i)
	}
	return words
}

func init() {
	sqlite.MustRegisterDeterministicScalarFunction("grams", int32(searchColumns), func(_ *sqlite.FunctionContext, args []driver.Value) (driver.Value, error) {
		words := make([]byte, 0, usualWords)
		for i, arg := range args {
			switch text := arg.(type) {
			case nil:
			case string:
				words = appendGrams(words, SearchColumn(i), text)
			default:
				return nil, fmt.Errorf("grams of a %T", text)
			}
		}
		return string(words), nil
	})
}
