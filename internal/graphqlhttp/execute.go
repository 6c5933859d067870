package graphqlhttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/graphql-go/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"accountd/internal/jsontext"
)

// Error is what a resolver returns for the client to see. Any other error is the server's own: it is logged and
// answered as "internal server error".
type Error struct {
	Message    string
	Code       string
	Status     int           // of the HTTP answer; 0: as GraphQL over HTTP has it
	RetryAfter time.Duration // when more than 0, told in a header and in the extensions, in whole seconds
}

func (e *Error) Error() string { return e.Message }

// execution is one operation being executed. The answer is written in the order of the query while resolvers
// run one after another, so that errors come in a fixed order too.
type execution struct {
	door *Door
	ctx  context.Context
	vars map[string]any
	*scratch
	errs   []*wireError
	status int // from an Error
	retry  time.Duration
}

// scratch is the memory that an execution works in, and another after it.
type scratch struct {
	out        []byte // the answer, as long as it has no errors
	path       []step // to the field that is being executed
	selections []selection
}

// step is a response key, or where key is "" an index.
type step struct {
	key   string
	index int
}

// selection is what a response key stands for: one field, asked for in one place or several. What it selects is collected once,
// for all the objects of a list that it is resolved in.
type selection struct {
	key   string
	field *ast.Field
	more  []*ast.Field
	def   *field

	of         *object // whose fields it selects; nil: nothing is collected yet
	first, end int     // where these are among the selections
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// giveBack is for when nothing refers to what is in s any more.
func (s *scratch) giveBack() {
	if cap(s.out) > keptBuffer {
		return
	}
	s.out = s.out[:0]
	clear(s.path[:cap(s.path)])
	clear(s.selections) // so that documents are not kept alive
	s.selections = s.selections[:0]
	scratches.Put(s)
}

// run executes op and leaves its data in x.out, after what comes before it in an answer.
func (x *execution) run(op *ast.OperationDefinition) {
	root := x.door.objects["Query"]
	if op.Operation == ast.Mutation {
		root = x.door.objects["Mutation"]
	}
	x.out = append(x.out, beforeData...)
	x.collect(root, op.SelectionSet, 0)
	if !x.fields(nil, 0, len(x.selections)) {
		x.out = append(x.out, "null"...)
	}
}

// object writes an object that selection i stands for.
func (x *execution) object(o *object, source any, i int) bool {
	switch s := &x.selections[i]; s.of {
	case o:
		return x.fields(source, s.first, s.end)
	case nil:
		first, end := x.collectAll(o, i)
		s = &x.selections[i] // which may have moved
		s.of, s.first, s.end = o, first, end
		return x.fields(source, first, end)
	default: // an interface has been another object before: this one's fields go away again
		first, end := x.collectAll(o, i)
		ok := x.fields(source, first, end)
		clear(x.selections[first:])
		x.selections = x.selections[:first]
		return ok
	}
}

// collectAll collects what selection i selects of an object.
func (x *execution) collectAll(o *object, i int) (first, end int) {
	s := x.selections[i]
	first = len(x.selections)
	x.collect(o, s.field.SelectionSet, first)
	for _, f := range s.more {
		x.collect(o, f.SelectionSet, first)
	}
	return first, len(x.selections)
}

// fields writes the fields of an object, which are the selections from first to end. False means that one of them failed and may
// not be null: nothing is written then.
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

// collect is CollectFields of the specification (section 6.3.2), into the selections from first on. Validation has made sure that
// what shares a key is the same field with the same arguments.
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

func (x *execution) included(directives ast.DirectiveList) bool {
	for _, directive := range directives {
		args, err := x.door.arguments(directive.Definition.Arguments, directive.Arguments, x.vars)
		yes := err == nil && args["if"] == true
		if directive.Name == "skip" && yes || directive.Name == "include" && !yes {
			return false
		}
	}
	return true
}

func (x *execution) applies(o *object, condition string) bool {
	if condition == "" || condition == o.name {
		return true
	}
	for _, possible := range x.door.schema.PossibleTypes[condition] {
		if possible.Name == o.name {
			return true
		}
	}
	return false
}

// field writes the value of the field that selection i stands for, null where it failed and may be null.
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
	args, bad := x.door.arguments(f.def.Arguments, s.field.Arguments, x.vars)
	if bad != nil {
		return x.fail(i, &Error{Message: fmt.Sprintf("Argument %s does not fit: %s.", bad.path, bad.reason), Code: CodeVariables})
	}
	value, err := x.call(f, source, args)
	if err != nil {
		return x.fail(i, err)
	}
	return x.complete(f.def.Type, value, i)
}

