package graphqlhttp

import (
	"maps"
	"slices"
	"strings"

	"github.com/graphql-go/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// node is an object of introspection, such as a __Type or a __Field, by the names of its fields. An absent field is
// null.
type node map[string]any

// addIntrospection adds __schema and __type to the fields of Query (specification, section 4). Their types are those
// of gqlparser's prelude. The nodes are made here, and each request shows some of them.
func (h *Handler) addIntrospection() {
	h.extendPrelude()
	for name, def := range h.schema.Types {
		switch {
		case !strings.HasPrefix(name, "__"):
		case def.Kind == ast.Enum:
			h.leaves[name] = leaf{serialize: func(v any) any { return v }, parse: only[string]}
		default:
			h.objects[name] = nodeObject(def)
		}
	}
	for _, t := range []*graphql.Scalar{graphql.String, graphql.Boolean, graphql.ID, graphql.Int, graphql.Float} {
		h.leaves[t.Name()] = scalarLeaf(t) // variables may have each of them, whatever the schema uses
	}
	types := typeNodes(h.schema)
	schema := schemaNode(h.schema, types)
	query := h.objects["Query"]
	query.fields["__schema"] = &field{
		def:     h.schema.Query.Fields.ForName("__schema"),
		resolve: func(graphql.ResolveParams) (any, error) { return schema, nil },
	}
	query.fields["__type"] = &field{
		def: h.schema.Query.Fields.ForName("__type"),
		resolve: func(p graphql.ResolveParams) (any, error) {
			name, _ := p.Args["name"].(string)
			return types[name], nil
		},
	}
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

// nodeObject makes an object type whose values are nodes. Its lists leave out what is deprecated, unless the argument
// includeDeprecated is true.
func nodeObject(def *ast.Definition) *object {
	o := newObject(def.Name)
	for _, f := range def.Fields {
		o.fields[f.Name] = &field{def: f, resolve: func(p graphql.ResolveParams) (any, error) {
			value := p.Source.(node)[f.Name]
			if list, isList := value.([]node); isList && p.Args["includeDeprecated"] != true {
				value = slices.DeleteFunc(slices.Clone(list), func(n node) bool { return n["isDeprecated"] == true })
			}
			return value, nil
		}}
	}
	return o
}

func schemaNode(s *ast.Schema, types typesByName) node {
	directives := []node{}
	for _, name := range slices.Sorted(maps.Keys(s.Directives)) {
		d := s.Directives[name]
		n := part(name, d.Description, nil)
		n["isRepeatable"], n["locations"], n["args"] = d.IsRepeatable, d.Locations, types.arguments(d.Arguments)
		directives = append(directives, n)
	}
	n := node{
		"types": types.named(slices.Sorted(maps.Keys(types))), "directives": directives, "queryType": types["Query"],
	}
	if s.Mutation != nil {
		n["mutationType"] = types["Mutation"]
	}
	return n
}

// typesByName has the nodes of the named types.
type typesByName map[string]node

func typeNodes(s *ast.Schema) typesByName {
	types := typesByName{}
	for name := range s.Types {
		types[name] = node{}
	}
	for name, def := range s.Types {
		n := types[name]
		n["kind"], n["name"], n["description"] = def.Kind, name, text(def.Description)
		switch def.Kind {
		case ast.Object, ast.Interface:
			n["fields"], n["interfaces"] = types.fields(def.Fields), types.named(def.Interfaces)
		case ast.InputObject:
			n["inputFields"], n["isOneOf"] = types.fields(def.Fields), false
		case ast.Enum:
			values := []node{}
			for _, v := range def.EnumValues {
				values = append(values, part(v.Name, v.Description, v.Directives))
			}
			n["enumValues"] = values
		}
		if def.Kind == ast.Interface {
			possible := []node{}
			for _, t := range s.PossibleTypes[name] {
				possible = append(possible, types[t.Name])
			}
			n["possibleTypes"] = possible
		}
	}
	return types
}

func (types typesByName) named(names []string) []node {
	list := make([]node, len(names))
	for i, name := range names {
		list[i] = types[name]
	}
	return list
}

// of returns the node of a named, list or non-null type.
func (types typesByName) of(t *ast.Type) node {
	switch {
	case t.NonNull:
		return node{"kind": "NON_NULL", "ofType": types.of(&ast.Type{NamedType: t.NamedType, Elem: t.Elem})}
	case t.Elem != nil:
		return node{"kind": "LIST", "ofType": types.of(t.Elem)}
	}
	return types[t.NamedType]
}

// fields leaves out the introspection fields of Query.
func (types typesByName) fields(defs ast.FieldList) []node {
	list := []node{}
	for _, f := range defs {
		if strings.HasPrefix(f.Name, "__") {
			continue
		}
		n := part(f.Name, f.Description, f.Directives)
		n["type"], n["args"] = types.of(f.Type), types.arguments(f.Arguments)
		list = append(list, n)
	}
	return list
}

func (types typesByName) arguments(defs ast.ArgumentDefinitionList) []node {
	list := []node{}
	for _, a := range defs {
		n := part(a.Name, a.Description, a.Directives)
		n["type"] = types.of(a.Type)
		if a.DefaultValue != nil {
			n["defaultValue"] = a.DefaultValue.String()
		}
		list = append(list, n)
	}
	return list
}

// part makes what all parts of types have in common: fields, arguments, enum values and directives.
func part(name, description string, directives ast.DirectiveList) node {
	n := node{"name": name, "description": text(description), "isDeprecated": false}
	if d := directives.ForName("deprecated"); d != nil {
		n["isDeprecated"], n["deprecationReason"] = true, d.Arguments.ForName("reason").Value.Raw
	}
	return n
}

// text returns s, nil if it is empty.
func text(s string) any { return orNil(s, s != "") }
