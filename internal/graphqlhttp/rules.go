package graphqlhttp

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

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
