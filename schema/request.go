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

type requestKey struct{}

// request is what resolvers know of the HTTP request. It needs no lock, because they run one after another.
type request struct {
	caller  *accounts.Caller
	cookies *cookies
}

func (req request) context(ctx context.Context) context.Context {
	return context.WithValue(ctx, requestKey{}, req)
}

func requestOf(ctx context.Context) request { return ctx.Value(requestKey{}).(request) }

// accessToken returns the access token of a request, "" for none. It is the second word of the header if the first is
// a prefix in any case. Without such a header it is the cookie's. An invalid token of the header does not fall back
// to it.
func accessToken(r *http.Request, s Settings, c *cookies) string {
	words := strings.Fields(r.Header.Get(s.HeaderName))
	isPrefix := func(p string) bool { return strings.EqualFold(p, words[0]) }
	if len(words) != 2 || !slices.ContainsFunc(s.HeaderPrefixes, isPrefix) {
		return c.access.value
	}
	return words[1]
}

// withTokenArgument gives each query field an argument whose access token determines the caller for that field.
func withTokenArgument(svc *accounts.Service, fields graphql.Fields, name string) error {
	for _, query := range slices.Sorted(maps.Keys(fields)) {
		f := fields[query]
		if f.Args == nil {
			f.Args = graphql.FieldConfigArgument{}
		}
		if f.Args[name] != nil {
			return fmt.Errorf("tokens.argument_name = %q is an argument of the query %s already: choose another name",
				name, query)
		}
		f.Args[name] = &graphql.ArgumentConfig{Type: graphql.String,
			Description: "An access token that replaces the one of the request. " +
				"An invalid token makes the field anonymous."}
		resolve := f.Resolve
		f.Resolve = func(p graphql.ResolveParams) (any, error) {
			if token, given := p.Args[name].(string); given {
				p.Context = request{svc.Caller(token), requestOf(p.Context).cookies}.context(p.Context)
			}
			return resolve(p)
		}
	}
	return nil
}
