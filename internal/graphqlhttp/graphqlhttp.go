// Package graphqlhttp serves a schema of graphql-go over HTTP. It limits, parses, validates, coerces and executes
// requests, and answers introspection.
//
// graphql-go gets nothing that a client sent, because a few bytes stall its parser and validator or end the process.
// gqlparser parses and validates instead, and the executor of this package calls the resolvers. Requests and answers
// follow the GraphQL specification of September 2025 and GraphQL over HTTP
// (https://graphql.github.io/graphql-over-http/).
package graphqlhttp

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/graphql-go/graphql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

// Limits bound the cost of one request. Fields, aliases and depth are counted with fragments expanded. The upper
// bound of Fields is low because validating n equal fields takes time in n².
type Limits struct {
	Body               int `toml:"limits.body" min:"256B" max:"16MiB"` // bytes of the HTTP body
	Query              int `toml:"limits.query" min:"64B" max:"1MiB"`  // bytes of the document
	Tokens             int `toml:"limits.tokens" min:"1" max:"100000"` // in the document
	Nesting            int `toml:"limits.nesting" min:"1" max:"500"`   // of brackets in the document
	Fields             int `toml:"limits.fields" min:"1" max:"2000"`
	Aliases            int `toml:"limits.aliases" min:"0" max:"2000"`
	Depth              int `toml:"limits.depth" min:"1" max:"500"`               // of selections
	IntrospectionDepth int `toml:"limits.introspection_depth" min:"1" max:"500"` // inside __schema and __type
	Fragments          int `toml:"limits.fragments" min:"0" max:"1000"`          // definitions
	Variables          int `toml:"limits.variables" min:"0" max:"1000"`          // of one operation
	Directives         int `toml:"limits.directives" min:"0" max:"1000"`         // in the document
	Errors             int `toml:"limits.errors" min:"1" max:"1000"`             // in one response
	// bytes of data in a response
	Response int           `toml:"limits.response" min:"1KiB" max:"64MiB"`
	Timeout  time.Duration `toml:"limits.timeout" min:"100ms" max:"10m"` // of all resolvers together

	// Documents is how many validated documents are kept, in at most 4 KiB of memory each on average.
	Documents int `toml:"limits.documents" min:"1" max:"100000"`
}

// Settings configure a [Handler].
type Settings struct {
	Limits        Limits
	Introspection bool

	// Exclusive are the root fields of mutations of which one request may have only one.
	Exclusive map[string]bool

	// Context makes the context of the resolvers from the context of the request. The values of ctx count, but its
	// cancellation does not: an operation ends whether or not the client waits for it.
	Context func(ctx context.Context, r *http.Request) context.Context

	// Finish adds headers to the answer after the last resolver. Its context is what Context returned. It may be nil.
	Finish func(context.Context, http.Header)

	// RequestID returns the name of the request in the log and in internal errors.
	RequestID func(context.Context) string

	Log *slog.Logger
}

// Handler serves one schema. It is safe for concurrent use.
type Handler struct {
	settings  Settings
	sdl       string
	schema    *ast.Schema
	objects   map[string]*object
	leaves    map[string]leaf // by name of the scalar or enum
	documents *cache
}

var _ http.Handler = (*Handler)(nil)

// object is an object type as the executor uses it.
type object struct {
	name   string
	fields map[string]*field
}

type field struct {
	def     *ast.FieldDefinition
	resolve graphql.FieldResolveFn

	// The type of the value or of the elements of the list.
	leaf   leaf
	object *object // nil for a leaf
}

