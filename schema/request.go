package schema

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
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

// ServeAuth answers the forward-auth requests of a reverse proxy: 204 with the caller's account in headers, or 401. It
// takes the same tokens and cookies as the query me.
func (a *API) ServeAuth(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), a.settings.Limits.Timeout)
	defer cancel()
	ctx = a.prepare(ctx, r)
	u, err := requestOf(ctx).caller.User(ctx)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	switch {
	case err != nil:
		a.settings.Log.ErrorContext(ctx, "forward-auth lookup failed",
			slog.String("request", a.settings.RequestID(ctx)), slog.String("error", err.Error()))
		http.Error(w, "internal server error", http.StatusInternalServerError)
	case u == nil:
		h.Set("WWW-Authenticate", "Bearer") // RFC 9110, section 15.5.2: a 401 has a challenge
		http.Error(w, "A good access token is needed: log in, or refresh it.", http.StatusUnauthorized)
	default:
		h.Set("X-Accountd-User", strconv.FormatInt(u.ID, 10))
		h.Set("X-Accountd-Username", percentEncode(u.Username))
		h.Set("X-Accountd-Email", percentEncode(u.Email))
		h.Set("X-Accountd-Verified", strconv.FormatBool(u.Verified))
		h.Set("X-Accountd-Staff", strconv.FormatBool(u.IsStaff))
		w.WriteHeader(http.StatusNoContent)
	}
}

// percentEncode encodes all but visible ASCII, and the percent sign (RFC 3986, section 2.1): headers carry nothing else
// safely.
func percentEncode(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if c <= ' ' || c >= 0x7f || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
