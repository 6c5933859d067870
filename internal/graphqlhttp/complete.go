package graphqlhttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"accountd/internal/jsontext"
)

// Error is a resolver's error for the client. Every other error is internal: it is logged, and the client gets
// "internal server error".
type Error struct {
	Message    string
	Code       string
	Status     int           // of the HTTP answer; 0: 200
	RetryAfter time.Duration // > 0: sent as a header and an extension, rounded up to seconds
}

func (e *Error) Error() string { return e.Message }

// complete writes value as a t (CompleteValue, section 6.4.3). It returns false for an error, which it has recorded.
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
	if f.object != nil {
		return x.object(f.object, value, i)
	}
	switch serialized := f.leaf.serialize(value).(type) {
	case nil:
		return x.fail(i, fmt.Errorf("%s cannot represent a %T", t.NamedType, value))
	case string:
		x.out = jsontext.AppendString(x.out, serialized)
	case bool:
		x.out = strconv.AppendBool(x.out, serialized)
	default:
		encoded, err := json.Marshal(serialized)
		if err != nil {
			return x.fail(i, err)
		}
		x.out = append(x.out, encoded...)
	}
	return true
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

// isNull reports nil, and a nil pointer or map in an interface. A nil slice is an empty list.
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

// fail records the error of the field at x.path. It returns false for its callers to return.
func (x *execution) fail(i int, err error) bool {
	s, settings := &x.selections[i], &x.handler.settings
	var public *Error
	if !errors.As(err, &public) && errors.Is(err, context.DeadlineExceeded) {
		public = &Error{
			Message: fmt.Sprintf("The request took longer than %s.", settings.Limits.Timeout),
			Code:    CodeBusy, Status: 503, RetryAfter: time.Second,
		}
	}
	var e *wireError
	if public != nil {
		e = newError(public.Code, public.Message, s.field.Position)
		e.Extensions.RetryAfter = seconds(public.RetryAfter)
		x.status, x.retry = max(x.status, public.Status), max(x.retry, public.RetryAfter)
	} else {
		e = newError(CodeInternal, "internal server error", s.field.Position)
		e.Extensions.RequestID = settings.RequestID(x.ctx)
		// The log has the field and not the path, because clients choose the aliases in it.
		settings.Log.ErrorContext(x.ctx, "internal server error", slog.String("request", e.Extensions.RequestID),
			slog.String("field", s.field.Name), slog.String("error", err.Error()))
	}
	e.Path = make([]any, len(x.path))
	for i, s := range x.path {
		if e.Path[i] = s.index; s.key != "" {
			e.Path[i] = s.key
		}
	}
	if len(x.errs) < settings.Limits.Errors {
		x.errs = append(x.errs, e)
	}
	return false
}
