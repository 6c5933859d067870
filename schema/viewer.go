package schema

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"

	"accountd/accounts"
)

type viewerKey struct{}

// withViewer makes the account behind an access token available to resolvers. It is looked up once, and only if one
// asks.
func withViewer(ctx context.Context, svc *accounts.Service, token string) context.Context {
	return context.WithValue(ctx, viewerKey{}, sync.OnceValues(func() (*accounts.User, error) {
		if token == "" {
			return nil, nil
		}
		return svc.Viewer(ctx, token)
	}))
}

// viewer is who is asking, nil for nobody in particular.
func viewer(ctx context.Context) (*accounts.User, error) {
	return ctx.Value(viewerKey{}).(func() (*accounts.User, error))()
}

// accessToken is the token of a header of two words whose first is one of the prefixes, in any case; "" where there
// is none.
func accessToken(r *http.Request, s Settings) string {
	words := strings.Fields(r.Header.Get(s.HeaderName))
	if len(words) != 2 || !slices.ContainsFunc(s.HeaderPrefixes, func(p string) bool { return strings.EqualFold(p, words[0]) }) {
		return ""
	}
	return words[1]
}
