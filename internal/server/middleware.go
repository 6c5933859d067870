package server

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/rs/cors"
)

type requestKey struct{}

// request has what other packages can ask about a request by its context.
type request struct {
	id, client, peer string
	mode             limitMode
	server           *Server // nil: the context is not of a request
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

// methods are those that the log names: a client may send any word.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodOptions,
}

// prepare is the outermost handler. It sets the request id and the headers of every response, and answers a panic with
// an internal server error.
func (s *Server) prepare(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		log := s.settings.Log
		info := request{id: rand.Text(), peer: r.RemoteAddr, server: s}
		info.client, info.mode = client(r, s.settings.TrustedProxies)
		maps.Copy(w.Header(), s.headers)
		w.Header().Set("X-Request-Id", info.id)
		ctx := context.WithValue(r.Context(), requestKey{}, info)
		defer func() {
			switch p := recover(); p {
			case nil:
			case http.ErrAbortHandler:
				panic(p)
			default:
				log.ErrorContext(ctx, "panic", slog.String("request", info.id), slog.Any("value", p),
					slog.String("stack", string(debug.Stack())))
				refuse(w, http.StatusInternalServerError, "internal server error", "internal", info.id)
			}
		}()
		if !log.Enabled(ctx, slog.LevelDebug) {
			next.ServeHTTP(w, r.WithContext(ctx))
			return
		}
		start, seen := time.Now(), &statusWriter{ResponseWriter: w, status: http.StatusOK}
		r = r.WithContext(ctx)
		next.ServeHTTP(seen, r)
		// The route and not the path, which may have the token of a mailed link.
		method := r.Method
		if !slices.Contains(methods, method) {
			method = "another"
		}
		log.DebugContext(ctx, "request", slog.String("request", info.id),
			slog.String("method", method), slog.String("route", r.Pattern),
			slog.Int("status", seen.status), slog.Duration("took", time.Since(start)),
			slog.String("client", info.client))
	})
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
		if r.URL.Path != "/livez" && r.URL.Path != "/readyz" && !slices.Contains(s.settings.Hosts, hostName(r.Host)) {
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

// newCORS lets pages of origins, and of no others, read responses. AllowOriginFunc is set even for an empty list, by
// which cors would mean every origin.
func newCORS(origins []string, tokenHeader string) *cors.Cors {
	return cors.New(cors.Options{
		AllowOriginFunc:  func(origin string) bool { return slices.Contains(origins, origin) },
		AllowedMethods:   []string{http.MethodGet, http.MethodPost},
		AllowedHeaders:   []string{"Accept", "Content-Type", "X-Requested-With", tokenHeader},
		ExposedHeaders:   []string{"X-Request-Id", "Retry-After"},
		AllowCredentials: true,
		MaxAge:           600, // seconds for which a browser may cache the result of a preflight
	})
}

// checkOrigin prevents cross-site request forgery. A POST from a page of an untrusted origin is refused. A GET loses
// its cookies, so it is not authenticated; without Access-Control-Allow-Origin the page cannot read the response
// either.
func (s *Server) checkOrigin(next http.Handler) http.Handler {
	return s.cors.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.origins.Check(r); err != nil {
			refuse(w, http.StatusForbidden, "Pages of other origins may not use this server; "+
				"server.cors_origins names those that may.", "forbidden_origin", "")
			return
		}
		if r.Method != http.MethodPost { // Check allows every GET
			unsafe := *r
			unsafe.Method = http.MethodPost
			if s.origins.Check(&unsafe) != nil {
				r.Header.Del("Cookie")
			}
		}
		next.ServeHTTP(w, r)
	}))
}

// checkForwardedOrigin is checkOrigin for forward auth, where a reverse proxy passes on the headers of a request to an
// app behind it. A request from a page of an untrusted origin loses its cookies, unless X-Forwarded-Method says that
// the method is safe, so that links from other sites work. A request with an Origin loses them anyway: scripts and
// WebSockets send one. A page cannot set X-Forwarded-Method itself.
func (s *Server) checkForwardedOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		original := *r
		original.Method = http.MethodPost // unless the method is known
		if methods := r.Header.Values("X-Forwarded-Method"); len(methods) == 1 && r.Header.Get("Origin") == "" {
			original.Method = methods[0]
		}
		if s.origins.Check(&original) != nil {
			r.Header.Del("Cookie")
		}
		next.ServeHTTP(w, r)
	})
}

// sameOriginOnly refuses requests of pages of all other origins, even those of cors_origins. Links from such pages
// work.
func sameOriginOnly(next http.Handler) http.Handler {
	own := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		unsafe := *r
		unsafe.Method = http.MethodPost
		if own.Check(&unsafe) != nil && r.Header.Get("Sec-Fetch-Mode") != "navigate" {
			refuse(w, http.StatusForbidden, "Pages of other origins may not read this.", "forbidden_origin", "")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refuse answers with an error in the format of GraphQL, because GraphQL clients read it.
func refuse(w http.ResponseWriter, status int, message, code, requestID string) {
	var e struct {
		Message    string `json:"message"`
		Extensions struct {
			Code      string `json:"code"`
			RequestID string `json:"requestId,omitempty"`
		} `json:"extensions"`
	}
	e.Message, e.Extensions.Code, e.Extensions.RequestID = message, code, requestID
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string][]any{"errors": {e}}) // fails only if the client has gone
}

func healthy(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") }
