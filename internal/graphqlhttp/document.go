package graphqlhttp

import (
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// document returns the parsed and validated document of a query. Requests share it, so it must not be changed. A
// document with a string is not kept: the string may be a password or a token, and would stay in memory.
func (h *Handler) document(query string) (*ast.QueryDocument, *refusal) {
	limits := &h.settings.Limits
	if len(query) > limits.Query {
		return nil, refuse(CodeTooLarge, "The query has %d bytes; at most %d are allowed.", len(query), limits.Query)
	}
	if doc := h.documents.get(query); doc != nil {
		return doc, nil
	}
	query = strings.Clone(query) // it may share memory with a longer text, such as a URL, which the cache would keep
	seen := scanDocument(query)
	if seen.surrogate {
		return nil, refuse(CodeBadString, "A string has half of a surrogate pair.")
	}
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: query}, limits.Tokens)
	if err != nil {
		return nil, h.syntaxError(err)
	}
	if seen.nesting > limits.Nesting {
		return nil, tooComplex("levels of nesting", seen.nesting, limits.Nesting)
	}
	if r := h.checkCost(doc); r != nil {
		return nil, r
	}
	if errs := validator.ValidateWithRules(h.schema, doc, h.quietRules()); len(errs) > 0 {
		// Suggestions cost as much as the rest of validation, so only few errors get them.
		if h.settings.Introspection && len(errs) <= limits.Errors {
			errs = validator.ValidateWithRules(h.schema, doc, h.allRules())
		}
		return nil, h.invalid(errs)
	}
	if !seen.strings {
		h.documents.add(query, doc, keptBytes(query, seen.parts))
	}
	return doc, nil
}

func (h *Handler) syntaxError(err error) *refusal {
	// Only the error of the token limit has no position. It has no type of its own.
	var at *gqlerror.Error
	if errors.As(err, &at) && len(at.Locations) > 0 {
		r := refuse(CodeSyntax, "Syntax error: %s", clip(withoutToken(at.Message)))
		r.errs[0].Locations = at.Locations
		return r
	}
	return refuse(CodeTooComplex, "The document has more than %d tokens.", h.settings.Limits.Tokens)
}

// withoutToken removes the value, which is quoted at the end, from a message of the parser. A value may be a secret
// in the wrong place, and proxies and error trackers of clients store answers.
func withoutToken(message string) string {
	for _, kind := range []string{"String", "Int", "Float"} {
		if before, _, ok := strings.Cut(message, kind+` "`); ok {
			return before + kind
		}
	}
	return message
}

// clip shortens a message that quotes the request.
func clip(message string) string {
	const longest = 500
	if len(message) <= longest {
		return message
	}
	return strings.ToValidUTF8(message[:longest], "") + "…"
}

// invalid returns the refusal for errors of validation. Equal messages become one error with all locations.
func (h *Handler) invalid(errs gqlerror.List) *refusal {
	r, limit := &refusal{}, h.settings.Limits.Errors
	byMessage := map[string]*wireError{}
	for _, err := range errs {
		message := clip(withoutValue(err))
		if e := byMessage[message]; e == nil && len(r.errs) < limit {
			e = newError(CodeValidation, message, nil)
			e.Locations = err.Locations
			byMessage[message] = e
			r.errs = append(r.errs, e)
		} else if e != nil && len(e.Locations) < limit {
			e.Locations = append(e.Locations, err.Locations...)
		}
	}
	return r
}

// operation returns the operation to execute. It refuses several exclusive mutations.
func (h *Handler) operation(doc *ast.QueryDocument, name string) (*ast.OperationDefinition, *refusal) {
	var op *ast.OperationDefinition
	switch {
	case len(doc.Operations) == 0:
		return nil, refuse(CodeOperation, "The document has no operation.")
	case name != "":
		if op = doc.Operations.ForName(name); op == nil {
			return nil, refuse(CodeOperation, "The document has no operation named %s.", quoteShort(name))
		}
	case len(doc.Operations) > 1:
		return nil, refuse(CodeOperation, "The document has several operations: operationName has to name one of them.")
	default:
		op = doc.Operations[0]
	}
	exclusive := map[string]bool{}
	if op.Operation == ast.Mutation {
		h.exclusive(op.SelectionSet, exclusive)
	}
	if len(exclusive) > 1 {
		return nil, refuse(CodeOneCredentialMutation, "A request may have only one mutation that deals with "+
			"credentials; send the others in requests of their own.")
	}
	return op, nil
}

// exclusive adds the response keys of exclusive fields to keys. It takes @skip and @include for not there.
func (h *Handler) exclusive(set ast.SelectionSet, keys map[string]bool) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			if h.settings.Exclusive[s.Name] {
				keys[s.Alias] = true
			}
		case *ast.InlineFragment:
			h.exclusive(s.SelectionSet, keys)
		case *ast.FragmentSpread:
			h.exclusive(s.Definition.SelectionSet, keys)
		}
	}
}

// cache keeps validated documents by their text and evicts the least recently used ones. It bounds both their number
// and the memory that they take together, because anybody can send documents, and a parsed one is many times larger
// than its text.
type cache struct {
	mu        sync.Mutex
	documents *simplelru.LRU[string, keptDocument]
	bytes     int // sum of the documents' bytes
	budget    int
}

