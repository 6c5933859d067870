package graphqlhttp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/graphql-go/graphql"
	goast "github.com/graphql-go/graphql/language/ast"
)

var testLimits = Limits{
	Body: 64 << 10, Query: 16 << 10, Tokens: 1000, Nesting: 20, Fields: 500, Aliases: 20, Depth: 15,
	IntrospectionDepth: 20,
	Fragments:          30, Variables: 50, Directives: 20, Errors: 10, Response: 1 << 20, Timeout: 10 * time.Second,
	Documents: 100,
}

// site is a server of a schema with every kind of type. It records the calls of resolvers.
type site struct {
	*httptest.Server
	handler *Handler
	log     *lockedBuffer

	mu    sync.Mutex
	calls []string // guarded by mu
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *lockedBuffer) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b.Reset()
}

func newSite(tb testing.TB, change ...func(*Settings)) *site {
	tb.Helper()
	s := &site{log: &lockedBuffer{}}
	settings := Settings{
		Limits:        testLimits,
		Introspection: true,
		Exclusive:     map[string]bool{"login": true},
		Context: func(ctx context.Context, r *http.Request) context.Context {
			return context.WithValue(ctx, agentKey{}, r.Header.Get("X-Agent"))
		},
		RequestID: func(context.Context) string { return "req-1" },
		Log:       slog.New(slog.NewTextHandler(s.log, nil)),
	}
	for _, fn := range change {
		fn(&settings)
	}
	handler, err := New(s.schema(tb), settings)
	if err != nil {
		tb.Fatal(err)
	}
	s.handler = handler
	s.Server = httptest.NewServer(handler)
	tb.Cleanup(s.Close)
	return s
}

type agentKey struct{}

// user is the source of User. No field shows its Secret.
type user struct{ Name, Secret string }

func (s *site) called(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, name)
}

func (s *site) takeCalls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

func constant(v any) graphql.FieldResolveFn {
	return func(graphql.ResolveParams) (any, error) { return v, nil }
}

func failing(err error) graphql.FieldResolveFn {
	return func(graphql.ResolveParams) (any, error) { return &user{"bob", "SECRET"}, err }
}

