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
	definitions := map[string]string{}
	for name, t := range schema.TypeMap() {
		switch {
		case strings.HasPrefix(name, "__"):
		case slices.Contains([]string{"Boolean", "Float", "ID", "Int", "String"}, name):
		default:
			definitions[name] = described("", t.Description(), p.definition(t))
		}
	}
	return strings.Join(byName(definitions), "\n"), p.err
}

// byName returns the texts in the order of their names.
func byName(texts map[string]string) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		list = append(list, texts[name])
	}
	return list
}

type printer struct{ err error }

func (p *printer) definition(t graphql.Type) string {
	head, members := t.Name(), map[string]string{}
	switch t := t.(type) {
	case *graphql.Scalar:
		return "scalar " + head + "\n"
	case *graphql.Enum:
		head = "enum " + head
		for _, v := range t.Values() {
			members[v.Name] = described("  ", v.Description, "  "+v.Name+deprecated(v.DeprecationReason)+"\n")
		}
	case *graphql.Interface:
		head, members = "interface "+head, p.fields(t.Fields())
	case *graphql.Object:
		head, members = "type "+head, p.fields(t.Fields())
		var names []string
		for _, i := range t.Interfaces() {
			names = append(names, i.Name())
		}
		slices.Sort(names)
		if len(names) > 0 {
			head += " implements " + strings.Join(names, " & ")
		}
	case *graphql.InputObject:
		head = "input " + head
		for name, f := range t.Fields() {
			members[name] = p.input("  ", name, f.Description(), f.Type, f.DefaultValue) + "\n"
		}
	default:
		p.fail("type %s is a %T", head, t)
	}
	return head + " {\n" + strings.Join(byName(members), "") + "}\n"
}

func (p *printer) fields(fields graphql.FieldDefinitionMap) map[string]string {
	lines := map[string]string{}
	for name, f := range fields {
		line := fmt.Sprintf("  %s%s: %s%s\n", name, p.arguments(f.Args), f.Type, deprecated(f.DeprecationReason))
		lines[name] = described("  ", f.Description, line)
	}
	return lines
}

// arguments prints the arguments on one line, or each on its own line if one has a description.
func (p *printer) arguments(args []*graphql.Argument) string {
	if len(args) == 0 {
		return ""
	}
	indent, separator, end := "", ", ", ")"
	if slices.ContainsFunc(args, func(a *graphql.Argument) bool { return a.Description() != "" }) {
		indent, separator, end = "    ", "\n", "\n  )"
	}
	texts := map[string]string{}
	for _, a := range args {
		texts[a.Name()] = p.input(indent, a.Name(), a.Description(), a.Type, a.DefaultValue)
	}
	return "(" + strings.TrimLeft(separator, ", ") + strings.Join(byName(texts), separator) + end
}

// input prints an argument or a field of an input object. It refuses a default value: graphql-go stores it as a Go
// value, which does not say how to print it. A resolver can handle an absent argument instead.
func (p *printer) input(indent, name, description string, t graphql.Input, value any) string {
	if value != nil {
		p.fail("%s has a default value", name)
	}
	return described(indent, description, fmt.Sprintf("%s%s: %s", indent, name, t))
}

// described puts a description before a text.
func described(indent, description, text string) string {
	if description == "" {
		return text
	}
	description = strings.NewReplacer(`"""`, `\"""`, "\n", "\n"+indent).Replace(description)
	return fmt.Sprintf("%s\"\"\"\n%s%s\n%s\"\"\"\n%s", indent, indent, description, indent, text)
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