// call runs a resolver. A value that comes with an error is dropped.
func (x *execution) call(f *field, source any, args map[string]any) (value any, err error) {
	defer func() {
		if r := recover(); r != nil {
			value, err = nil, fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return f.resolve(graphql.ResolveParams{
		Source: source, Args: args, Context: x.ctx,
		Info: graphql.ResolveInfo{FieldName: f.def.Name, ReturnType: f.typ, ParentType: f.parent, VariableValues: x.vars},
	})
}

// complete writes value as one of type t. False means that it failed, and that the error is recorded.
func (x *execution) complete(t *ast.Type, value any, i int) bool {
	if isNull(value) {
		if t.NonNull {
			return x.fail(i, errors.New("null for a field that is not nullable"))
		}
		x.out = append(x.out, "null"...)
		return true
	}
	if t.Elem != nil {
		return x.list(t.Elem, value, i)
	}
	f := x.selections[i].def
	if f.leaf.serialize != nil {
		serialized := f.leaf.serialize(value)
		if serialized == nil {
			return x.fail(i, fmt.Errorf("%s cannot represent a %T", t.NamedType, value))
		}
		return x.scalar(serialized, i)
	}
	o := f.object
	if o == nil {
		var err error
		if o, err = x.possible(t.NamedType, value); err != nil {
			return x.fail(i, err)
		}
	}
	return x.object(o, value, i)
}

func (x *execution) list(elem *ast.Type, value any, i int) bool {
	items := reflect.ValueOf(value)
	if items.Kind() != reflect.Slice && items.Kind() != reflect.Array {
		return x.fail(i, fmt.Errorf("a %T is not a list", value))
	}
	start := len(x.out)
	x.out = append(x.out, '[')
	for n := range items.Len() {
		if n > 0 {
			x.out = append(x.out, ',')
		}
		x.path = append(x.path, step{index: n})
		before := len(x.out)
		ok := x.complete(elem, items.Index(n).Interface(), i)
		x.path = x.path[:len(x.path)-1]
		if !ok && elem.NonNull {
			x.out = x.out[:start]
			return false
		}
		if !ok {
			x.out = append(x.out[:before], "null"...)
		}
	}
	x.out = append(x.out, ']')
	return true
}

func (x *execution) scalar(value any, i int) bool {
	switch value := value.(type) {
	case string:
		x.out = jsontext.AppendString(x.out, value)
	case bool:
		x.out = strconv.AppendBool(x.out, value)
	default:
		encoded, err := json.Marshal(value)
		if err != nil {
			return x.fail(i, err)
		}
		x.out = append(x.out, encoded...)
	}
	return true
}

// possible is the object type that value of an interface or union has.
func (x *execution) possible(name string, value any) (*object, error) {
	t := x.door.abstracts[name](graphql.ResolveTypeParams{Value: value, Context: x.ctx})
	if t == nil {
		return nil, fmt.Errorf("a %T is no %s", value, name)
	}
	return x.door.objects[t.Name()], nil
}

// isNull also knows a nil pointer or map in an interface. A nil slice is an empty list.
func isNull(value any) bool {
	switch value.(type) {
	case nil:
		return true
	case string, bool:
		return false
	}
	v := reflect.ValueOf(value)
	return (v.Kind() == reflect.Pointer || v.Kind() == reflect.Map || v.Kind() == reflect.Interface) && v.IsNil()
}

// fail records why the field at x.path has no value. It returns false for its callers to pass on.
func (x *execution) fail(i int, err error) bool {
	s, limits := &x.selections[i], &x.door.settings.Limits
	w := &wireError{locations: locate(s.field.Position), path: x.whole()}
	var told *Error
	if !errors.As(err, &told) && errors.Is(err, context.DeadlineExceeded) {
		told = &Error{
			Message: fmt.Sprintf("The request took longer than %s.", limits.Timeout),
			Code:    CodeBusy, Status: 503, RetryAfter: time.Second,
		}
	}
	if told != nil {
		w.message, w.code = told.Message, told.Code
		w.retryAfter = seconds(told.RetryAfter)
		x.status, x.retry = max(x.status, told.Status), max(x.retry, told.RetryAfter)
	} else {
		w.message, w.code, w.requestID = "internal server error", CodeInternal, x.door.settings.RequestID(x.ctx)
		x.door.settings.Log.ErrorContext(x.ctx, "internal server error",
			slog.String("request", w.requestID), slog.String("field", s.field.Name), slog.String("error", err.Error())) // not the path: aliases are the client's
	}
	if len(x.errs) < limits.Errors {
		x.errs = append(x.errs, w)
	}
	return false
}

// whole is x.path as an error has it.
func (x *execution) whole() []any {
	path := make([]any, len(x.path))
	for i, s := range x.path {
		if path[i] = s.index; s.key != "" {
			path[i] = s.key
		}
	}
	return path
}
