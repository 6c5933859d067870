package graphqlhttp

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"
)

// Input coercion, by section 3 and 6 of the specification: no number for a string, no string for a number, no
// fraction for an Int, unknown fields refused. An explicit null stays apart from a value that is not there.

// inputError is a value that does not fit its type.
type inputError struct {
	path   string // below the variable or argument, as in ".a[0]"
	reason string
}

func (e *inputError) Error() string { return e.reason }

// at puts step before the path of err.
func (e *inputError) at(step string) *inputError {
	e.path = step + e.path
	return e
}

// variables coerces what the request gives for the variables that op declares.
func (d *Door) variables(op *ast.OperationDefinition, given map[string]any) (map[string]any, *refusal) {
	if len(op.VariableDefinitions) == 0 {
		return nil, nil
	}
	out := make(map[string]any, len(op.VariableDefinitions))
	r := &refusal{}
	for _, v := range op.VariableDefinitions {
		value, present := given[v.Variable]
		var problem string
		switch {
		case !present && v.DefaultValue != nil:
			constant, err := d.literal(v.Type, v.DefaultValue, nil)
			if err != nil {
				problem = fmt.Sprintf("The default value of variable $%s%s does not fit %s: %s.", v.Variable, err.path, v.Type, err.reason)
				break
			}
			out[v.Variable] = constant
		case !present && v.Type.NonNull:
			problem = fmt.Sprintf("Variable $%s of type %s was not given.", v.Variable, v.Type)
		case present:
			coerced, err := d.input(v.Type, value)
			if err != nil {
				problem = fmt.Sprintf("Variable $%s%s does not fit %s: %s.", v.Variable, err.path, v.Type, err.reason)
				break
			}
			out[v.Variable] = coerced
		}
		if problem != "" && len(r.errs) < d.settings.Limits.Errors {
			r.errs = append(r.errs, &wireError{message: problem, code: CodeVariables, locations: locate(v.Position)})
		}
	}
	if len(r.errs) > 0 {
		return nil, r
	}
	return out, nil
}

// input coerces a decoded JSON value; numbers are json.Number.
func (d *Door) input(t *ast.Type, value any) (any, *inputError) {
	if value == nil {
		if t.NonNull {
			return nil, &inputError{reason: "null is not allowed"}
		}
		return nil, nil
	}
	if t.Elem != nil {
		items, isList := value.([]any)
		if !isList {
			item, err := d.input(t.Elem, value) // a single value stands for a list of one
			return []any{item}, err
		}
		list := make([]any, len(items))
		for i, item := range items {
			var err *inputError
			if list[i], err = d.input(t.Elem, item); err != nil {
				return nil, err.at(fmt.Sprintf("[%d]", i))
			}
		}
		return list, nil
	}
	def := d.schema.Types[t.NamedType]
	if def.Kind != ast.InputObject {
		return d.parse(def, value)
	}
	fields, isObject := value.(map[string]any)
	if !isObject {
		return nil, &inputError{reason: "expected an object, found " + kindOf(value)}
	}
	out := make(map[string]any, len(fields))
	for _, f := range def.Fields {
		value, present := fields[f.Name]
		if !present {
			if f.Type.NonNull {
				return nil, (&inputError{reason: fmt.Sprintf("%s is required", f.Type)}).at("." + f.Name)
			}
			continue
		}
		var err *inputError
		if out[f.Name], err = d.input(f.Type, value); err != nil {
			return nil, err.at("." + f.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if def.Fields.ForName(name) == nil {
			return nil, &inputError{reason: fmt.Sprintf("%s has no field %s", def.Name, quoteShort(name))}
		}
	}
	return out, nil
}

func (d *Door) parse(def *ast.Definition, value any) (any, *inputError) {
	if v := d.leaves[def.Name].parse(value); v != nil {
		return v, nil
	}
	found := kindOf(value)
	if _, isNumber := value.(json.Number); isNumber && def.Name == "Int" {
		found = "a number with a fraction or of more than 32 bits"
	}
	return nil, &inputError{reason: fmt.Sprintf("expected %s, found %s", def.Name, found)}
}

// literal coerces a value written in the document, which validation has found to fit its type as far as it could
// see; vars are coerced already.
func (d *Door) literal(t *ast.Type, v *ast.Value, vars map[string]any) (any, *inputError) {
	switch {
	case v.Kind == ast.Variable:
		value, present := vars[v.Raw]
		if !present || value == nil {
			if t.NonNull {
				return nil, &inputError{reason: "null is not allowed"}
			}
			return nil, nil
		}
		return value, nil
	case v.Kind == ast.NullValue:
		return d.input(t, nil)
	case t.Elem != nil:
		if v.Kind != ast.ListValue {
			item, err := d.literal(t.Elem, v, vars)
			return []any{item}, err
		}
		list := make([]any, len(v.Children))
		for i, child := range v.Children {
			var err *inputError
			if list[i], err = d.literal(t.Elem, child.Value, vars); err != nil {
				return nil, err.at(fmt.Sprintf("[%d]", i))
			}
		}
		return list, nil
	}
	def := d.schema.Types[t.NamedType]
	if def.Kind != ast.InputObject {
		return d.parse(def, plain(v, vars))
	}
	if v.Kind != ast.ObjectValue {
		return nil, &inputError{reason: "expected an object, found " + kindOf(plain(v, vars))}
	}
	out := make(map[string]any, len(v.Children))
	for _, f := range def.Fields {
		child := v.Children.ForName(f.Name)
		if child == nil || absent(child, vars) {
			if f.Type.NonNull {
				return nil, (&inputError{reason: fmt.Sprintf("%s is required", f.Type)}).at("." + f.Name)
			}
			continue
		}
		var err *inputError
		if out[f.Name], err = d.literal(f.Type, child, vars); err != nil {
			return nil, err.at("." + f.Name)
		}
	}
	return out, nil
}

// absent tells a variable that was not given, which is as if the argument were not there.
func absent(v *ast.Value, vars map[string]any) bool {
	if v.Kind != ast.Variable {
		return false
	}
	_, given := vars[v.Raw]
	return !given
}

// plain is a literal as encoding/json would decode it, enum values as enumName.
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
			object[child.Name] = plain(child.Value, vars)
		}
		return object
	default: // strings
		return v.Raw
	}
}

// arguments coerces the arguments of what has those of defs, nil for none. A missing one is not in the map, an explicit null is
// in it as nil.
func (d *Door) arguments(defs ast.ArgumentDefinitionList, given ast.ArgumentList, vars map[string]any) (map[string]any, *inputError) {
	if len(defs) == 0 {
		return nil, nil
	}
	out := make(map[string]any, len(defs))
	for _, def := range defs {
		arg := given.ForName(def.Name)
		if arg == nil || absent(arg.Value, vars) {
			switch {
			case def.DefaultValue != nil: // of introspection and directives
				value, err := d.literal(def.Type, def.DefaultValue, nil)
				if err != nil {
					return nil, err.at(def.Name)
				}
				out[def.Name] = value
			case def.Type.NonNull:
				return nil, (&inputError{reason: fmt.Sprintf("%s is required", def.Type)}).at(def.Name)
			}
			continue
		}
		value, err := d.literal(def.Type, arg.Value, vars)
		if err != nil {
			return nil, err.at(def.Name)
		}
		out[def.Name] = value
	}
	return out, nil
}

// kindOf says what a value is, and not which: it may be a secret in the wrong place.
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

// quoteShort keeps what a client sent from filling the answer.
func quoteShort(s string) string {
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	return strconv.Quote(s)
}
