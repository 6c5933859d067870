package schema

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/graphql-go/graphql"
	"github.com/graphql-go/graphql/language/ast"

	"accountd/accounts"
	"accountd/internal/graphqlhttp"
	"accountd/internal/jsontext"
)

// expectedErrors are the problems of a request, in the order of the answer. As JSON they have the shape "list".
type expectedErrors []expectedError

type expectedError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
	Code    string `json:"code"`
}

// ordered sorts problems by argument. Those of no argument are last.
func (m mutation) ordered(problems accounts.Errors) expectedErrors {
	place := func(field string) int {
		i := slices.IndexFunc(m.args, func(a argument) bool { return a.name == field })
		switch {
		case field == accounts.NonField:
			return len(m.args) + 1
		case i < 0:
			return len(m.args)
		}
		return i
	}
	list := make(expectedErrors, 0, len(problems))
	for _, field := range slices.SortedFunc(maps.Keys(problems), func(a, b string) int {
		return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a, b))
	}) {
		for _, p := range problems[field] {
			list = append(list, expectedError{field, p.Message, p.Code})
		}
	}
	return list
}

// byField is the shape "map": {"field":[{"message":…,"code":…}]}, in the order of the list.
func (e expectedErrors) byField() json.RawMessage {
	out := []byte{'{'}
	for i, problem := range e {
		switch {
		case i > 0 && problem.Field == e[i-1].Field:
			out[len(out)-1] = ',' // in place of the end of the field's list
		case i > 0:
			out = append(out, ',')
			fallthrough
		default:
			out = append(jsontext.AppendString(out, problem.Field), ":["...)
		}
		out = jsontext.AppendString(append(out, `{"message":`...), problem.Message)
		out = jsontext.AppendString(append(out, `,"code":`...), problem.Code)
		out = append(out, "}]"...)
	}
	return append(out, '}')
}

// newExpectedErrorType makes the type of the payloads' errors, in one of its two shapes.
func newExpectedErrorType(list bool) *graphql.Scalar {
	if list {
		return outputScalar("ExpectedErrorType",
			"What was wrong with a request: a list of {field, message, code}. "+
				"The field of what belongs to no argument is nonFieldErrors.",
			func(v any) any { return v })
	}
	return outputScalar("ExpectedErrorType",
		"What was wrong with a request: an object from argument to a list of {message, code}. "+
			"What belongs to no argument is under nonFieldErrors.",
		func(v any) any { return v.(expectedErrors).byField() })
}

// outputScalar makes a scalar that no argument has.
func outputScalar(name, doc string, serialize func(any) any) *graphql.Scalar {
	return graphql.NewScalar(graphql.ScalarConfig{
		Name: name, Description: doc, Serialize: serialize,
		ParseValue: func(any) any { return nil }, ParseLiteral: func(ast.Value) any { return nil },
	})
}

// clientError translates an error of accounts into one for the client. It returns other errors, which are internal,
// as they are.
func clientError(err error) error {
	if usage, ok := errors.AsType[*accounts.UsageError](err); ok {
		return &graphqlhttp.Error{Message: usage.Message, Code: graphqlhttp.CodeWrongUsage}
	}
	if busy, ok := errors.AsType[*accounts.BusyError](err); ok {
		return &graphqlhttp.Error{
			Message: "The server is busy, please try again later.", Code: graphqlhttp.CodeBusy,
			Status: 503, RetryAfter: busy.RetryAfter,
		}
	}
	if throttled, ok := errors.AsType[*accounts.ThrottledError](err); ok {
		return &graphqlhttp.Error{
			Message: "Too many attempts from your network, please try again later.", Code: graphqlhttp.CodeThrottled,
			Status: 429, RetryAfter: throttled.RetryAfter,
		}
	}
	return err
}
