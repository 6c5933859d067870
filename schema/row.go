package schema

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"

	"github.com/graphql-go/graphql"

	"accountd/accounts"
	"accountd/internal/graphqlhttp"
)

// mutation is one row of the API.
type mutation struct {
	name, typ, doc string
	repeatable     bool           // a request may have any number of it
	needs          accounts.Needs // of the caller, beside a login; for guarded rows only
	fromCookie     bool           // without its argument token or refreshToken it takes the cookie
	bare           bool           // the payload has neither success nor errors

	errors *graphql.Scalar // the type of the field errors; set by shaped

	fields  []accounts.Argument // what arg:"fields" of its input struct stands for
	without []string            // arguments that the settings take away

	// Set by newRow.
	args    []argument
	outputs []outputField
	run     func(ctx context.Context, args map[string]any) (out any, err error)
}

// output is a field of a payload beside success and errors.
type output[Out any] struct {
	name   string
	typ    graphql.Output
	doc    string
	get    func(*Out) any
	failed any // its value when the mutation did not succeed
}

// outputField is an output whose Out is known to its row only.
type outputField struct {
	name, doc string
	typ       graphql.Output
	get       func(out any) any
	failed    any
}

// open is a row that needs no login. Its arguments are the arg tags of In, and call is a method of the service.
func open[In, Out any](m mutation, call func(context.Context, In) (*Out, error), outputs ...output[Out]) mutation {
	m = newRow(m, call, outputs)
	if m.needs != 0 || m.proof() != nil {
		panic(fmt.Sprintf("schema: %s: an open row asks nothing of its caller", m.name))
	}
	return m
}

// openErr is open for what has no output.
func openErr[In any](m mutation, call func(context.Context, In) error) mutation {
	return open(m, func(ctx context.Context, in In) (*struct{}, error) { return nil, call(ctx, in) })
}

// guarded is a row on the caller's own account. call takes an Owner, which only [accounts.Caller.AsOwner] can make after
// checking the row's needs. It panics for a row without needs, and for one that needs the password without taking it,
// or the other way round.
func guarded[In, Out any](m mutation, call func(context.Context, accounts.Owner, In) (*Out, error), outputs ...output[Out]) mutation {
	m = newRow(m, func(ctx context.Context, in In) (out *Out, err error) {
		field, password := "", ""
		if proof := m.proof(); proof != nil {
			field, password = proof.name, reflect.ValueOf(in).Field(proof.index).String()
		}
		err = callerOf(ctx).AsOwner(ctx, m.needs, field, password, func(owner accounts.Owner) (err error) {
			out, err = call(ctx, owner, in)
			return err
		})
		return out, err
	}, outputs)
	if m.needs == 0 || (m.needs&accounts.NeedsPassword != 0) != (m.proof() != nil) {
		panic(fmt.Sprintf("schema: %s: a guarded row has needs, and takes the password if and only if it needs that", m.name))
	}
	return m
}

// guardedErr is guarded for what has no output.
func guardedErr[In any](m mutation, call func(context.Context, accounts.Owner, In) error) mutation {
	return guarded(m, func(ctx context.Context, owner accounts.Owner, in In) (*struct{}, error) {
		return nil, call(ctx, owner, in)
	})
}

func newRow[In, Out any](m mutation, call func(context.Context, In) (*Out, error), outputs []output[Out]) mutation {
	m.args = argumentsOf[In](m)
	m.run = func(ctx context.Context, args map[string]any) (any, error) {
		return call(ctx, decode[In](m.args, args))
	}
	for _, o := range outputs {
		m.outputs = append(m.outputs, outputField{
			name: o.name, doc: o.doc, typ: o.typ, failed: o.failed,
			get: func(out any) any { return o.get(out.(*Out)) },
		})
	}
	return m
}

// proof is the argument that a guard compares with the caller's password, nil for none.
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
	out              any // nil: not a success
	errors           expectedErrors
	clientMutationID any
}

