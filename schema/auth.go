package schema

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
)

// Auth answers the forward-auth requests of a reverse proxy: 204 with the caller's account in headers, or 401. It
// takes the same tokens and cookies as the query me.
func (a *API) Auth() http.Handler { return a.auth }

func forwardAuth(prepare func(context.Context, *http.Request) context.Context, s Settings) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), s.Limits.Timeout)
		defer cancel()
		ctx = prepare(ctx, r)
		u, err := requestOf(ctx).caller.User(ctx)
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		switch {
		case err != nil:
			s.Log.ErrorContext(ctx, "forward-auth lookup failed",
				slog.String("request", s.RequestID(ctx)), slog.String("error", err.Error()))
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
	})
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
