package graphqlhttp

import (
	"strings"
	"unicode/utf8"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/lexer"

	"accountd/internal/jsontext"
)

// scanned is what the tokens of a document tell before it is parsed.
type scanned struct {
	nesting   int  // deepest nesting of (), [] and {}
	parts     int  // upper bound of the nodes that the parser makes of it, __typename counted twice
	strings   bool // there is a string
	surrogate bool // a string has half of a surrogate pair, which the parser would read as U+FFFD
}

// scanDocument reads the tokens of a text, up to the first error.
func scanDocument(text string) scanned {
	var s scanned
	var runes []rune // of the text, in which the lexer counts
	depth := 0
	for lex := lexer.New(&ast.Source{Input: text}); ; {
		token, err := lex.ReadToken()
		if err != nil {
			return s
		}
		switch token.Kind {
		case lexer.EOF:
			return s
		case lexer.ParenL, lexer.BracketL, lexer.BraceL:
			depth++
			s.nesting = max(s.nesting, depth)
			s.parts++
		case lexer.ParenR, lexer.BracketR, lexer.BraceR:
			depth--
		case lexer.Comment, lexer.Int, lexer.Float:
			s.parts++
		case lexer.Name:
			s.parts++
			if token.Value == "__typename" {
				s.parts++ // validation makes a definition for each
			}
		case lexer.BlockString:
			s.strings = true
		case lexer.String:
			s.strings = true
			if s.surrogate || !strings.ContainsRune(token.Value, utf8.RuneError) {
				break
			}
			if runes == nil {
				runes = []rune(text)
			}
			s.surrogate = jsontext.LoneSurrogate(string(runes[token.Pos.Start:token.Pos.End]))
		}
	}
}
