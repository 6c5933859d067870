package graphqlhttp

import (
	"slices"
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

// cost is the size of a selection set with its fragments expanded. Counts stop at tooMany.
type cost struct {
	fields, aliases int
	depth           int // of selections; __schema and __type count as leaves
	introspection   int // depth of selections inside these
}

const tooMany = 1 << 30

func (c *cost) add(other cost) {
	c.fields = min(c.fields+other.fields, tooMany)
	c.aliases = min(c.aliases+other.aliases, tooMany)
	c.depth = max(c.depth, other.depth)
	c.introspection = max(c.introspection, other.introspection)
}

// counter counts a document before its validation, whose time is quadratic in the number of fields. It visits each
// fragment name once, and leaves cycles to validation.
type counter struct {
	fragments    ast.FragmentDefinitionList
	counted      map[string]cost // by the name of a fragment, zero while it is open
	directives   int
	introspected bool // a field is __schema or __type
}

// checkCost refuses a document that exceeds a limit.
func (h *Handler) checkCost(doc *ast.QueryDocument) *refusal {
	l := h.settings.Limits
	c := &counter{fragments: doc.Fragments, counted: map[string]cost{}}
	if n := len(doc.Fragments); n > l.Fragments {
		return tooComplex("fragments", n, l.Fragments)
	}
	for _, f := range doc.Fragments {
		c.directives += len(f.Directives)
		if c.fragment(f.Name); doc.Fragments.ForName(f.Name) != f {
			c.set(&f.SelectionSet) // validation refuses the second of a name, but compares its fields before
		}
	}
	for _, op := range doc.Operations {
		c.directives += len(op.Directives)
		for _, v := range op.VariableDefinitions {
			c.directives += len(v.Directives)
		}
		total := c.set(&op.SelectionSet)
		for _, check := range []struct {
			what       string
			got, limit int
		}{
			{"variables", len(op.VariableDefinitions), l.Variables},
			{"fields", total.fields, l.Fields},
			{"aliases", total.aliases, l.Aliases},
			{"levels of selections", total.depth, l.Depth},
			{"levels of selections inside introspection", total.introspection, l.IntrospectionDepth},
		} {
			if check.got > check.limit {
				return tooComplex(check.what, check.got, check.limit)
			}
		}
	}
	if c.directives > l.Directives {
		return tooComplex("directives", c.directives, l.Directives)
	}
	if c.introspected && !h.settings.Introspection {
		return refuse(CodeValidation, "Introspection is off on this server: __schema and __type cannot be asked for.")
	}
	return nil
}

// set counts a selection set, and removes plain fields that it already has. Answers stay the same, and the rule for
// overlapping fields, which compares each field with each, has less to do.
func (c *counter) set(set *ast.SelectionSet) cost {
	type plainField struct{ alias, name string }
	seen := map[plainField]bool{}
	var total cost
	*set = slices.DeleteFunc(*set, func(s ast.Selection) (repeated bool) {
		switch s := s.(type) {
		case *ast.Field:
			c.directives += len(s.Directives)
			total.add(c.field(s))
			if f := (plainField{s.Alias, s.Name}); len(s.SelectionSet)+len(s.Arguments)+len(s.Directives) == 0 {
				repeated, seen[f] = seen[f], true
			}
		case *ast.InlineFragment:
			c.directives += len(s.Directives)
			total.add(c.set(&s.SelectionSet))
		case *ast.FragmentSpread:
			c.directives += len(s.Directives)
			total.add(c.fragment(s.Name))
		}
		return repeated
	})
	return total
}

func (c *counter) field(f *ast.Field) cost {
	inner := c.set(&f.SelectionSet)
	own := inner
	own.fields = min(own.fields+1, tooMany)
	own.depth++
	if f.Alias != f.Name {
		own.aliases++
	}
	if f.Name == "__schema" || f.Name == "__type" {
		c.introspected = true
		own.depth, own.introspection = 1, inner.depth
	}
	return own
}

func (c *counter) fragment(name string) cost {
	if total, ok := c.counted[name]; ok {
		return total
	}
	c.counted[name] = cost{}
	if f := c.fragments.ForName(name); f != nil {
		c.counted[name] = c.set(&f.SelectionSet)
	}
	return c.counted[name]
}

func tooComplex(what string, got, limit int) *refusal {
	if got >= tooMany {
		return refuse(CodeTooComplex, "The document has too many %s; at most %d are allowed.", what, limit)
	}
	return refuse(CodeTooComplex, "The document has %d %s; at most %d are allowed.", got, what, limit)
}
