package graphqlhttp

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"
)

// Input coercion follows sections 3 and 6 of the specification: no type is converted to another, and unknown fields
// are errors. An explicit null and an absent value stay different.

// inputError is the error of a value that does not fit its type.
type inputError struct {
	path   string // below the variable or argument, as in ".a[0]"
	reason string
}

func inputErrorf(format string, args ...any) *inputError {
	return &inputError{reason: fmt.Sprintf(format, args...)}
}

// at puts step before the path.
func (e *inputError) at(step string) *inputError {
	e.path = step + e.path
	return e
}

// variables checks the variables that op declares, and returns them with their default values. All are decoded JSON.
func (h *Handler) variables(op *ast.OperationDefinition, given map[string]any) (map[string]any, *refusal) {
	if len(op.VariableDefinitions) == 0 {
		return nil, nil
	}
	vars := make(map[string]any, len(op.VariableDefinitions))
	r := &refusal{}
	for _, v := range op.VariableDefinitions {
		what, problem := "Variable", ""
		value, present := given[v.Variable]
		if !present && v.DefaultValue != nil {
			what, value, present = "The default value of variable", plain(v.DefaultValue, nil), true
		}
		if present {
			if _, err := h.input(v.Type, value); err != nil {
				problem = fmt.Sprintf("%s $%s%s does not fit %s: %s.", what, v.Variable, err.path, v.Type, err.reason)
			}
			vars[v.Variable] = value
		} else if v.Type.NonNull {
			problem = fmt.Sprintf("Variable $%s of type %s was not given.", v.Variable, v.Type)
		}
		if problem != "" && len(r.errs) < h.settings.Limits.Errors {
			r.errs = append(r.errs, newError(CodeVariables, problem, v.Position))
		}
	}
	if len(r.errs) > 0 {
		return nil, r
	}
	return vars, nil
}

// input coerces decoded JSON, or what plain makes of a literal.
func (h *Handler) input(t *ast.Type, value any) (any, *inputError) {
	if value == nil && t.NonNull {
		return nil, inputErrorf("null is not allowed")
	}
	if value == nil {
		return nil, nil
	}
	if t.Elem != nil {
		items, isList := value.([]any)
		if !isList {
			item, err := h.input(t.Elem, value) // a single value stands for a list of one
			return []any{item}, err
		}
		list := make([]any, len(items))
		for i, item := range items {
			var err *inputError
			if list[i], err = h.input(t.Elem, item); err != nil {
				return nil, err.at(fmt.Sprintf("[%d]", i))
			}
		}
		return list, nil
	}
	def := h.schema.Types[t.NamedType]
	if def.Kind != ast.InputObject {
		return h.parse(def, value)
	}
	fields, isObject := value.(map[string]any)
	if !isObject {
		return nil, inputErrorf("expected an object, found %s", kindOf(value))
	}
	out := make(map[string]any, len(fields))
	for _, f := range def.Fields {
		value, present := fields[f.Name]
		if !present {
			if f.Type.NonNull {
				return nil, inputErrorf("%s is required", f.Type).at("." + f.Name)
			}
			continue
		}
		var err *inputError
		if out[f.Name], err = h.input(f.Type, value); err != nil {
			return nil, err.at("." + f.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if def.Fields.ForName(name) == nil {
			return nil, inputErrorf("%s has no field %s", def.Name, quoteShort(name))
		}
	}
	return out, nil
}

func (h *Handler) parse(def *ast.Definition, value any) (any, *inputError) {
	if v := h.leaves[def.Name].parse(value); v != nil {
		return v, nil
	}
	found := kindOf(value)
	if _, isNumber := value.(json.Number); isNumber && def.Name == "Int" {
		found = "a number with a fraction or of more than 32 bits"
	}
	return nil, inputErrorf("expected %s, found %s", def.Name, found)
}

// absent reports a variable without a value, which counts as an absent argument.
func absent(v *ast.Value, vars map[string]any) bool {
	_, given := vars[v.Raw]
	return v.Kind == ast.Variable && !given
}

// plain returns a literal as decoded JSON, with enum values as enumName.
func plain(v *ast.Value, vars map[string]any) any {
	switch v.Kind {
	case ast.Variable:
		return vars[v.Raw]
	case ast.IntValue, ast.FloatValue:
		return json.Number(v.Raw)
	case ast.BooleanValue:
		return v.Raw == "true"
	case ast.NullValue:
		return nil
	case ast.EnumValue:
		return enumName(v.Raw)
	case ast.ListValue:
		list := make([]any, len(v.Children))
		for i, child := range v.Children {
			list[i] = plain(child.Value, vars)
		}
		return list
	case ast.ObjectValue:
		object := make(map[string]any, len(v.Children))
		for _, child := range v.Children {
			if !absent(child.Value, vars) {
				object[child.Name] = plain(child.Value, vars)
			}
		}
		return object
	default: // strings
		return v.Raw
	}
}

// arguments coerces the arguments that defs declare. An absent argument is not in the result, and an explicit null is
// nil in it.
func (h *Handler) arguments(
	defs ast.ArgumentDefinitionList, given ast.ArgumentList, vars map[string]any,
) (map[string]any, *inputError) {
	if len(defs) == 0 {
		return nil, nil
	}
	out := make(map[string]any, len(defs))
	for _, def := range defs {
		value := def.DefaultValue // only introspection and directives have defaults
		if arg := given.ForName(def.Name); arg != nil && !absent(arg.Value, vars) {
			value = arg.Value
		}
		var err *inputError
		switch {
		case value != nil:
			out[def.Name], err = h.input(def.Type, plain(value, vars))
		case def.Type.NonNull:
			err = inputErrorf("%s is required", def.Type)
		}
		if err != nil {
			return nil, err.at(def.Name)
		}
	}
	return out, nil
}

// kindOf names the kind of a value, for messages. They must not have the value, which may be a secret in the wrong
// place.
func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case enumName:
		return "a name"
	case bool:
		return "a Boolean"
	case json.Number:
		return "a number"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	default:
		return fmt.Sprintf("a %T", v)
	}
}

// quoteShort quotes a name of the request, and shortens a long one.
func quoteShort(s string) string {
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	return strconv.Quote(s)
}
