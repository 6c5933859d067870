package graphqlhttp

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/graphql-go/graphql"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestSDL compares the printed schema with a golden file several times, because graphql-go keeps it in maps.
func TestSDL(t *testing.T) {
	path := filepath.Join("testdata", "schema.graphql")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(newSite(t).handler.SDL()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if diff := cmp.Diff(string(want), newSite(t).handler.SDL()); diff != "" {
			t.Fatalf("-want (%s) +got:\n%s", path, diff)
		}
	}
}

// TestIntrospection queries every introspection field. testdata/conformance gives the answers to graphql-js.
func TestIntrospection(t *testing.T) {
	s := newSite(t)
	const query = `{ __schema { description queryType { name } mutationType { name } subscriptionType { name }
		types { ...T } directives(includeDeprecated: true) {
			name description isRepeatable isDeprecated deprecationReason locations args { ...V } } } }
		fragment T on __Type { kind name description specifiedByURL isOneOf
			fields(includeDeprecated: true) { name description isDeprecated deprecationReason type { ...R }
				args(includeDeprecated: true) { ...V } }
			interfaces { name } possibleTypes { name } inputFields(includeDeprecated: true) { ...V }
			enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } ofType { name } }
		fragment V on __InputValue { name description type { ...R } defaultValue isDeprecated deprecationReason }
		fragment R on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }`
	status, first := s.post(t, query, "")
	if status != 200 || codeOf(t, first) != "" {
		t.Fatalf("got status %d and %.500s, want 200 and no error", status, first)
	}
	for range 3 {
		if _, again := newSite(t).post(t, query, ""); again != first {
			t.Fatal("got different answers from two servers, want equal ones")
		}
	}
	if strings.Contains(first, `"description":""`) {
		t.Error(`got an empty description as "", want null`)
	}
	if strings.Contains(first, `"name":"defer"`) {
		t.Error("got the directive @defer, want none")
	}
	parts := []struct{ query, want string }{
		{`{ __type(name: "User") { kind name description fields { name } interfaces { name } possibleTypes { name } ` +
			`inputFields { name } enumValues { name } ofType { name } isOneOf specifiedByURL } }`,
			`{"__type":{"kind":"OBJECT","name":"User","description":"Somebody.","fields":[{"name":"age"},` +
				`{"name":"broken"},{"name":"friend"},{"name":"name"},{"name":"none"}],` +
				`"interfaces":[{"name":"Named"}],"possibleTypes":null,"inputFields":null,"enumValues":null,` +
				`"ofType":null,"isOneOf":null,"specifiedByURL":null}}`},
		{`{ __type(name: "User") { fields(includeDeprecated: true) { name description isDeprecated ` +
			`deprecationReason } } }`,
			`{"__type":{"fields":[{"name":"age","description":null,"isDeprecated":false,"deprecationReason":null},` +
				`{"name":"broken","description":null,"isDeprecated":false,"deprecationReason":null},` +
				`{"name":"friend","description":null,"isDeprecated":false,"deprecationReason":null},{"name":"name",` +
				`"description":"What \"\"\" they\nare called.","isDeprecated":false,"deprecationReason":null},` +
				`{"name":"none","description":null,"isDeprecated":false,"deprecationReason":null},{"name":"zip",` +
				`"description":null,"isDeprecated":true,"deprecationReason":"Letters are \"out\"."}]}}`},
		{`{ __type(name: "Color") { kind enumValues { name description } } }`,
			`{"__type":{"kind":"ENUM","enumValues":[{"name":"GREEN","description":"As grass."},{"name":"RED",` +
				`"description":null}]}}`},
		{`{ __type(name: "Color") { enumValues(includeDeprecated: true) { name deprecationReason } } }`,
			`{"__type":{"enumValues":[{"name":"GREEN","deprecationReason":null},{"name":"MAUVE",` +
				`"deprecationReason":"Ask for \"RED\"."},{"name":"RED","deprecationReason":null}]}}`},
		{`{ __type(name: "Filter") { kind isOneOf inputFields { name defaultValue type { kind name ofType { kind ` +
			`name } } } } }`,
			`{"__type":{"kind":"INPUT_OBJECT","isOneOf":false,"inputFields":[{"name":"name","defaultValue":null,` +
				`"type":{"kind":"NON_NULL","name":null,"ofType":{"kind":"SCALAR","name":"String"}}},` +
				`{"name":"size","defaultValue":null,"type":{"kind":"SCALAR","name":"Int","ofType":null}},` +
				`{"name":"tags","defaultValue":null,"type":{"kind":"LIST","name":null,"ofType":{"kind":"SCALAR",` +
				`"name":"String"}}}]}}`},
		{`{ __type(name: "Named") { kind possibleTypes { name } fields { name } } }`,
			`{"__type":{"kind":"INTERFACE","possibleTypes":[{"name":"Pet"},{"name":"User"}],` +
				`"fields":[{"name":"name"}]}}`},
		{`{ __type(name: "__Type") { fields { name args { name defaultValue } } } }`, ``},
		{`{ __type(name: "Nope") { name } }`, `{"__type":null}`},
		{`{ __schema { __typename queryType { name } mutationType { name } subscriptionType { name } description ` +
			`directives { name } } }`,
			`{"__schema":{"__typename":"__Schema","queryType":{"name":"Query"},"mutationType":{"name":"Mutation"},` +
				`"subscriptionType":null,"description":null,` +
				`"directives":[{"name":"deprecated"},{"name":"include"},{"name":"oneOf"},{"name":"skip"},` +
				`{"name":"specifiedBy"}]}}`},
	}
	for _, part := range parts {
		status, got := s.post(t, part.query, "")
		if status != 200 || !json.Valid([]byte(got)) || part.want != "" && got != `{"data":`+part.want+`}` {
			t.Errorf("%s: status %d\n got %s\nwant %s", part.query, status, got, part.want)
		}
	}
}

