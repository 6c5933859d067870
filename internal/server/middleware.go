package server

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

type requestKey struct{}

// request has what other packages can ask about a request by its context.
type request struct {
	id, client, peer string
	mode             limitMode
	warnings         *limitWarnings
}

// RequestID returns the X-Request-Id of the response to the request of ctx.
func RequestID(ctx context.Context) string { return requestOf(ctx).id }

// ClientAddr returns the network address of the client of ctx's request: the peer, or the client that trusted proxies
// name. Of IPv6 it is the network of the first 64 bits, which a provider assigns to one customer.
func ClientAddr(ctx context.Context) string { return requestOf(ctx).client }

func requestOf(ctx context.Context) request {
	r, _ := ctx.Value(requestKey{}).(request)
	return r
}

// The values of headers that every response has. The slices are shared: they have no spare capacity, so append copies
// them.
var (
	noSniff    = []string{"nosniff"}
	deny       = []string{"DENY"}
	noReferrer = []string{"no-referrer"}
	nothing    = []string{"default-src 'none'; frame-ancestors 'none'"}
	noStore    = []string{"no-store"}
	oneYear    = []string{"max-age=31536000"}
)

// prepare is the outermost handler. It sets the request id and the headers of every response, and answers a panic with
// an internal server error.
func (s *Server) prepare(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info := request{id: rand.Text(), peer: r.RemoteAddr, warnings: s.warnings}
		info.client, info.mode = client(r, s.proxies)
		h := w.Header()
		h.Set("X-Request-Id", info.id)
		h["X-Content-Type-Options"] = noSniff
		h["X-Frame-Options"] = deny
		h["Referrer-Policy"] = noReferrer
		h["Content-Security-Policy"] = nothing
		h["Cache-Control"] = noStore
		if s.https {
			h["Strict-Transport-Security"] = oneYear
		}
		ctx := context.WithValue(r.Context(), requestKey{}, info)
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(p)
			}
			s.log.ErrorContext(ctx, "panic", slog.String("request", info.id), slog.Any("value", p),
				slog.String("stack", string(debug.Stack())))
			refuse(w, http.StatusInternalServerError, "internal server error", "internal", info.id)
		}()
		if !s.log.Enabled(ctx, slog.LevelDebug) {
			next.ServeHTTP(w, r.WithContext(ctx))
			return
		}
		start, seen := time.Now(), &statusWriter{ResponseWriter: w, status: http.StatusOK}
		r = r.WithContext(ctx)
		next.ServeHTTP(seen, r)
		// The route and not the path, which may have the token of a mailed link.
		s.log.DebugContext(ctx, "request", slog.String("request", info.id),
			slog.String("method", knownMethod(r.Method)), slog.String("route", r.Pattern),
			slog.Int("status", seen.status), slog.Duration("took", time.Since(start)),
			slog.String("client", info.client))
	})
}

// knownMethod returns a method for the log: a client may send any word.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions:
		return method
	default:
		return "another"
	}
}

// statusWriter records the status for the log.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// checkHost refuses requests for other host names. It prevents DNS rebinding, by which a page of a foreign host name
// would count as same-origin. Health checks are exempt: they use addresses.
func (s *Server) checkHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/livez" && r.URL.Path != "/readyz" && !slices.Contains(s.hosts, hostName(r.Host)) {
			refuse(w, http.StatusMisdirectedRequest, "This server does not answer for the host of the request; "+
				"server.public_url and server.allowed_hosts name those that it does.", "unknown_host", "")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostName returns the name in a Host header in lower case, without port and brackets.
func hostName(host string) string {
	if name, port, err := net.SplitHostPort(host); err == nil && port != "" {
		host = name
	} else if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]")
	}
	return strings.ToLower(host)
}

// refuse answers with an error in the format of GraphQL, because GraphQL clients read it.
func refuse(w http.ResponseWriter, status int, message, code, requestID string) {
	type extensions struct {
		Code      string `json:"code"`
		RequestID string `json:"requestId,omitempty"`
	}
	type gqlError struct {
		Message    string     `json:"message"`
		Extensions extensions `json:"extensions"`
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	answer := map[string][]gqlError{"errors": {{message, extensions{code, requestID}}}}
	_ = json.NewEncoder(w).Encode(answer) // fails only if the client has gone
}

func health(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte("not ready\n"))
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}
