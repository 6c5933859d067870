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
	Accounts accounts.Settings `toml:"-"`

	// HeaderName is the header that carries the access token, HeaderPrefixes the words that may precede it.
	HeaderName     string   `toml:"tokens.header_name"`
	HeaderPrefixes []string `toml:"tokens.header_prefixes"`

	// AllowArgument gives each query field the argument ArgumentName, which carries the access token.
	AllowArgument bool   `toml:"tokens.allow_argument"`
	ArgumentName  string `toml:"tokens.argument_name"`

	LongRunning bool // tokens.Settings.LongRunning: refresh tokens exist
	Cookies     Cookies

	// ErrorShape is the type of errors in results: "map" from field to problems, or "list" of {field, message, code}.
	ErrorShape string `toml:"graphql.error_shape" one:"map,list"`

	// Users says who may query other accounts.
	Users         string              `toml:"queries.users" one:"staff,verified,authenticated,public"`
	ExcludeFields []string            `toml:"queries.exclude_fields"`          // of Accounts.FieldNames
	FilterFields  map[string][]string `toml:"queries.filter_fields"`           // lookups of Accounts.FilterFields
	Page          int                 `toml:"limits.page" min:"1" max:"10000"` // edges of one page at most

	// ClientAddr is the network address of who is asking. Exempt is asked where a limit would count it, and reports
	// that it stands for nobody in particular.
	ClientAddr func(context.Context) string
	Exempt     func(context.Context) bool
	RequestID  func(context.Context) string
	Log        *slog.Logger
}

// Cookies are how tokens travel in cookies.
type Cookies struct {
	Enabled     bool   `toml:"tokens.cookies.enabled"`
	Name        string `toml:"tokens.cookies.name"`         // of the access token's, prefix included
	RefreshName string `toml:"tokens.cookies.refresh_name"` // of the refresh token's, prefix included
	Secure      bool
	Path        string `toml:"tokens.cookies.path"`
	Domain      string `toml:"tokens.cookies.domain"` // "": this host only
	SameSite    string `toml:"tokens.cookies.same_site" one:"Lax,Strict,None"`

	// HideTokenFields takes token and refreshToken out of the schema. It needs Enabled.
	HideTokenFields bool `toml:"tokens.cookies.hide_token_fields"`
}

// API is both schemas over one service.
type API struct {
	handlers [2]*graphqlhttp.Handler // by Style
	auth     http.Handler
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
	if s.AllowArgument {
		if err := withTokenArgument(svc, queries, s.ArgumentName); err != nil {
			return nil, err
		}
	}
	prepare := func(ctx context.Context, r *http.Request) context.Context {
		ctx = withJar(accounts.WithClient(ctx, s.ClientAddr(ctx), s.Exempt), s.Cookies, r)
		return withCaller(ctx, svc.Caller(accessToken(r, s, jarOf(ctx))))
	}
	a := &API{auth: forwardAuth(prepare, s)}
	for style := range a.handlers {
		built, err := build(rows, Style(style), userNode, queries)
		if err != nil {
			return nil, err
		}
		a.handlers[style], err = graphqlhttp.New(built, graphqlhttp.Settings{
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
func (a *API) Handler(style Style) http.Handler { return a.handlers[style] }

// SDL is one flavour in the schema definition language, sorted by name.
func (a *API) SDL(style Style) string { return a.handlers[style].SDL() }

// shaped gives rows what the settings want of all of them alike.
func shaped(rows []mutation, s Settings) []mutation {
	errors := newExpectedErrorType(s.ErrorShape == "list")
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
