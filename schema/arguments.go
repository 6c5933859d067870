package schema

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/graphql-go/graphql"
)

// argument is one argument of a mutation: a field of its operation's input struct.
type argument struct {
	name     string
	optional bool
	proof    bool // the caller's present password
	index    int  // of the struct's field
}

func (a argument) typ() graphql.Input {
	if a.optional {
		return graphql.String
	}
	return graphql.NewNonNull(graphql.String)
}

// argumentsOf reads the arg tags of In: `arg:"name"` on a string is a String!, `arg:"name,optional"` on a *string a
// String; `arg:"name,proof"` is a String! that a guard compares with the caller's password. A field without a tag is a
// programmer's mistake.
func argumentsOf[In any](mutation string) []argument {
	t := reflect.TypeFor[In]()
	var args []argument
	for i := range t.NumField() {
		f := t.Field(i)
		name, option, _ := strings.Cut(f.Tag.Get("arg"), ",")
		a := argument{name: name, optional: option == "optional", proof: option == "proof", index: i}
		want := reflect.TypeFor[string]()
		if a.optional {
			want = reflect.TypeFor[*string]()
		}
		if name == "" || f.Type != want || option != "" && !a.optional && !a.proof {
			panic(fmt.Sprintf("schema: %s: field %s of %s cannot be an argument", mutation, f.Name, t))
		}
		args = append(args, a)
	}
	return args
}

// decode fills In. Values have been coerced to their types; an optional one may be missing or null.
func decode[In any](args []argument, values map[string]any) In {
	var in In
	v := reflect.ValueOf(&in).Elem()
	for _, a := range args {
		text, given := values[a.name].(string)
		switch {
		case !a.optional:
			v.Field(a.index).SetString(text)
		case given:
			v.Field(a.index).Set(reflect.ValueOf(&text))
		}
	}
	return in
}