// New prepares a schema for serving. It returns an error for what the executor does not support: subscriptions, unions,
// fields of an interface's type, default values, and fields without a resolver.
func New(schema graphql.Schema, s Settings) (*Handler, error) {
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
	delete(parsed.Directives, "defer") // declared by gqlparser, and not supported here
	documents, err := newCache(s.Limits.Documents)
	if err != nil {
		return nil, err
	}
	h := &Handler{
		settings: s, sdl: sdl, schema: parsed, documents: documents,
		objects: map[string]*object{}, leaves: map[string]leaf{},
	}
	for name, t := range schema.TypeMap() {
		switch t := t.(type) {
		case *graphql.Scalar:
			h.leaves[name] = scalarLeaf(t)
		case *graphql.Enum:
			h.leaves[name] = enumLeaf(t)
		case *graphql.Object:
			if err := h.addObject(t); err != nil {
				return nil, err
			}
		}
	}
	h.addIntrospection()
	for _, o := range h.objects {
		for _, f := range o.fields {
			name := f.def.Type.Name()
			f.leaf, f.object = h.leaves[name], h.objects[name]
			if f.leaf.serialize == nil && f.object == nil {
				return nil, fmt.Errorf("field %s.%s is a %s: no scalar, enum or object", o.name, f.def.Name, name)
			}
		}
	}
	return h, nil
}

func (h *Handler) addObject(t *graphql.Object) error {
	def := h.schema.Types[t.Name()]
	if def == nil || def.BuiltIn {
		return nil // graphql-go's introspection, which is not used
	}
	o := newObject(t.Name())
	for name, f := range t.Fields() {
		if f.Resolve == nil {
			return fmt.Errorf("field %s.%s has no resolver", t.Name(), name)
		}
		o.fields[name] = &field{def: def.Fields.ForName(name), resolve: f.Resolve}
	}
	h.objects[o.name] = o
	return nil
}

// newObject returns an object whose only field is __typename.
func newObject(name string) *object {
	return &object{name: name, fields: map[string]*field{"__typename": {
		def:     &ast.FieldDefinition{Name: "__typename", Type: ast.NonNullNamedType("String", nil)},
		resolve: func(graphql.ResolveParams) (any, error) { return name, nil },
	}}}
}

// SDL returns the schema in the schema definition language, sorted by name.
func (h *Handler) SDL() string { return h.sdl }

// leaf is a scalar or an enum: its Serialize and ParseValue, nil for a value that is not of the type. parse takes what
// encoding/json decodes, numbers as json.Number, and an enumName.
type leaf struct {
	serialize func(any) any
	parse     func(any) any
}

// enumName is the name of an enum value in a document, where a string is an error.
type enumName string

// scalarLeaf admits to the built-in scalars only values that they need not convert (GraphQL, section 3.5). graphql-go's
// String takes any value and writes a struct as fmt does, and its Int takes "12".
func scalarLeaf(t *graphql.Scalar) leaf {
	switch t.Name() {
	case "String":
		return leaf{only[string], only[string]}
	case "Boolean":
		return leaf{only[bool], only[bool]}
	case "ID":
		return leaf{only[string], func(v any) any {
			if n, isNumber := v.(json.Number); isNumber && strings.Trim(n.String(), "-0123456789") == "" {
				return n.String()
			}
			return only[string](v)
		}}
	case "Int":
		return leaf{
			serialize: func(v any) any {
				if !reflect.ValueOf(v).CanInt() {
					return nil
				}
				return t.Serialize(v)
			},
			parse: func(v any) any {
				n, _ := v.(json.Number)
				f, err := n.Float64() // 1e2 and 1.0 are whole numbers in JSON
				if err != nil || f != math.Trunc(f) {
					return nil
				}
				return t.ParseValue(f)
			},
		}
	case "Float":
		return leaf{only[float64], func(v any) any {
			n, _ := v.(json.Number)
			return t.ParseValue(n.String())
		}}
	default:
		return leaf{t.Serialize, t.ParseValue}
	}
}

// enumLeaf makes graphql-go build the tables of an enum now: the first requests would, and race.
func enumLeaf(t *graphql.Enum) leaf {
	t.Serialize("")
	t.ParseValue("")
	return leaf{t.Serialize, func(v any) any {
		if name, ok := v.(enumName); ok {
			v = string(name)
		}
		return t.ParseValue(v)
	}}
}

// only is v if it is a T, else nil.
func only[T any](v any) any {
	_, ok := v.(T)
	return orNil(v, ok)
}

func orNil[T any](v T, ok bool) any {
	if !ok {
		return nil
	}
	return v
}
