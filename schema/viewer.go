package schema

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/graphql-go/graphql"

	"accountd/accounts"
)

type callerKey struct{}

// withCaller makes the caller behind an access token available to resolvers.
func withCaller(ctx context.Context, c *accounts.Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

func callerOf(ctx context.Context) *accounts.Caller { return ctx.Value(callerKey{}).(*accounts.Caller) }

// accessToken is the token of a header of two words whose first is one of the prefixes, in any case. With no such
// header it is the cookie's; a header that is well-formed and no good does not fall back to it. "": there is none.
func accessToken(r *http.Request, s Settings, j *jar) string {
	words := strings.Fields(r.Header.Get(s.HeaderName))
	if len(words) != 2 || !slices.ContainsFunc(s.HeaderPrefixes, func(p string) bool { return strings.EqualFold(p, words[0]) }) {
		return j.access()
	}
	return words[1]
}

// withTokenArgument gives every query field an argument whose access token decides who is asking, for that field
// alone.
func withTokenArgument(svc *accounts.Service, fields graphql.Fields, name string) error {
	for _, query := range slices.Sorted(maps.Keys(fields)) {
		f := fields[query]
		if f.Args == nil {
			f.Args = graphql.FieldConfigArgument{}
		}
		if f.Args[name] != nil {
			return fmt.Errorf("tokens.argument_name = %q is an argument of the query %s already: choose another name", name, query)
		}
		f.Args[name] = &graphql.ArgumentConfig{
			Type: graphql.String, Description: "An access token, which counts instead of the request's. One that is no good is nobody's.",
		}
		resolve := f.Resolve
		f.Resolve = func(p graphql.ResolveParams) (any, error) {
			if token, given := p.Args[name].(string); given {
				p.Context = withCaller(p.Context, svc.Caller(token))
			}
			return resolve(p)
		}
	}
	return nil
}
