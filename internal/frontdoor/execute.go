package frontdoor

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

// selection is what a response key stands for: one field, asked for in one place or several.
type selection struct {
	key   string
	field *ast.Field
	more  []*ast.Field
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// giveBack is for when nothing refers to what is in s any more.
func (s *scratch) giveBack() {
	if cap(s.out) > keptBuffer {
		return
	}
	s.out = s.out[:0]
	clear(s.path[:cap(s.path)])
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
	if !x.fields(root, nil, 0) {
		x.out = append(x.out, "null"...)
	}
}

// object writes an object that s stands for.
func (x *execution) object(o *object, source any, s selection) bool {
	first := len(x.selections)
	x.collect(o, s.field.SelectionSet, first)
	for _, f := range s.more {
		x.collect(o, f.SelectionSet, first)
	}
	return x.fields(o, source, first)
}

// fields writes the fields of an object, which are the selections from first on, and takes these away. False means that one of
// them failed and may not be null: nothing is written then.
func (x *execution) fields(o *object, source any, first int) bool {
	start, end, ok := len(x.out), len(x.selections), true
	x.out = append(x.out, '{')
	for i := first; i < end && ok; i++ {
		if i > first {
			x.out = append(x.out, ',')
		}
		s := x.selections[i]
		x.out = append(appendString(x.out, s.key), ':')
		x.path = append(x.path, step{key: s.key})
		ok = x.field(o, source, s)
		x.path = x.path[:len(x.path)-1]
	}
	clear(x.selections[first:end]) // so that documents are not kept alive
	x.selections = x.selections[:first]
	if !ok {
		x.out = x.out[:start]
		return false
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
				x.collectField(s, first)
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

func (x *execution) collectField(f *ast.Field, first int) {
	for i := first; i < len(x.selections); i++ {
		if s := &x.selections[i]; s.key == f.Alias {
			s.more = append(s.more, f)
			return
		}
	}
	x.selections = append(x.selections, selection{key: f.Alias, field: f})
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

// field writes the value of one field, null where it failed and may be null.
func (x *execution) field(o *object, source any, s selection) bool {
	f := o.fields[s.field.Name]
	start := len(x.out)
	if x.resolve(f, source, s) {
		return true
	}
	x.out = append(x.out[:start], "null"...)
	return !f.def.Type.NonNull
}

func (x *execution) resolve(f *field, source any, s selection) bool {
	args, bad := x.door.arguments(f.def.Arguments, s.field.Arguments, x.vars)
	if bad != nil {
		return x.fail(s, &Error{Message: fmt.Sprintf("Argument %s does not fit: %s.", bad.path, bad.reason), Code: CodeVariables})
	}
	value, err := call(f, graphql.ResolveParams{
		Source: source, Args: args, Context: x.ctx,
		Info: graphql.ResolveInfo{FieldName: f.def.Name, ReturnType: f.typ, ParentType: f.parent, VariableValues: x.vars},
	})
	if err != nil {
		return x.fail(s, err)
	}
	return x.complete(f.def.Type, value, s)
}

// call runs a resolver. A value that comes with an error is dropped.
func call(f *field, p graphql.ResolveParams) (value any, err error) {
	defer func() {
		if r := recover(); r != nil {
			value, err = nil, fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return f.resolve(p)
}

// complete writes value as one of type t. False means that it failed, and that the error is recorded.
func (x *execution) complete(t *ast.Type, value any, s selection) bool {
	if isNull(value) {
		if t.NonNull {
			return x.fail(s, errors.New("null for a field that is not nullable"))
		}
		x.out = append(x.out, "null"...)
		return true
	}
	if t.Elem != nil {
		return x.list(t.Elem, value, s)
	}
	if l, ok := x.door.leaves[t.NamedType]; ok {
		serialized := l.serialize(value)
		if serialized == nil {
			return x.fail(s, fmt.Errorf("%s cannot represent a %T", t.NamedType, value))
		}
		return x.scalar(serialized, s)
	}
	o, err := x.objectType(t.NamedType, value)
	if err != nil {
		return x.fail(s, err)
	}
	return x.object(o, value, s)
}

func (x *execution) list(elem *ast.Type, value any, s selection) bool {
	items := reflect.ValueOf(value)
	if items.Kind() != reflect.Slice && items.Kind() != reflect.Array {
		return x.fail(s, fmt.Errorf("a %T is not a list", value))
	}
	start := len(x.out)
	x.out = append(x.out, '[')
	for i := range items.Len() {
		if i > 0 {
			x.out = append(x.out, ',')
		}
		x.path = append(x.path, step{index: i})
		before := len(x.out)
		ok := x.complete(elem, items.Index(i).Interface(), s)
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

func (x *execution) scalar(value any, s selection) bool {
	switch value := value.(type) {
	case string:
		x.out = appendString(x.out, value)
	case bool:
		x.out = strconv.AppendBool(x.out, value)
	default:
		encoded, err := json.Marshal(value)
		if err != nil {
			return x.fail(s, err)
		}
		x.out = append(x.out, encoded...)
	}
	return true
}

func (x *execution) objectType(name string, value any) (*object, error) {
	if resolve, ok := x.door.abstracts[name]; ok {
		t := resolve(graphql.ResolveTypeParams{Value: value, Context: x.ctx})
		if t == nil {
			return nil, fmt.Errorf("a %T is no %s", value, name)
		}
		name = t.Name()
	}
	return x.door.objects[name], nil
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
func (x *execution) fail(s selection, err error) bool {
	limits := x.door.settings.Limits
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