// field makes the root field of the row in one flavour.
func (m mutation) field(style Style) *graphql.Field {
	if style == Relay {
		return m.relayField()
	}
	args := graphql.FieldConfigArgument{}
	for _, a := range m.args {
		args[a.name] = &graphql.ArgumentConfig{Type: a.typ}
	}
	return &graphql.Field{
		Type: m.payload(m.typ), Description: m.doc, Args: args,
		Resolve: func(p graphql.ResolveParams) (any, error) {
			maps.DeleteFunc(p.Args, func(_ string, value any) bool { return value == nil }) // null is as good as absent
			return m.resolve(p.Context, p.Args)
		},
	}
}

func (m mutation) relayField() *graphql.Field {
	input := graphql.InputObjectConfigFieldMap{"clientMutationId": {Type: graphql.String}}
	for _, a := range m.args {
		input[a.name] = &graphql.InputObjectFieldConfig{Type: a.typ}
	}
	typ := graphql.NewNonNull(graphql.NewInputObject(graphql.InputObjectConfig{Name: m.typ + "Input", Fields: input}))
	payload := m.payload(m.typ + "Payload")
	payload.AddFieldConfig("clientMutationId", &graphql.Field{
		Type: graphql.String, Description: "What the input had under this name.",
		Resolve: func(p graphql.ResolveParams) (any, error) { return p.Source.(*outcome).clientMutationID, nil },
	})
	return &graphql.Field{
		Type: payload, Description: m.doc, Args: graphql.FieldConfigArgument{"input": {Type: typ}},
		Resolve: func(p graphql.ResolveParams) (any, error) {
			args := p.Args["input"].(map[string]any)
			o, err := m.resolve(p.Context, args)
			if err != nil {
				return nil, err
			}
			o.clientMutationID = args["clientMutationId"]
			return o, nil
		},
	}
}

func (m mutation) payload(name string) *graphql.Object {
	fields := graphql.Fields{}
	if !m.bare {
		fields["success"] = &graphql.Field{
			Type: graphql.Boolean, Description: "Whether everything was done that was asked for; otherwise nothing was.",
			Resolve: func(p graphql.ResolveParams) (any, error) { return p.Source.(*outcome).errors == nil, nil },
		}
		fields["errors"] = &graphql.Field{
			Type: m.errors, Description: "What was wrong, by argument; null when nothing was.",
			Resolve: func(p graphql.ResolveParams) (any, error) {
				if errs := p.Source.(*outcome).errors; errs != nil {
					return errs, nil
				}
				return nil, nil
			},
		}
	}
	for _, o := range m.outputs {
		fields[o.name] = &graphql.Field{Type: o.typ, Description: o.doc, Resolve: func(p graphql.ResolveParams) (any, error) {
			if out := p.Source.(*outcome); out.errors == nil {
				return o.get(out.out), nil
			}
			return o.failed, nil
		}}
	}
	return graphql.NewObject(graphql.ObjectConfig{Name: name, Description: "The answer of " + m.name + ".", Fields: fields})
}

// resolve runs the operation and sorts its error: what a user can be told goes into the payload, what a developer
// can be told into the errors of the response, and the rest is the server's own.
func (m mutation) resolve(ctx context.Context, args map[string]any) (*outcome, error) {
	if m.fromCookie {
		args = jarOf(ctx).arguments(m.args, args)
	}
	out, err := m.run(ctx, args)
	var problems accounts.Errors
	if errors.As(err, &problems) {
		return &outcome{errors: m.ordered(problems)}, nil
	}
	if err != nil {
		return nil, clientError(err)
	}
	jarOf(ctx).succeeded(out)
	return &outcome{out: out}, nil
}

// clientError is what a client is told of an error that is no user's. What it does not know stays as it is, for the
// front door to hide.
func clientError(err error) error {
	var usage *accounts.UsageError
	var busy *accounts.BusyError
	var throttled *accounts.ThrottledError
	switch {
	case errors.As(err, &usage):
		return &graphqlhttp.Error{Message: usage.Message, Code: graphqlhttp.CodeWrongUsage}
	case errors.As(err, &busy):
		return &graphqlhttp.Error{
			Message: "The server is busy, please try again later.", Code: graphqlhttp.CodeBusy,
			Status: 503, RetryAfter: busy.RetryAfter,
		}
	case errors.As(err, &throttled):
		return &graphqlhttp.Error{
			Message: "Too many attempts from your network, please try again later.", Code: graphqlhttp.CodeThrottled,
			Status: 429, RetryAfter: throttled.RetryAfter,
		}
	}
	return err
}
