package schema

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/graphql-go/graphql"
	"github.com/graphql-go/graphql/language/ast"

	"accountd/accounts"
)

// expectedErrors are the problems of a request in the order in which they are shown.
type expectedErrors []fieldErrors

type fieldErrors struct {
	field    string
	problems []accounts.Problem
}

// ordered sorts problems by argument, those of none last.
func (m mutation) ordered(problems accounts.Errors) expectedErrors {
	left := maps.Clone(problems)
	out := make(expectedErrors, 0, len(left))
	take := func(field string) {
		if list := left[field]; len(list) > 0 {
			out = append(out, fieldErrors{field, list})
		}
		delete(left, field)
	}
	for _, a := range m.args {
		take(a.name)
	}
	last := left[accounts.NonField]
	delete(left, accounts.NonField)
	for _, field := range slices.Sorted(maps.Keys(left)) {
		take(field)
	}
	if len(last) > 0 {
		out = append(out, fieldErrors{accounts.NonField, last})
	}
	return out
}

// MarshalJSON writes {"field":[{"message":…,"code":…}]}.
func (e expectedErrors) MarshalJSON() ([]byte, error) {
	type problem struct {
		Message string `json:"message"`
		Code    string `json:"code"`
	}
	out := []byte{'{'}
	for i, f := range e {
		if i > 0 {
			out = append(out, ',')
		}
		name, err := json.Marshal(f.field)
		if err != nil {
			return nil, err
		}
		list := make([]problem, len(f.problems))
		for i, p := range f.problems {
			list[i] = problem(p)
		}
		problems, err := json.Marshal(list)
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, name...), ':'), problems...)
	}
	return append(out, '}'), nil
}

// listedError is a problem as graphql.error_shape "list" has it.
type listedError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
	Code    string `json:"code"`
}

func (e expectedErrors) list() []listedError {
	var out []listedError
	for _, f := range e {
		for _, p := range f.problems {
			out = append(out, listedError{f.field, p.Message, p.Code})
		}
	}
	return out
}

// newExpectedErrorType is the type of the field errors in one of its two shapes.
func newExpectedErrorType(list bool) *graphql.Scalar {
	if list {
		return outputScalar("ExpectedErrorType",
			"What was wrong with a request: a list of {field, message, code}. The field of what belongs to no argument is nonFieldErrors.",
			func(v any) any { return v.(expectedErrors).list() })
	}
	return outputScalar("ExpectedErrorType",
		"What was wrong with a request: an object from argument to a list of {message, code}. What belongs to no argument is under nonFieldErrors.",
		func(v any) any { return v })
}

// outputScalar is a scalar that no argument has.
func outputScalar(name, doc string, serialize func(any) any) *graphql.Scalar {
	return graphql.NewScalar(graphql.ScalarConfig{
		Name: name, Description: doc, Serialize: serialize,
		ParseValue: func(any) any { return nil }, ParseLiteral: func(ast.Value) any { return nil },
	})
}
