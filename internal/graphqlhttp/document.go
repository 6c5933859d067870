package graphqlhttp

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"accountd/internal/pattern"
)

// document returns the parsed and validated document of a query. It is shared: only for reading. One with a string in it is not kept:
// that may be a password or a token, which would stay in memory for as long as nobody sends many other documents.
func (d *Door) document(query string) (*ast.QueryDocument, *refusal) {
	if len(query) > d.settings.Limits.Query {
		return nil, refuse(CodeTooLarge, fmt.Sprintf("The query has %d bytes; at most %d are allowed.", len(query), d.settings.Limits.Query))
	}
	if doc := d.documents.get(query); doc != nil {
		return doc, nil
	}
	query = strings.Clone(query) // it may be a part of a longer text, as of a URL, which the document would keep alive
	seen := scanDocument(query)
	if seen.surrogate {
		return nil, refuse(CodeBadString, "A string has half of a surrogate pair.")
	}
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: query}, d.settings.Limits.Tokens)
	if err != nil {
		return nil, d.syntax(err)
	}
	if seen.nesting > d.settings.Limits.Nesting {
		return nil, tooComplex("levels of nesting", seen.nesting, d.settings.Limits.Nesting)
	}
	if r := d.checkCost(doc); r != nil {
		return nil, r
	}
	for _, op := range doc.Operations {
		op.SelectionSet = withoutRepeats(op.SelectionSet)
	}
	for _, f := range doc.Fragments {
		f.SelectionSet = withoutRepeats(f.SelectionSet)
	}
	if errs := validator.ValidateWithRules(d.schema, doc, d.quietRules()); len(errs) > 0 {
		// A suggestion costs as much as the rest of validation, so it is made for few errors only.
		if d.settings.Introspection && len(errs) <= d.settings.Limits.Errors {
			errs = validator.ValidateWithRules(d.schema, doc, d.allRules())
		}
		return nil, d.invalid(errs)
	}
	if !seen.strings {
		d.documents.add(query, doc, keptBytes(query, seen.parts))
	}
	return doc, nil
}

func (d *Door) syntax(err error) *refusal {
	// The parser has no error of a type of its own for its token limit; without a position it is that.
	var at *gqlerror.Error
	if errors.As(err, &at) && len(at.Locations) > 0 {
		r := refuse(CodeSyntax, "Syntax error: "+clip(withoutToken(at.Message)))
		r.errs[0].locations = at.Locations
		return r
	}
	return refuse(CodeTooComplex, fmt.Sprintf("The document has more than %d tokens.", d.settings.Limits.Tokens))
}

// quotedToken is a value as the parser quotes it.
var quotedToken = pattern.Lazy(`(?s)\b(String|BlockString|Int|Float) ".*"`)

// withoutToken leaves the value out of a message of the parser. Values may be secrets in the wrong place, and answers
// are kept by proxies and by what collects the errors of clients.
func withoutToken(message string) string { return quotedToken().ReplaceAllString(message, "$1") }

// withoutValue does the same for a message of the rule for types, which ends with the value, or with a suggestion after it.
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

// withoutRepeats leaves out plain fields that stand in their selection set already. That changes no answer, and the
// rule for overlapping fields compares each with each.
func withoutRepeats(set ast.SelectionSet) ast.SelectionSet {
	type plainField struct{ alias, name string }
	seen := map[plainField]bool{}
	kept := set[:0]
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			if len(s.SelectionSet)+len(s.Arguments)+len(s.Directives) == 0 {
				f := plainField{s.Alias, s.Name}
				if seen[f] {
					continue
				}
				seen[f] = true
			}
			s.SelectionSet = withoutRepeats(s.SelectionSet)
		case *ast.InlineFragment:
			s.SelectionSet = withoutRepeats(s.SelectionSet)
		}
		kept = append(kept, s)
	}
	return kept
}

// clip shortens a message that quotes what the client sent.
func clip(message string) string {
	const most = 500
	if len(message) <= most {
		return message
	}
	return strings.ToValidUTF8(message[:most], "") + "…"
}

