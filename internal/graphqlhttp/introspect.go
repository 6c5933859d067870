package graphqlhttp

import (
	"maps"
	"slices"
	"strings"

	"github.com/graphql-go/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// addIntrospection adds __schema and __type to the fields of Query (specification, section 4). Their types are those
// of gqlparser's prelude. Their values are the parts of the parsed schema: an *ast.Schema for __Schema, an *ast.Type
// for __Type, an *ast.FieldDefinition for fields, arguments and enum values, and so on.
func (h *Handler) addIntrospection() {
	h.extendPrelude()
	self := leaf{serialize: only[string], parse: only[string]}
	h.leaves["__TypeKind"], h.leaves["__DirectiveLocation"] = self, self
	for _, t := range []*graphql.Scalar{graphql.String, graphql.Boolean, graphql.ID, graphql.Int, graphql.Float} {
		h.leaves[t.Name()] = scalarLeaf(t) // variables may have each of them, whatever the schema uses
	}
	query := h.objects["Query"]
	query.fields["__schema"] = &field{
		def:     h.schema.Query.Fields.ForName("__schema"),
		resolve: func(graphql.ResolveParams) (any, error) { return h.schema, nil },
	}
	query.fields["__type"] = &field{
		def: h.schema.Query.Fields.ForName("__type"),
		resolve: func(p graphql.ResolveParams) (any, error) {
			name, _ := p.Args["name"].(string)
			if h.schema.Types[name] == nil {
				return nil, nil
			}
			return ast.NamedType(name, nil), nil
		},
	}
	add(h, "__Schema", map[string]func(*ast.Schema, args) any{
		"description":      func(s *ast.Schema, _ args) any { return text(s.Description) },
		"types":            func(s *ast.Schema, _ args) any { return named(slices.Sorted(maps.Keys(s.Types))) },
		"queryType":        func(s *ast.Schema, _ args) any { return rootType(s.Query) },
		"mutationType":     func(s *ast.Schema, _ args) any { return rootType(s.Mutation) },
		"subscriptionType": func(s *ast.Schema, _ args) any { return rootType(s.Subscription) },
		"directives": func(s *ast.Schema, _ args) any {
			var list []*ast.DirectiveDefinition
			for _, name := range slices.Sorted(maps.Keys(s.Directives)) {
				list = append(list, s.Directives[name])
			}
			return list
		},
	})
	add(h, "__Type", map[string]func(*ast.Type, args) any{
		"kind":        func(t *ast.Type, _ args) any { return h.kind(t) },
		"name":        func(t *ast.Type, _ args) any { return text(t.NamedType, !t.NonNull) },
		"description": func(t *ast.Type, _ args) any { return text(h.named(t).Description) },
		"specifiedByURL": func(t *ast.Type, _ args) any {
			return directiveText(h.named(t).Directives, "specifiedBy", "url")
		},
		"isOneOf": func(t *ast.Type, _ args) any {
			def := h.named(t)
			return orNil(def.Directives.ForName("oneOf") != nil, def.Kind == ast.InputObject)
		},
		"fields": func(t *ast.Type, a args) any {
			def := h.named(t)
			if def.Kind != ast.Object && def.Kind != ast.Interface {
				return nil
			}
			return visible(def.Fields, a)
		},
		"inputFields": func(t *ast.Type, a args) any {
			def := h.named(t)
			if def.Kind != ast.InputObject {
				return nil
			}
			return visible(def.Fields, a)
		},
		"interfaces": func(t *ast.Type, _ args) any {
			def := h.named(t)
			if def.Kind != ast.Object && def.Kind != ast.Interface {
				return nil
			}
			return named(def.Interfaces)
		},
		"possibleTypes": func(t *ast.Type, _ args) any {
			def := h.named(t)
			if def.Kind != ast.Interface && def.Kind != ast.Union {
				return nil
			}
			var names []string
			for _, possible := range h.schema.PossibleTypes[def.Name] {
				names = append(names, possible.Name)
			}
			slices.Sort(names)
			return named(names)
		},
		"enumValues": func(t *ast.Type, a args) any {
			def := h.named(t)
			if def.Kind != ast.Enum {
				return nil
			}
			var values ast.FieldList
			for _, v := range def.EnumValues {
				values = append(values, &ast.FieldDefinition{
					Name: v.Name, Description: v.Description, Directives: v.Directives,
				})
			}
			return visible(values, a)
		},
		"ofType": func(t *ast.Type, _ args) any {
			if t.NonNull {
				return &ast.Type{NamedType: t.NamedType, Elem: t.Elem}
			}
			return orNil(t.Elem, t.Elem != nil)
		},
	})
	part := map[string]func(*ast.FieldDefinition, args) any{
		"name":         func(f *ast.FieldDefinition, _ args) any { return f.Name },
		"description":  func(f *ast.FieldDefinition, _ args) any { return text(f.Description) },
		"args":         func(f *ast.FieldDefinition, a args) any { return visible(arguments(f.Arguments), a) },
		"type":         func(f *ast.FieldDefinition, _ args) any { return f.Type },
		"isDeprecated": func(f *ast.FieldDefinition, _ args) any { return isDeprecated(f) },
		"deprecationReason": func(f *ast.FieldDefinition, _ args) any {
			return directiveText(f.Directives, "deprecated", "reason")
		},
		"defaultValue": func(f *ast.FieldDefinition, _ args) any {
			if f.DefaultValue == nil {
				return nil
			}
			return f.DefaultValue.String()
		},
	}
	add(h, "__Field", part)
	add(h, "__InputValue", part)
	add(h, "__EnumValue", part)
	add(h, "__Directive", map[string]func(*ast.DirectiveDefinition, args) any{
		"name":              func(v *ast.DirectiveDefinition, _ args) any { return v.Name },
		"description":       func(v *ast.DirectiveDefinition, _ args) any { return text(v.Description) },
		"isRepeatable":      func(v *ast.DirectiveDefinition, _ args) any { return v.IsRepeatable },
		"isDeprecated":      func(*ast.DirectiveDefinition, args) any { return false },
		"deprecationReason": func(*ast.DirectiveDefinition, args) any { return nil },
		"args":              func(v *ast.DirectiveDefinition, a args) any { return visible(arguments(v.Arguments), a) },
		"locations": func(v *ast.DirectiveDefinition, _ args) any {
			var names []string
			for _, l := range v.Locations {
				names = append(names, string(l))
			}
			return names
		},
	})
}

// extendPrelude adds the arguments and fields of directives that graphql-js 17 uses and gqlparser's prelude lacks.
func (h *Handler) extendPrelude() {
	flag := &ast.ArgumentDefinition{
		Name: "includeDeprecated", Type: ast.NamedType("Boolean", nil),
		DefaultValue: &ast.Value{Kind: ast.BooleanValue, Raw: "false"},
	}
	directives := h.schema.Types["__Schema"].Fields.ForName("directives")
	directives.Arguments = append(directives.Arguments, flag)
	directive := h.schema.Types["__Directive"]
	directive.Fields = append(directive.Fields,
		&ast.FieldDefinition{Name: "isDeprecated", Type: ast.NonNullNamedType("Boolean", nil)},
		&ast.FieldDefinition{Name: "deprecationReason", Type: ast.NamedType("String", nil)})
}

type args = map[string]any

// arguments returns arguments as fields, so that both have the same functions.
func arguments(defs ast.ArgumentDefinitionList) ast.FieldList {
	var fields ast.FieldList
	for _, def := range defs {
		fields = append(fields, &ast.FieldDefinition{
			Name: def.Name, Description: def.Description, Type: def.Type, DefaultValue: def.DefaultValue,
			Directives: def.Directives,
		})
	}
	return fields
}

// add makes an object type of the prelude. fields has a function for each of its fields, and may have others.
func add[T any](h *Handler, name string, fields map[string]func(T, args) any) {
	def := h.schema.Types[name]
	o := newObject(name)
	for _, f := range def.Fields {
		value, ok := fields[f.Name]
		if !ok {
			panic("introspection: no function for " + name + "." + f.Name)
		}
		o.fields[f.Name] = &field{def: f, resolve: func(p graphql.ResolveParams) (any, error) {
			return value(p.Source.(T), p.Args), nil
		}}
	}
	h.objects[name] = o
}

// named returns the definition of a named type, and an empty one for a list or non-null type.
func (h *Handler) named(t *ast.Type) *ast.Definition {
	if t.NonNull || t.Elem != nil {
		return &ast.Definition{}
	}
	return h.schema.Types[t.NamedType]
}

func (h *Handler) kind(t *ast.Type) string {
	switch {
	case t.NonNull:
		return "NON_NULL"
	case t.Elem != nil:
		return "LIST"
	default:
		return string(h.schema.Types[t.NamedType].Kind)
	}
}

func named(names []string) []*ast.Type {
	types := make([]*ast.Type, len(names))
	for i, name := range names {
		types[i] = ast.NamedType(name, nil)
	}
	return types
}

func rootType(def *ast.Definition) any {
	if def == nil {
		return nil
	}
	return ast.NamedType(def.Name, nil)
}

// visible leaves out the introspection fields of Query, and without includeDeprecated what is deprecated.
func visible(all ast.FieldList, a args) ast.FieldList {
	list := ast.FieldList{}
	for _, f := range all {
		if !strings.HasPrefix(f.Name, "__") && (a["includeDeprecated"] == true || !isDeprecated(f)) {
			list = append(list, f)
		}
	}
	return list
}

func isDeprecated(f *ast.FieldDefinition) bool { return f.Directives.ForName("deprecated") != nil }

// directiveText returns the argument of a directive, nil without the directive.
func directiveText(directives ast.DirectiveList, name, argument string) any {
	directive := directives.ForName(name)
	if directive == nil {
		return nil
	}
	if arg := directive.Arguments.ForName(argument); arg != nil {
		return arg.Value.Raw
	}
	return directive.Definition.Arguments.ForName(argument).DefaultValue.Raw
}

// text returns s, and nil if s is empty or a condition is false.
func text(s string, conditions ...bool) any {
	return orNil(s, s != "" && !slices.Contains(conditions, false))
}
