// Package schema is the GraphQL API over accounts: the table of mutations, the types, who is asking, and what
// becomes of an operation's error. The same rows make the plain schema and the Relay one.
package schema

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"

	"github.com/graphql-go/graphql"

	"accountd/accounts"
	"accountd/internal/graphqlhttp"
)

// Style is one of the two flavours of the API.
type Style int

// Plain takes arguments, Relay one input object with a clientMutationId.
const (
	Plain Style = iota
	Relay
)

// Settings are how the API is served.
type Settings struct {
	Limits        graphqlhttp.Limits
	Introspection bool

	// Accounts are the rules that decide on arguments and fields.
	Accounts accounts.Settings

	// HeaderName is the header that carries the access token, HeaderPrefixes the words that may precede it.
	HeaderName     string
	HeaderPrefixes []string

	// TokenArgument is the argument of query fields that carries the access token; "": none.
	TokenArgument string

	LongRunning bool // refresh tokens are tokens of their own
	Cookies     Cookies

	ErrorList     bool                // errors are a list of {field, message, code} instead of a map
	Users         string              // who may ask for others: staff, verified, authenticated or public
	ExcludeFields []string            // of Accounts.FieldNames
	FilterFields  map[string][]string // lookups of Accounts.FilterFields
	Page          int                 // edges of one page at most

	// ClientAddr is the network address of who is asking. Exempt is asked where a limit would count it, and reports
	// that it stands for nobody in particular.
	ClientAddr func(context.Context) string
	Exempt     func(context.Context) bool
	RequestID  func(context.Context) string
	Log        *slog.Logger
}

// Cookies are how tokens travel in cookies.
type Cookies struct {
	Enabled           bool
	Name, RefreshName string // prefixes included
	Secure            bool
	Path, Domain      string
	SameSite          http.SameSite
	HideTokenFields   bool // token and refreshToken are not in the schema; with Enabled only
}

// API is both schemas over one service.
type API struct {
	doors [2]*graphqlhttp.Door // by Style
	auth  http.Handler
}

// building serialises the building of schemas: graphql-go completes types that all schemas share on their first use.
var building sync.Mutex

// New builds the schemas over svc, which answers the requests. It may be nil where only the SDL is wanted.
func New(svc *accounts.Service, s Settings) (*API, error) {
	building.Lock()
	defer building.Unlock()
	userNode := newUserNode(s)
	rows := shaped(mutations(svc, s, userNode), s)
	queries, err := queries(svc, s, userNode)
	if err != nil {
		return nil, err
	}
	if s.TokenArgument != "" {
		if err := withTokenArgument(svc, queries, s.TokenArgument); err != nil {
			return nil, err
		}
	}
	prepare := func(ctx context.Context, r *http.Request) context.Context {
		ctx = withJar(accounts.WithClient(ctx, s.ClientAddr(ctx), s.Exempt), s.Cookies, r)
		return withCaller(ctx, svc.Caller(accessToken(r, s, jarOf(ctx))))
	}
	a := &API{auth: forwardAuth(prepare, s)}
	for style := range a.doors {
		built, err := build(rows, Style(style), userNode, queries)
		if err != nil {
			return nil, err
		}
		a.doors[style], err = graphqlhttp.New(built, graphqlhttp.Settings{
			Limits:        s.Limits,
			Introspection: s.Introspection,
			Exclusive:     exclusive(rows),
			Context:       prepare,
			Finish:        func(ctx context.Context, h http.Header) { s.finish(ctx, svc, h) },
			RequestID:     s.RequestID,
			Log:           s.Log,
		})
		if err != nil {
			return nil, err
		}
	}
	return a, nil
}

// Handler serves one flavour.
func (a *API) Handler(style Style) http.Handler { return a.doors[style] }

// SDL is one flavour in the schema definition language, sorted by name.
func (a *API) SDL(style Style) string { return a.doors[style].SDL() }

// shaped gives rows what the settings want of all of them alike.
func shaped(rows []mutation, s Settings) []mutation {
	errors := newExpectedErrorType(s.ErrorList)
	for i := range rows {
		rows[i].errors = errors
		if s.Cookies.HideTokenFields {
			rows[i].outputs = slices.DeleteFunc(rows[i].outputs, func(o outputField) bool { return o.name == token.name || o.name == refreshToken.name })
		}
	}
	return rows
}

func build(rows []mutation, style Style, userNode *graphql.Object, queries graphql.Fields) (graphql.Schema, error) {
	fields := graphql.Fields{}
	for _, m := range rows {
		fields[m.name] = m.field(style)
	}
	return graphql.NewSchema(graphql.SchemaConfig{
		Query: graphql.NewObject(graphql.ObjectConfig{
			Name: "Query", Description: "What can be asked without changing anything.", Fields: queries,
		}),
		Mutation: graphql.NewObject(graphql.ObjectConfig{
			Name: "Mutation", Description: "Everything that changes an account or a session.", Fields: fields,
		}),
		Types: []graphql.Type{userNode},
	})
}

// exclusive reports the mutations of which a request may have one: with more, one request could try many passwords
// or tokens.
func exclusive(rows []mutation) func(string) bool {
	names := map[string]bool{}
	for _, m := range rows {
		names[m.name] = !m.repeatable
	}
	return func(name string) bool { return names[name] }
}