// invalid is a refusal for what validation has found. What is said of several places is said once, with all of them.
func (d *Door) invalid(errs gqlerror.List) *refusal {
	r, limit := &refusal{}, d.settings.Limits.Errors
	said := map[string]*wireError{}
	for _, err := range errs {
		message := clip(withoutValue(err))
		if w := said[message]; w == nil && len(r.errs) < limit {
			said[message] = &wireError{message: message, locations: err.Locations, code: CodeValidation}
			r.errs = append(r.errs, said[message])
		} else if w != nil && len(w.locations) < limit {
			w.locations = append(w.locations, err.Locations...)
		}
	}
	return r
}

// allRules are gqlparser's, which are those of the specification, and one that it lacks.
func (d *Door) allRules() *rules.Rules {
	r := rules.NewDefaultRules()
	r.ReplaceRule(rules.KnownTypeNamesRule.Name, d.knownTypeNames)
	r.AddRule("NumbersInRange", numbersInRange)
	return r
}

// knownTypeNames suggests types of equally similar names in one order. gqlparser's rule takes them as a map has them, so that the
// same request was answered differently each time.
func (d *Door) knownTypeNames(observers *core.Events, addError core.AddErrFunc) {
	rules.KnownTypeNamesRuleWithoutSuggestions.RuleFunc(observers, func(options ...core.ErrorOption) {
		addError(append(options, func(err *gqlerror.Error) {
			unknown := strings.TrimSuffix(strings.TrimPrefix(err.Message, `Unknown type "`), `".`)
			core.SuggestListQuoted("Did you mean", unknown, slices.Sorted(maps.Keys(d.schema.Types)))(err)
		})...)
	})
}

// quietRules are the same without "Did you mean", which would give away names where introspection is off.
func (d *Door) quietRules() *rules.Rules {
	r := d.allRules()
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

// numbersInRange refuses literals that no Int or Float can hold (GraphQL, sections 3.5.1 and 3.5.2, input coercion).
func numbersInRange(observers *core.Events, addError core.AddErrFunc) {
	observers.OnValue(func(_ *core.Walker, v *ast.Value) {
		if v.Definition == nil || v.Kind != ast.IntValue && v.Kind != ast.FloatValue {
			return
		}
		ok := true
		switch v.Definition.Name {
		case "Int":
			_, err := strconv.ParseInt(v.Raw, 10, 32)
			ok = err == nil || v.Kind == ast.FloatValue // not a whole number: told by the rule for types
		case "Float":
			f, err := strconv.ParseFloat(v.Raw, 64)
			ok = err == nil && !math.IsInf(f, 0)
		}
		if !ok {
			addError(core.Message("%s cannot represent a number out of its range.", v.Definition.Name), core.At(v.Position))
		}
	})
}

// operation picks what to execute and refuses two of a kind of which a request may have one.
func (d *Door) operation(doc *ast.QueryDocument, name string) (*ast.OperationDefinition, *refusal) {
	var op *ast.OperationDefinition
	switch {
	case len(doc.Operations) == 0:
		return nil, refuse(CodeOperation, "The document has no operation.")
	case name != "":
		if op = doc.Operations.ForName(name); op == nil {
			return nil, refuse(CodeOperation, fmt.Sprintf("The document has no operation named %s.", quoteShort(name)))
		}
	case len(doc.Operations) > 1:
		return nil, refuse(CodeOperation, "The document has several operations: operationName has to name one of them.")
	default:
		op = doc.Operations[0]
	}
	if op.Operation == ast.Mutation {
		if len(d.exclusive(op.SelectionSet, nil)) > 1 {
			return nil, refuse(CodeOneCredentialMutation, "A request may have only one mutation that deals with credentials; send the others in requests of their own.")
		}
	}
	return op, nil
}

// exclusive adds to keys the response keys under which exclusive fields would be executed, whatever @skip and @include
// come to.
func (d *Door) exclusive(set ast.SelectionSet, keys map[string]bool) map[string]bool {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			if d.settings.Exclusive(s.Name) {
				if keys == nil {
					keys = map[string]bool{}
				}
				keys[s.Alias] = true
			}
		case *ast.InlineFragment:
			keys = d.exclusive(s.SelectionSet, keys)
		case *ast.FragmentSpread:
			keys = d.exclusive(s.Definition.SelectionSet, keys)
		}
	}
	return keys
}
