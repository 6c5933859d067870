package graphqlhttp

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/graphql-go/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"accountd/internal/jsontext"
)

// execution is one operation that is executed. Resolvers run one after another, and the answer is written meanwhile,
// so that its keys and errors are in the order of the query.
type execution struct {
	handler *Handler
	ctx     context.Context
	vars    map[string]any
	*scratch
	errs   []*wireError
	status int // of the answer: the highest of the errors, or else 200
	retry  time.Duration
}

// scratch is the memory of an execution. The next one reuses it.
type scratch struct {
	out        []byte // the answer without errors
	path       []step // to the field that is executed
	selections []selection
}

// step is a response key, or an index where key is "".
type step struct {
	key   string
	index int
}

// selection is the field of a response key, which the query may have in several places. Its subselections are
// collected once for all objects of a list.
type selection struct {
	key   string
	field *ast.Field
	more  []*ast.Field
	def   *field

	first, end int // range of the subselections; 0, 0: not collected yet
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// release makes s available to the next execution. Nothing may refer to its memory.
func (s *scratch) release() {
	if cap(s.out) > maxReused {
		return
	}
	s.out = s.out[:0]
	clear(s.path[:cap(s.path)])
	clear(s.selections) // these would keep documents in memory
	s.selections = s.selections[:0]
	scratches.Put(s)
}

// run executes op and appends beforeData and the data to x.out.
func (x *execution) run(op *ast.OperationDefinition) {
	root := x.handler.objects["Query"]
	if op.Operation == ast.Mutation {
		root = x.handler.objects["Mutation"]
	}
	x.out = append(x.out, beforeData...)
	x.collect(root, op.SelectionSet, 0)
	if !x.fields(nil, 0, len(x.selections)) {
		x.out = append(x.out, "null"...)
	}
}

// object writes an object, the value of selection i.
func (x *execution) object(o *object, source any, i int) bool {
	s := x.selections[i]
	if s.end == 0 {
		s.first = len(x.selections)
		x.collect(o, s.field.SelectionSet, s.first)
		for _, f := range s.more {
			x.collect(o, f.SelectionSet, s.first)
		}
		s.end = len(x.selections)
		x.selections[i] = s
	}
	return x.fields(source, s.first, s.end)
}

// fields writes an object with the fields of the selections from first to end. If a field fails that may not be null,
// it writes nothing and returns false.
func (x *execution) fields(source any, first, end int) bool {
	start := len(x.out)
	x.out = append(x.out, '{')
	for i := first; i < end; i++ {
		if i > first {
			x.out = append(x.out, ',')
		}
		key := x.selections[i].key
		x.out = append(jsontext.AppendString(x.out, key), ':')
		x.path = append(x.path, step{key: key})
		ok := x.field(source, i)
		x.path = x.path[:len(x.path)-1]
		if !ok {
			x.out = x.out[:start]
			return false
		}
	}
	x.out = append(x.out, '}')
	return true
}

// collect is CollectFields of the specification (section 6.3.2). It appends to the selections from first on.
// Validation has checked that fields of one key are the same field with the same arguments.
func (x *execution) collect(o *object, set ast.SelectionSet, first int) {
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			if x.included(s.Directives) {
				x.collectField(o, s, first)
			}
		case *ast.InlineFragment:
			if x.included(s.Directives) && x.applies(o, s.TypeCondition) {
				x.collect(o, s.SelectionSet, first)
			}
		case *ast.FragmentSpread:
			if x.included(s.Directives) && x.applies(o, s.Definition.TypeCondition) {
				x.collect(o, s.Definition.SelectionSet, first)
			}
		}
	}
}

func (x *execution) collectField(o *object, f *ast.Field, first int) {
	for i := first; i < len(x.selections); i++ {
		if s := &x.selections[i]; s.key == f.Alias {
			s.more = append(s.more, f)
			return
		}
	}
	x.selections = append(x.selections, selection{key: f.Alias, field: f, def: o.fields[f.Name]})
}

// included evaluates @skip and @include.
func (x *execution) included(directives ast.DirectiveList) bool {
	for _, directive := range directives {
		args, err := x.handler.arguments(directive.Definition.Arguments, directive.Arguments, x.vars)
		yes := err == nil && args["if"] == true
		if directive.Name == "skip" && yes || directive.Name == "include" && !yes {
			return false
		}
	}
	return true
}

// applies reports whether o is of the type of a fragment.
func (x *execution) applies(o *object, condition string) bool {
	schema := x.handler.schema
	return condition == "" || condition == o.name ||
		slices.Contains(schema.PossibleTypes[condition], schema.Types[o.name])
}

// field writes the value of the field of selection i, or null if it fails. It returns false if it fails and may not
// be null.
func (x *execution) field(source any, i int) bool {
	start := len(x.out)
	if x.resolve(source, i) {
		return true
	}
	x.out = append(x.out[:start], "null"...)
	return !x.selections[i].def.def.Type.NonNull
}

func (x *execution) resolve(source any, i int) bool {
	s := &x.selections[i]
	f := s.def
	args, bad := x.handler.arguments(f.def.Arguments, s.field.Arguments, x.vars)
	if bad != nil {
		message := fmt.Sprintf("Argument %s does not fit: %s.", bad.path, bad.reason)
		return x.fail(i, &Error{Message: message, Code: CodeVariables})
	}
	value, err := x.call(f, source, args)
	if err != nil {
		return x.fail(i, err)
	}
	return x.complete(f.def.Type, value, i)
}

// call calls a resolver.
func (x *execution) call(f *field, source any, args map[string]any) (value any, err error) {
	defer func() {
		if r := recover(); r != nil {
			value, err = nil, fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return f.resolve(graphql.ResolveParams{
		Source: source, Args: args, Context: x.ctx,
		Info: graphql.ResolveInfo{FieldName: f.def.Name},
	})
}
