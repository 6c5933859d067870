package schema

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/graphql-go/graphql"

	"accountd/accounts"
)

// argument is an argument of a mutation: a field of the operation's input struct, or a key of that field's Values.
type argument struct {
	name  string
	typ   graphql.Input
	index int    // of the struct's field
	field string // key of the Values; "": the struct's field itself
	proof bool   // the caller's password
}

// argumentsOf reads the arg tags of In, and leaves out m.without. It panics for a field without a valid tag.
//
//	A string        `arg:"a"`           is the argument a: String!
//	B string        `arg:"b,proof"`     is b: String!, which must be the caller's password
//	C *string       `arg:"c,optional"`  is c: String
//	D accounts.Values `arg:"fields"`    is one argument for each of m.fields
func argumentsOf[In any](m mutation) []argument {
	t := reflect.TypeFor[In]()
	var args []argument
	for i := range t.NumField() {
		f := t.Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("arg"), ",")
		optional, proof := option == "optional", option == "proof"
		switch {
		case name == "fields" && f.Type == reflect.TypeFor[accounts.Values]():
			for _, a := range m.fields {
				typ := inputType(a.Field.Type, a.Required)
				args = append(args, argument{name: a.Name, typ: typ, index: i, field: a.Field.Name})
			}
		case name == "", option != "" && !optional && !proof,
			optional && f.Type != reflect.TypeFor[*string](), !optional && f.Type != reflect.TypeFor[string]():
			panic(fmt.Sprintf("schema: %s: field %s of %s cannot be an argument", m.name, f.Name, t))
		case !slices.Contains(m.without, name):
			typ := inputType(accounts.String, !optional)
			args = append(args, argument{name: name, typ: typ, index: i, proof: proof})
		}
	}
	return args
}

// scalars are the types of configured fields.
var scalars = map[accounts.FieldType]*graphql.Scalar{
	accounts.String: graphql.String, accounts.Int: graphql.Int, accounts.Float: graphql.Float,
	accounts.Boolean: graphql.Boolean, accounts.DateTime: dateTime,
}

func inputType(t accounts.FieldType, required bool) graphql.Input {
	if required {
		return graphql.NewNonNull(scalars[t])
	}
	return scalars[t]
}

// decode fills an In with coerced arguments. An optional one may be absent or null. In Values, null is a key with a
// nil value.
func decode[In any](args []argument, values map[string]any) In {
	var in In
	v := reflect.ValueOf(&in).Elem()
	for _, a := range args {
		value, given := values[a.name]
		target := v.Field(a.index)
		switch text, isText := value.(string); {
		case a.field != "":
			if target.IsNil() {
				target.Set(reflect.ValueOf(accounts.Values{}))
			}
			if given {
				target.Interface().(accounts.Values)[a.field] = value
			}
		case !isText:
		case target.Kind() == reflect.Pointer:
			target.Set(reflect.ValueOf(&text))
		default:
			target.SetString(text)
		}
	}
	return in
}
