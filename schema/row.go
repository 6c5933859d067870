package schema

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/graphql-go/graphql"

	"accountd/accounts"
)

// mutation is a row of the table of mutations.
type mutation struct {
	name, typ, doc string
	repeatable     bool           // a request may have it several times
	needs          accounts.Needs // of guarded rows
	fromCookie     bool           // an absent token or refreshToken argument is taken from the cookie
	bare           bool           // the payload has neither success nor errors

	fields  []accounts.Argument // of the arg:"fields" of the input struct
	without []string            // arguments that settings remove

	// Set by newRow.
	args    []argument
	outputs graphql.Fields // of the payload, beside success and errors
	run     func(ctx context.Context, args map[string]any) (out any, err error)
}

// output is a field of a payload whose operation returns an Out. After an error get is called with an empty one.
type output[Out any] struct {
	name string
	typ  graphql.Output
	doc  string
	get  func(*Out) any
}

// open makes the row of an operation that needs no login. Its arguments are the arg tags of In. It panics for a row
// that has needs or takes the caller's password.
func open[In, Out any](
	m mutation, call func(context.Context, In) (*Out, error), outputs ...output[Out],
) mutation {
	m = newRow(m, call, outputs)
	if m.needs != 0 || m.proof() != nil {
		panic(fmt.Sprintf("schema: %s: an open row has no needs", m.name))
	}
	return m
}

// openErr is open for an operation without a result.
func openErr[In any](m mutation, call func(context.Context, In) error) mutation {
	return open(m, func(ctx context.Context, in In) (*struct{}, error) { return nil, call(ctx, in) })
}

// guarded makes the row of an operation on the caller's own account. Only [accounts.Caller.AsOwner] makes an Owner,
// after it has checked the row's needs. guarded panics for a row without needs, and unless a row takes the caller's
// password if and only if it needs that.
func guarded[In, Out any](
	m mutation, call func(context.Context, accounts.Owner, In) (*Out, error), outputs ...output[Out],
) mutation {
	m = newRow(m, func(ctx context.Context, in In) (out *Out, err error) {
		field, password := "", ""
		if proof := m.proof(); proof != nil {
			field, password = proof.name, reflect.ValueOf(in).Field(proof.index).String()
		}
		err = requestOf(ctx).caller.AsOwner(ctx, m.needs, field, password, func(owner accounts.Owner) (err error) {
			out, err = call(ctx, owner, in)
			return err
		})
		return out, err
	}, outputs)
	if m.needs == 0 || (m.needs&accounts.NeedsPassword != 0) != (m.proof() != nil) {
		panic(fmt.Sprintf("schema: %s: a guarded row has needs, and takes the password only for that need", m.name))
	}
	return m
}

// guardedErr is guarded for an operation without a result.
func guardedErr[In any](m mutation, call func(context.Context, accounts.Owner, In) error) mutation {
	return guarded(m, func(ctx context.Context, owner accounts.Owner, in In) (*struct{}, error) {
		return nil, call(ctx, owner, in)
	})
}

func newRow[In, Out any](
	m mutation, call func(context.Context, In) (*Out, error), outputs []output[Out],
) mutation {
	m.args = argumentsOf[In](m)
	m.run = func(ctx context.Context, args map[string]any) (any, error) {
		out, err := call(ctx, decode[In](m.args, args))
		if out == nil {
			out = new(Out)
		}
		return out, err
	}
	m.outputs = graphql.Fields{}
	for _, o := range outputs {
		m.outputs[o.name] = part(o.typ, o.doc, func(result *outcome) any { return o.get(result.out.(*Out)) })
	}
	return m
}

// proof returns the argument with the caller's password, nil for none.
func (m mutation) proof() *argument {
	for i := range m.args {
		if m.args[i].proof {
			return &m.args[i]
		}
	}
	return nil
}

// outcome is the source of a payload.
type outcome struct {
	out              any // a *Out, empty after an error
	errors           expectedErrors
	clientMutationID any // of the input, which Plain has not
}

// field makes the root field of the row. errors is the type of the payload's errors.
func (m mutation) field(flavour Flavour, errors graphql.Output) *graphql.Field {
	if flavour == Relay {
		return m.relayField(errors)
	}
	args := graphql.FieldConfigArgument{}
	for _, a := range m.args {
		args[a.name] = &graphql.ArgumentConfig{Type: a.typ}
	}
	return &graphql.Field{
		Type: m.payload(m.typ, errors), Description: m.doc, Args: args,
		Resolve: func(p graphql.ResolveParams) (any, error) {
			maps.DeleteFunc(p.Args, func(_ string, value any) bool { return value == nil }) // null counts as absent
			return m.resolve(p.Context, p.Args)
		},
	}
}

func (m mutation) relayField(errors graphql.Output) *graphql.Field {
	input := graphql.InputObjectConfigFieldMap{"clientMutationId": {Type: graphql.String}}
	for _, a := range m.args {
		input[a.name] = &graphql.InputObjectFieldConfig{Type: a.typ}
	}
	typ := graphql.NewInputObject(graphql.InputObjectConfig{Name: m.typ + "Input", Fields: input})
	payload := m.payload(m.typ+"Payload", errors)
	payload.AddFieldConfig("clientMutationId", part(graphql.String, "What the input had under this name.",
		func(o *outcome) any { return o.clientMutationID }))
	return &graphql.Field{
		Type: payload, Description: m.doc,
		Args: graphql.FieldConfigArgument{"input": {Type: graphql.NewNonNull(typ)}},
		Resolve: func(p graphql.ResolveParams) (any, error) {
			return m.resolve(p.Context, p.Args["input"].(map[string]any))
		},
	}
}

func (m mutation) payload(name string, errors graphql.Output) *graphql.Object {
	fields := maps.Clone(m.outputs)
	if !m.bare {
		fields["success"] = part(graphql.Boolean,
			"Whether everything was done that was asked for; otherwise nothing was.",
			func(o *outcome) any { return o.errors == nil })
		fields["errors"] = part(errors, "What was wrong, by argument; null when nothing was.", func(o *outcome) any {
			if o.errors == nil {
				return nil
			}
			return o.errors
		})
	}
	return graphql.NewObject(graphql.ObjectConfig{
		Name: name, Description: "The answer of " + m.name + ".", Fields: fields,
	})
}

// resolve runs the operation. Errors for the user go into the payload, and all others into the errors of the response.
func (m mutation) resolve(ctx context.Context, args map[string]any) (*outcome, error) {
	cookies := requestOf(ctx).cookies
	if m.fromCookie {
		args = cookies.arguments(m.args, args)
	}
	out, err := m.run(ctx, args)
	o := &outcome{out: out, clientMutationID: args["clientMutationId"]}
	if problems, ok := errors.AsType[accounts.Errors](err); ok {
		o.errors = m.ordered(problems)
		return o, nil
	}
	if err != nil {
		return nil, clientError(err)
	}
	cookies.succeeded(out)
	return o, nil
}

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
//	C string        `arg:"c,optional"`  is c: String; a *string is nil for none
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
			f.Type != reflect.TypeFor[string]() && !(optional && f.Type == reflect.TypeFor[*string]()):
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
