// Package graphqlhttp is GraphQL over HTTP for a schema of graphql-go: limits, parsing, validation, coercion,
// execution and introspection. It knows nothing of accounts.
//
// What a client sent never reaches graphql-go, whose parser and validator can be stalled or killed by a few bytes:
// gqlparser parses and validates, and the executor here calls the resolvers of the schema. Requests and answers follow
// the GraphQL specification (September 2025) and GraphQL over HTTP (https://graphql.github.io/graphql-over-http/).
package graphqlhttp

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/graphql-go/graphql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

// Limits bound what one request may cost. Fields, aliases and depth are counted with fragments expanded. The upper
// bound of Fields is low because validating n equal fields takes time in n².
type Limits struct {
	Body               int           `toml:"limits.body" min:"256B" max:"16MiB"` // bytes of the HTTP body
	Query              int           `toml:"limits.query" min:"64B" max:"1MiB"`  // bytes of the document
	Tokens             int           `toml:"limits.tokens" min:"1" max:"100000"` // in the document
	Nesting            int           `toml:"limits.nesting" min:"1" max:"500"`   // of brackets in the document
	Fields             int           `toml:"limits.fields" min:"1" max:"2000"`
	Aliases            int           `toml:"limits.aliases" min:"0" max:"2000"`
	Depth              int           `toml:"limits.depth" min:"1" max:"500"`               // of selections
	IntrospectionDepth int           `toml:"limits.introspection_depth" min:"1" max:"500"` // inside __schema and __type
	Fragments          int           `toml:"limits.fragments" min:"0" max:"1000"`          // definitions
	Variables          int           `toml:"limits.variables" min:"0" max:"1000"`          // of one operation
	Directives         int           `toml:"limits.directives" min:"0" max:"1000"`         // in the document
	Errors             int           `toml:"limits.errors" min:"1" max:"1000"`             // in one response
	Response           int           `toml:"limits.response" min:"1KiB" max:"64MiB"`       // bytes of data in one response
	Timeout            time.Duration `toml:"limits.timeout" min:"100ms" max:"10m"`         // of all resolvers together

	// Documents is how many validated documents are kept, in 4 KiB of memory each on average.
	Documents int `toml:"limits.documents" min:"1" max:"100000"`
}

// Settings are how a schema is served.
type Settings struct {
	Limits        Limits
	Introspection bool

	// Exclusive names the root fields of mutations of which one request may have only one.
	Exclusive func(field string) bool

	// Context is what resolvers get, made from the request's context and the request. Its values stay, its end
	// does not count: work that has begun is finished whether or not the client waits.
	Context func(context.Context, *http.Request) context.Context

	// Finish adds headers to the answer once every resolver has returned. It gets what Context made. nil: none.
	Finish func(context.Context, http.Header)

	// RequestID is the name under which failures of the server are logged.
	RequestID func(context.Context) string

	Log *slog.Logger
}

// Door serves one schema. It is safe for concurrent use.
type Door struct {
	settings  Settings
	sdl       string
	schema    *ast.Schema
	objects   map[string]*object
	abstracts map[string]graphql.ResolveTypeFn // by name of interface or union
	leaves    map[string]leaf                  // by name of scalar or enum
	documents *cache
}

// object is an object type as the executor needs it.
type object struct {
	name   string
	fields map[string]*field
}

type field struct {
	def     *ast.FieldDefinition
	resolve graphql.FieldResolveFn
	typ     graphql.Output // nil for introspection
	parent  *graphql.Object

	// The type of the value, or of what is in the list. For an interface or union neither is there.
	leaf   leaf
	object *object
}

// New prepares a schema for serving. It refuses what the executor does not do: subscriptions, default values, and
// fields without a resolver.
func New(schema graphql.Schema, s Settings) (*Door, error) {
	if schema.SubscriptionType() != nil {
		return nil, fmt.Errorf("schema has subscriptions")
	}
	sdl, err := printSchema(schema)
	if err != nil {
		return nil, err
	}
	parsed, err := gqlparser.LoadSchema(&ast.Source{Name: "schema", Input: sdl})
	if err != nil {
		return nil, fmt.Errorf("printed schema: %w", err)
	}
	delete(parsed.Directives, "defer") // gqlparser's prelude declares it; nothing here defers
	documents, err := newCache(s.Limits.Documents)
	if err != nil {
		return nil, err
	}
	d := &Door{
		settings: s, sdl: sdl, schema: parsed, documents: documents,
		objects: map[string]*object{}, abstracts: map[string]graphql.ResolveTypeFn{}, leaves: map[string]leaf{},
	}
	for name, t := range schema.TypeMap() {
		switch t := t.(type) {
		case *graphql.Scalar:
			d.leaves[name] = scalarLeaf(t)
		case *graphql.Enum:
			d.leaves[name] = enumLeaf(t)
		case *graphql.Interface:
			d.abstracts[name] = resolver(t.ResolveType, schema.PossibleTypes(t))
		case *graphql.Union:
			d.abstracts[name] = resolver(t.ResolveType, schema.PossibleTypes(t))
		case *graphql.Object:
			if err := d.addObject(t); err != nil {
				return nil, err
			}
		}
	}
	d.addIntrospection()
	for _, o := range d.objects {
		for _, f := range o.fields {
			name := f.def.Type.Name()
			f.leaf, f.object = d.leaves[name], d.objects[name]
		}
	}
	return d, nil
}

func (d *Door) addObject(t *graphql.Object) error {
	def := d.schema.Types[t.Name()]
	if def == nil || def.BuiltIn {
		return nil // introspection is ours
	}
	o := &object{name: t.Name(), fields: map[string]*field{}}
	for name, f := range t.Fields() {
		if f.Resolve == nil {
			return fmt.Errorf("field %s.%s has no resolver", t.Name(), name)
		}
		o.fields[name] = &field{def: def.Fields.ForName(name), resolve: f.Resolve, typ: f.Type, parent: t}
	}
	o.fields["__typename"] = typenameField(o.name)
	d.objects[o.name] = o
	return nil
}

// resolver is how an interface or union finds the type of a value: as it says itself, or by asking the types, which
// graphql-go makes sure can be asked.
func resolver(own graphql.ResolveTypeFn, possible []*graphql.Object) graphql.ResolveTypeFn {
	if own != nil {
		return own
	}
	return func(p graphql.ResolveTypeParams) *graphql.Object {
		for _, t := range possible {
			if t.IsTypeOf(graphql.IsTypeOfParams{Value: p.Value, Context: p.Context}) {
				return t
			}
		}
		return nil
	}
}

func typenameField(name string) *field {
	return &field{
		def:     &ast.FieldDefinition{Name: "__typename", Type: ast.NonNullNamedType("String", nil)},
		resolve: func(graphql.ResolveParams) (any, error) { return name, nil },
	}
}

// SDL is the schema in the schema definition language, sorted by name.
func (d *Door) SDL() string { return d.sdl }