// TestNewRefuses: New refuses schemas that the executor does not support.
func TestNewRefuses(t *testing.T) {
	query := func(name string, f *graphql.Field) *graphql.Object {
		return graphql.NewObject(graphql.ObjectConfig{Name: name, Fields: graphql.Fields{"a": f}})
	}
	fine := &graphql.Field{Type: graphql.Int, Resolve: constant(1)}
	thing := query("Thing", fine)
	thing.IsTypeOf = func(graphql.IsTypeOfParams) bool { return true }
	union := graphql.NewUnion(graphql.UnionConfig{Name: "Either", Types: []*graphql.Object{thing}})
	named := graphql.NewInterface(graphql.InterfaceConfig{Name: "Named",
		Fields: graphql.Fields{"a": {Type: graphql.Int}}})
	tests := []struct {
		name, want string
		config     graphql.SchemaConfig
	}{
		{"a field without a resolver", "Query.a has no resolver",
			graphql.SchemaConfig{Query: query("Query", &graphql.Field{Type: graphql.Int})}},
		{"a default value", "b has a default value", graphql.SchemaConfig{Query: query("Query", &graphql.Field{
			Type: graphql.Int, Resolve: constant(1), Args: graphql.FieldConfigArgument{"b": {Type: graphql.Int,
				DefaultValue: 1}},
		})}},
		{"a union", "Either", graphql.SchemaConfig{Query: query("Query", &graphql.Field{Type: union,
			Resolve: constant(1)})}},
		{"an interface", "Query.a is a Named", graphql.SchemaConfig{Query: query("Query", &graphql.Field{
			Type: graphql.NewList(named), Resolve: constant(1)})}},
		{"another name for the root", "root types", graphql.SchemaConfig{Query: query("Root", fine)}},
		{"a subscription", "subscriptions", graphql.SchemaConfig{Query: query("Query", fine),
			Subscription: query("Subscription", fine)}},
	}
	for _, test := range tests {
		schema, err := graphql.NewSchema(test.config)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(schema, Settings{Limits: testLimits}); err == nil || !strings.Contains(err.Error(),
			test.want) {
			t.Errorf("%s: got error %v, want %q", test.name, err, test.want)
		}
	}
}