// schema makes a schema whose fields show the arguments that a resolver got.
func (s *site) schema(tb testing.TB) graphql.Schema {
	tb.Helper()
	nonNull := func(t graphql.Type) graphql.Output { return graphql.NewNonNull(t) }
	arg := func(t graphql.Input) *graphql.ArgumentConfig { return &graphql.ArgumentConfig{Type: t} }
	color := graphql.NewEnum(graphql.EnumConfig{Name: "Color", Values: graphql.EnumValueConfigMap{
		"RED": {Value: 1}, "GREEN": {Value: 2, Description: "As grass."},
		"MAUVE": {Value: 3, DeprecationReason: `Ask for "RED".`},
	}})
	filter := graphql.NewInputObject(graphql.InputObjectConfig{Name: "Filter",
		Fields: graphql.InputObjectConfigFieldMap{
			"name": {Type: graphql.NewNonNull(graphql.String)}, "size": {Type: graphql.Int},
			"tags": {Type: graphql.NewList(graphql.String)},
		}})
	anything := graphql.NewScalar(graphql.ScalarConfig{
		Name: "Anything", Description: "Whatever.",
		Serialize: func(v any) any { return v }, ParseValue: func(v any) any { return v },
		ParseLiteral: func(goast.Value) any { panic("graphql-go parses nothing") },
	})
	named := graphql.NewInterface(graphql.InterfaceConfig{Name: "Named",
		Fields: graphql.Fields{"name": {Type: nonNull(graphql.String)}}})
	name := func(p graphql.ResolveParams) (any, error) {
		if u, ok := p.Source.(*user); ok {
			return u.Name, nil
		}
		return nil, fmt.Errorf("a %T is no user", p.Source)
	}
	var userType, petType *graphql.Object
	userType = graphql.NewObject(graphql.ObjectConfig{
		Name: "User", Description: "Somebody.", Interfaces: []*graphql.Interface{named},
		Fields: graphql.FieldsThunk(func() graphql.Fields {
			return graphql.Fields{
				"name": {Type: nonNull(graphql.String), Resolve: name, Description: "What \"\"\" they\nare called."},
				"zip":  {Type: graphql.String, Resolve: constant("z"), DeprecationReason: "Letters are \"out\"."},
				"age":  {Type: graphql.Int, Resolve: constant(7)},
				"friend": {Type: userType, Resolve: func(p graphql.ResolveParams) (any,
					error) {
					return &user{Name: "ann"}, nil
				}},
				"broken": {Type: nonNull(graphql.String), Resolve: failing(errors.New("disk on fire"))},
				"none":   {Type: nonNull(graphql.String), Resolve: constant(nil)},
			}
		}),
	})
	petType = graphql.NewObject(graphql.ObjectConfig{
		Name: "Pet", Interfaces: []*graphql.Interface{named},
		Fields: graphql.Fields{"name": {Type: nonNull(graphql.String), Resolve: constant("rex")},
			"legs": {Type: graphql.Int, Resolve: constant(4)}},
	})
	petType.IsTypeOf = func(graphql.IsTypeOfParams) bool { return false }
	userType.IsTypeOf = petType.IsTypeOf
	echo := func(p graphql.ResolveParams) (any, error) { return p.Args, nil }
	echoOf := func(t graphql.Input) *graphql.Field {
		return &graphql.Field{Type: anything, Resolve: echo, Args: graphql.FieldConfigArgument{"v": arg(t)}}
	}
	query := graphql.NewObject(graphql.ObjectConfig{Name: "Query", Fields: graphql.Fields{
		"me": {Type: userType, Resolve: func(p graphql.ResolveParams) (any, error) {
			s.called("me")
			return &user{"bob", "SECRET"}, nil
		}},
		"agent": {Type: graphql.String, Resolve: func(p graphql.ResolveParams) (any,
			error) {
			return p.Context.Value(agentKey{}), nil
		}},
		"names":    {Type: graphql.NewList(userType), Resolve: constant([]any{&user{Name: "bob"}, nil, "no user"})},
		"strict":   {Type: graphql.NewList(nonNull(graphql.String)), Resolve: constant([]any{"a", nil})},
		"users":    {Type: graphql.NewList(userType), Resolve: constant([]*user{{Name: "bob"}, {Name: "eve"}})},
		"color":    {Type: color, Resolve: constant(2)},
		"badColor": {Type: color, Resolve: constant(9)},
		"badInt":   {Type: graphql.Int, Resolve: constant(int64(1) << 31)},
		"notList":  {Type: graphql.NewList(graphql.Int), Resolve: constant(7)},
		"noUser":   {Type: userType, Resolve: constant((*user)(nil))},
		"empty":    {Type: graphql.NewList(graphql.Int), Resolve: constant([]int(nil))},
		"fails":    {Type: userType, Resolve: failing(errors.New("no such table: users"))},
		"panics": {Type: graphql.String, Resolve: func(graphql.ResolveParams) (any,
			error) {
			panic("assignment to entry in nil map")
		}},
		"refuses": {Type: userType, Resolve: failing(fmt.Errorf("wrapped: %w", &Error{Message: "Not you.",
			Code: "permission_denied"}))},
		"busy": {Type: graphql.String, Resolve: failing(&Error{Message: "Later.", Code: "busy", Status: 503,
			RetryAfter: 1500 * time.Millisecond})},
		"waits": {Type: graphql.String, Resolve: func(p graphql.ResolveParams) (any,
			error) {
			<-p.Context.Done()
			return nil, p.Context.Err()
		}},
		"big":   {Type: graphql.String, Resolve: constant(strings.Repeat("x", 2000))},
		"weird": {Type: graphql.String, Resolve: constant("<a>\u2028\"\\\n😀")},
		"thunk": {Type: graphql.String, Resolve: constant(func() (any, error) { return "late", nil })},
		"str":   echoOf(graphql.String),
		"strs":  echoOf(graphql.NewList(graphql.NewNonNull(graphql.String))),
		"int":   echoOf(graphql.Int),
		"float": echoOf(graphql.Float),
		"bool":  echoOf(graphql.Boolean),
		"id":    echoOf(graphql.ID),
		"paint": echoOf(color),
		"any":   echoOf(anything),
		"find": {Type: anything, Resolve: echo, Description: "Looks.",
			Args: graphql.FieldConfigArgument{"filter": {Type: filter, Description: "What for."}}},
		"need": {Type: anything, Resolve: echo,
			Args: graphql.FieldConfigArgument{"v": arg(graphql.NewNonNull(graphql.String))}},
		"passphrase": {Type: graphql.String, Resolve: constant("p")},
	}})
	does := func(p graphql.ResolveParams) (any, error) {
		s.called(fmt.Sprint(p.Info.FieldName, " ", p.Args["v"]))
		return p.Args["v"], nil
	}
	mutation := graphql.NewObject(graphql.ObjectConfig{Name: "Mutation", Fields: graphql.Fields{
		"login": {Type: graphql.String, Resolve: does, Args: graphql.FieldConfigArgument{"v": arg(graphql.String)}},
		"bump":  {Type: graphql.String, Resolve: does, Args: graphql.FieldConfigArgument{"v": arg(graphql.String)}},
	}})
	schema, err := graphql.NewSchema(graphql.SchemaConfig{Query: query, Mutation: mutation,
		Types: []graphql.Type{userType, petType}})
	if err != nil {
		tb.Fatal(err)
	}
	return schema
}

// post sends a query and its variables, which are JSON, and returns status and body.
func (s *site) post(tb testing.TB, query, variables string) (int, string) {
	tb.Helper()
	body, err := json.Marshal(query)
	if err != nil {
		tb.Fatal(err)
	}
	text := `{"query":` + string(body) + `}`
	if variables != "" {
		text = `{"query":` + string(body) + `,"variables":` + variables + `}`
	}
	return s.send(tb, http.MethodPost, "", text, "Content-Type", "application/json", "Accept",
		"application/graphql-response+json")
}

// send sends a request. headers has names and values in turn.
func (s *site) send(tb testing.TB, method, query, body string, headers ...string) (int, string) {
	tb.Helper()
	resp := s.do(tb, method, query, body, headers...)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSuffix(string(raw), "\n")
}

func (s *site) do(tb testing.TB, method, query, body string, headers ...string) *http.Response {
	tb.Helper()
	req, err := http.NewRequest(method, s.URL+"/?"+query, strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	for pair := range slices.Chunk(headers, 2) {
		req.Header.Add(pair[0], pair[1])
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	return resp
}

// codeOf returns the code of the first error of an answer, "" for none.
func codeOf(tb testing.TB, answer string) string {
	tb.Helper()
	var a struct {
		Errors []struct {
			Message    string
			Extensions struct{ Code string }
		}
	}
	if err := json.Unmarshal([]byte(answer), &a); err != nil {
		tb.Fatalf("got %q, want JSON: %v", answer, err)
	}
	if len(a.Errors) == 0 {
		return ""
	}
	return a.Errors[0].Extensions.Code
}
