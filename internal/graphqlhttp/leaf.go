package graphqlhttp

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"

	"github.com/graphql-go/graphql"
)

// leaf is a scalar or an enum: its Serialize and ParseValue, nil for a value that is not of the type. parse takes what
// encoding/json decodes, numbers as json.Number, and an enumName.
type leaf struct {
	serialize func(any) any
	parse     func(any) any
}

// enumName is the name of an enum value in a document, where a string is an error.
type enumName string

// scalarLeaf admits to the built-in scalars only values that they need not convert (GraphQL, section 3.5). graphql-go's
// String takes any value and writes a struct as fmt does, and its Int takes "12".
func scalarLeaf(t *graphql.Scalar) leaf {
	switch t.Name() {
	case "String":
		return leaf{only[string], func(v any) any { return parseIf(t, v, is[string](v)) }}
	case "Boolean":
		return leaf{only[bool], func(v any) any { return parseIf(t, v, is[bool](v)) }}
	case "ID":
		return leaf{only[string], func(v any) any {
			n, isNumber := v.(json.Number)
			return parseIf(t, v, is[string](v) || isNumber && strings.Trim(n.String(), "-0123456789") == "")
		}}
	case "Int":
		return leaf{
			serialize: func(v any) any {
				if !reflect.ValueOf(v).CanInt() {
					return nil
				}
				return t.Serialize(v)
			},
			parse: func(v any) any {
				n, isNumber := v.(json.Number)
				f, err := n.Float64() // 1e2 and 1.0 are whole numbers in JSON
				return parseIf(t, f, isNumber && err == nil && f == math.Trunc(f))
			},
		}
	case "Float":
		return leaf{only[float64], func(v any) any {
			n, isNumber := v.(json.Number)
			return parseIf(t, n.String(), isNumber)
		}}
	default:
		return leaf{t.Serialize, t.ParseValue}
	}
}

// enumLeaf makes graphql-go build the tables of an enum now: the first requests would, and race.
func enumLeaf(t *graphql.Enum) leaf {
	t.Serialize("")
	t.ParseValue("")
	return leaf{t.Serialize, func(v any) any {
		if name, ok := v.(enumName); ok {
			v = string(name)
		}
		return t.ParseValue(v)
	}}
}

func parseIf(t *graphql.Scalar, v any, admitted bool) any {
	if !admitted {
		return nil
	}
	return t.ParseValue(v)
}

func is[T any](v any) bool {
	_, ok := v.(T)
	return ok
}

// only is v if it is a T, else nil.
func only[T any](v any) any { return orNil(v, is[T](v)) }

func orNil[T any](v T, ok bool) any {
	if !ok {
		return nil
	}
	return v
}
