// Package schema is the GraphQL API over package accounts, in the plain and the Relay flavour.
//
// One row of the table in mutations.go is one mutation in both flavours: its name, arguments, guard, result and
// description. The arguments are the fields of the operation's input struct. A guard checks the caller before an
// operation on the caller's own account. The package also reads tokens from headers and cookies, and sets cookies.
// Package graphqlhttp parses and executes.
package schema

import (
	"context"
	"log/slog"
	"net/http"
	"sync"

	"github.com/graphql-go/graphql"

	"accountd/accounts"
	"accountd/internal/graphqlhttp"
)

// Flavour is one of the two flavours of the API.
type Flavour int

// Mutations of Plain take arguments, and those of Relay one input object with a clientMutationId.
const (
	Plain Flavour = iota
	Relay
)

// Settings configure an [API].
type Settings struct {
	Limits        graphqlhttp.Limits
	Introspection bool

	// Accounts has the rules that add and remove arguments and fields.
	Accounts accounts.Settings `toml:"-"`

	// HeaderName is the header with the access token, and HeaderPrefixes are the words that may precede the token.
	HeaderName     string   `toml:"tokens.header_name"`
	HeaderPrefixes []string `toml:"tokens.header_prefixes"`

	// AllowArgument gives each query field the argument ArgumentName, which takes an access token.
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

	// ClientAddr returns the network address of the client. Exempt reports an address that rate limits must not count,
	// because many clients share it.
	ClientAddr func(context.Context) string
	Exempt     func(context.Context) bool
	RequestID  func(context.Context) string
	Log        *slog.Logger
}

// Cookies configure tokens in cookies.
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

// API serves both flavours over one service.
type API struct {
	handlers [2]*graphqlhttp.Handler // by Flavour
	settings Settings
	prepare  func(context.Context, *http.Request) context.Context
}

// building serialises New: graphql-go completes types that all schemas share.
var building sync.Mutex

// New builds both schemas over svc, which may be nil if only the SDL is used. It returns an error for settings that
// would give a field two arguments of one name, and for filters that do not exist.
func New(svc *accounts.Service, s Settings) (*API, error) {
	building.Lock()
	defer building.Unlock()
	userNode := newUserNode(s)
	rows := mutations(svc, s, userNode)
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
		cookies := readCookies(s.Cookies, r)
		req := request{svc.Caller(accessToken(r, s, cookies)), cookies}
		return req.context(accounts.WithClient(ctx, s.ClientAddr(ctx), s.Exempt))
	}
	expectedError := newExpectedErrorType(s.ErrorShape == "list")
	a := &API{settings: s, prepare: prepare}
	for flavour := range a.handlers {
		fields, exclusive := graphql.Fields{}, map[string]bool{}
		for _, m := range rows {
			fields[m.name] = m.field(Flavour(flavour), expectedError)
			exclusive[m.name] = !m.repeatable // a request could try many passwords or tokens
		}
		built, err := graphql.NewSchema(graphql.SchemaConfig{
			Query: graphql.NewObject(graphql.ObjectConfig{
				Name: "Query", Description: "What can be asked without changing anything.", Fields: queries,
			}),
			Mutation: graphql.NewObject(graphql.ObjectConfig{
				Name: "Mutation", Description: "Everything that changes an account or a session.", Fields: fields,
			}),
			Types: []graphql.Type{userNode},
		})
		if err != nil {
			return nil, err
		}
		a.handlers[flavour], err = graphqlhttp.New(built, graphqlhttp.Settings{
			Limits:        s.Limits,
			Introspection: s.Introspection,
			Exclusive:     exclusive,
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
func (a *API) Handler(flavour Flavour) http.Handler { return a.handlers[flavour] }

// SDL returns the schema of one flavour in the schema definition language, sorted by name.
func (a *API) SDL(flavour Flavour) string { return a.handlers[flavour].SDL() }