type keptDocument struct {
	*ast.QueryDocument
	bytes int
}

// What documents in the cache take, in bytes. TestCacheHoldsWhatItSays compares them with the heap.
const (
	bytesForDocument = 4 << 10 // the cache's budget per document
	entryBytes       = 512     // upper bound of an empty document and its place in the cache
	partBytes        = 256     // upper bound of one of scanned.parts, with its token and its place in a list
)

// keptBytes is an upper bound of what a document takes in the cache.
func keptBytes(query string, parts int) int {
	return entryBytes + len(query) + len(query)/8 + partBytes*parts
}

func newCache(documents int) (*cache, error) {
	c := &cache{budget: bytesForDocument * documents}
	var err error
	c.documents, err = simplelru.NewLRU(documents, func(_ string, doc keptDocument) { c.bytes -= doc.bytes })
	return c, err
}

func (c *cache) get(query string) *ast.QueryDocument {
	c.mu.Lock()
	defer c.mu.Unlock()
	doc, _ := c.documents.Get(query)
	return doc.QueryDocument
}

// add keeps doc, which takes bytes. doc must not refer to any text but query.
func (c *cache) add(query string, doc *ast.QueryDocument, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if bytes > c.budget || c.documents.Contains(query) {
		return
	}
	c.documents.Add(query, keptDocument{doc, bytes})
	for c.bytes += bytes; c.bytes > c.budget; {
		c.documents.RemoveOldest()
	}
}

// allRules are the validation rules: gqlparser's, which are those of the specification, and one that it lacks.
func (h *Handler) allRules() *rules.Rules {
	r := rules.NewDefaultRules()
	r.ReplaceRule(rules.KnownTypeNamesRule.Name, h.knownTypeNames)
	r.AddRule("NumbersInRange", numbersInRange)
	return r
}

// quietRules are allRules without suggestions, which would show names of the schema where introspection is off.
func (h *Handler) quietRules() *rules.Rules {
	r := h.allRules()
	for name, quiet := range map[string]core.Rule{
		rules.FieldsOnCorrectTypeRule.Name: rules.FieldsOnCorrectTypeRuleWithoutSuggestions,
		rules.KnownArgumentNamesRule.Name:  rules.KnownArgumentNamesRuleWithoutSuggestions,
		rules.KnownTypeNamesRule.Name:      rules.KnownTypeNamesRuleWithoutSuggestions,
		rules.ScalarLeafsRule.Name:         rules.ScalarLeafsRuleWithoutSuggestions,
		rules.ValuesOfCorrectTypeRule.Name: rules.ValuesOfCorrectTypeRuleWithoutSuggestions,
	} {
		r.ReplaceRule(name, quiet.RuleFunc)
	}
	return r
}

// knownTypeNames suggests types of equally similar names in a fixed order. gqlparser's rule suggests them in the
// order of a map, so that equal requests have different answers.
func (h *Handler) knownTypeNames(observers *core.Events, addError core.AddErrFunc) {
	rules.KnownTypeNamesRuleWithoutSuggestions.RuleFunc(observers, func(options ...core.ErrorOption) {
		addError(append(options, func(err *gqlerror.Error) {
			unknown := strings.TrimSuffix(strings.TrimPrefix(err.Message, `Unknown type "`), `".`)
			core.SuggestListQuoted("Did you mean", unknown, slices.Sorted(maps.Keys(h.schema.Types)))(err)
		})...)
	})
}

// numbersInRange refuses literals out of the range of Int or Float (GraphQL, sections 3.5.1 and 3.5.2, input coercion).
func numbersInRange(observers *core.Events, addError core.AddErrFunc) {
	observers.OnValue(func(_ *core.Walker, v *ast.Value) {
		if v.Definition == nil || v.Kind != ast.IntValue && v.Kind != ast.FloatValue {
			return
		}
		ok, name := true, v.Definition.Name
		switch name {
		case "Int":
			_, err := strconv.ParseInt(v.Raw, 10, 32)
			ok = err == nil || v.Kind == ast.FloatValue // which the rule for types refuses
		case "Float":
			f, err := strconv.ParseFloat(v.Raw, 64)
			ok = err == nil && !math.IsInf(f, 0)
		}
		if !ok {
			addError(core.Message("%s cannot represent a number out of its range.", name), core.At(v.Position))
		}
	})
}

// withoutValue removes the value from a message of the rule for types, for the reason of withoutToken. The value is
// at the end, or before a suggestion.
func withoutValue(err *gqlerror.Error) string {
	if !strings.HasPrefix(err.Rule, rules.ValuesOfCorrectTypeRule.Name) {
		return err.Message
	}
	for _, before := range []string{" value: ", ", found "} {
		if message, value, ok := strings.Cut(err.Message, before); ok {
			message += strings.TrimRight(strings.TrimSuffix(before, "found "), ":, ") + "."
			if i := strings.LastIndex(value, " Did you mean "); i >= 0 {
				message += value[i:]
			}
			return message
		}
	}
	return err.Message
}
