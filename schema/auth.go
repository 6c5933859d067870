package schema

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
)

// Auth tells a reverse proxy who is asking (forward authentication): 204 with the account in headers, or 401. The same
// tokens and cookies count as for the query me.
func (a *API) Auth() http.Handler { return a.auth }

func forwardAuth(prepare func(context.Context, *http.Request) context.Context, s Settings) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), s.Limits.Timeout)
		defer cancel()
		ctx = prepare(ctx, r)
		u, err := callerOf(ctx).User(ctx)
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		switch {
		case err != nil:
			s.Log.ErrorContext(ctx, "who is asking a proxy", slog.String("request", s.RequestID(ctx)), slog.String("error", err.Error()))
			http.Error(w, "internal server error", http.StatusInternalServerError)
		case u == nil:
			h.Set("WWW-Authenticate", "Bearer") // a 401 has to have a challenge (RFC 9110, section 15.5.2)
			http.Error(w, "A good access token is needed: log in, or refresh it.", http.StatusUnauthorized)
		default:
			h.Set("X-Accountd-User", strconv.FormatInt(u.ID, 10))
			h.Set("X-Accountd-Username", headerText(u.Username))
			h.Set("X-Accountd-Email", headerText(u.Email))
			h.Set("X-Accountd-Verified", strconv.FormatBool(u.Verified))
			h.Set("X-Accountd-Staff", strconv.FormatBool(u.IsStaff))
			w.WriteHeader(http.StatusNoContent)
		}
	})
}

// headerText is a text as percent-encoding writes it (RFC 3986, section 2.1): headers carry visible ASCII safely and
// nothing else, and the sign itself is encoded so that what is decoded is always the text.
func headerText(text string) string {
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
