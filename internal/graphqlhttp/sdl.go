package graphqlhttp

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/graphql-go/graphql"

	"accountd/internal/jsontext"
)

// printSchema returns schema in the schema definition language. It sorts by name, because graphql-go stores types,
// fields, arguments and values in maps. The root types must have their usual names.
func printSchema(schema graphql.Schema) (string, error) {
	mutation := schema.MutationType()
	if schema.QueryType().Name() != "Query" || mutation != nil && mutation.Name() != "Mutation" {
		return "", fmt.Errorf("the root types are not called Query and Mutation")
	}
	var p printer
	types := schema.TypeMap()
	for _, name := range slices.Sorted(maps.Keys(types)) {
		if !strings.HasPrefix(name, "__") && !isBuiltInScalar(name) {
			p.definition(types[name])
		}
	}
	return p.String(), p.err
}

func isBuiltInScalar(name string) bool {
	switch name {
	case "Boolean", "Float", "ID", "Int", "String":
		return true
	}
	return false
}

type printer struct {
	strings.Builder
	err error
}

func (p *printer) definition(t graphql.Type) {
	if p.Len() > 0 {
		p.WriteByte('\n')
	}
	p.description("", t.Description())
	switch t := t.(type) {
	case *graphql.Scalar:
		fmt.Fprintf(p, "scalar %s\n", t.Name())
	case *graphql.Enum:
		p.enum(t)
	case *graphql.Interface:
		fmt.Fprintf(p, "interface %s {\n", t.Name())
		p.fields(t.Fields())
		p.WriteString("}\n")
	case *graphql.Object:
		fmt.Fprintf(p, "type %s", t.Name())
		var names []string
		for _, i := range t.Interfaces() {
			names = append(names, i.Name())
		}
		slices.Sort(names)
		if len(names) > 0 {
			fmt.Fprintf(p, " implements %s", strings.Join(names, " & "))
		}
		p.WriteString(" {\n")
		p.fields(t.Fields())
		p.WriteString("}\n")
	case *graphql.InputObject:
		fmt.Fprintf(p, "input %s {\n", t.Name())
		fields := t.Fields()
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			f := fields[name]
			p.noDefault(t.Name()+"."+name, f.DefaultValue)
			p.description("  ", f.Description())
			fmt.Fprintf(p, "  %s: %s\n", name, f.Type)
		}
		p.WriteString("}\n")
	default:
		p.fail("type %s is a %T", t.Name(), t)
	}
}

func (p *printer) enum(t *graphql.Enum) {
	fmt.Fprintf(p, "enum %s {\n", t.Name())
	values := slices.Clone(t.Values())
	slices.SortFunc(values, func(a, b *graphql.EnumValueDefinition) int { return strings.Compare(a.Name, b.Name) })
	for _, v := range values {
		p.description("  ", v.Description)
		fmt.Fprintf(p, "  %s%s\n", v.Name, deprecated(v.DeprecationReason))
	}
	p.WriteString("}\n")
}

func (p *printer) fields(fields graphql.FieldDefinitionMap) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		f := fields[name]
		p.description("  ", f.Description)
		fmt.Fprintf(p, "  %s", name)
		args := slices.Clone(f.Args)
		slices.SortFunc(args, func(a, b *graphql.Argument) int { return strings.Compare(a.Name(), b.Name()) })
		p.arguments(name, args)
		fmt.Fprintf(p, ": %s%s\n", f.Type, deprecated(f.DeprecationReason))
	}
}

// arguments prints the arguments on one line, or each on its own line if one has a description.
func (p *printer) arguments(field string, args []*graphql.Argument) {
	if len(args) == 0 {
		return
	}
	described := slices.ContainsFunc(args, func(a *graphql.Argument) bool { return a.Description() != "" })
	p.WriteByte('(')
	for i, a := range args {
		p.noDefault(field+"("+a.Name()+":)", a.DefaultValue)
		switch {
		case described:
			p.WriteByte('\n')
			p.description("    ", a.Description())
			p.WriteString("    ")
		case i > 0:
			p.WriteString(", ")
		}
		fmt.Fprintf(p, "%s: %s", a.Name(), a.Type)
	}
	if described {
		p.WriteString("\n  ")
	}
	p.WriteByte(')')
}

// noDefault refuses a default value. graphql-go stores it as a Go value, which does not say how to print it. A
// resolver can handle an absent argument instead.
func (p *printer) noDefault(where string, value any) {
	if value != nil {
		p.fail("%s has a default value", where)
	}
}

func (p *printer) description(indent, text string) {
	if text != "" {
		text = strings.NewReplacer(`"""`, `\"""`, "\n", "\n"+indent).Replace(text)
		fmt.Fprintf(p, "%s\"\"\"\n%s%s\n%s\"\"\"\n", indent, indent, text, indent)
	}
}

func deprecated(reason string) string {
	if reason == "" {
		return ""
	}
	return " @deprecated(reason: " + string(jsontext.AppendString(nil, reason)) + ")"
}

func (p *printer) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}
