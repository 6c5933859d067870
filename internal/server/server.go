// Package server is HTTP around the API: routes, request ids, which hosts and origins are served, headers, timeouts
// and health. It is given its handlers and knows none of our packages.
package server

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/rs/cors"
)

// Settings are what is served, and for whom.
type Settings struct {
	Plain, Relay http.Handler
	Page         http.Handler // at / and below /graphiql/; nil: none

	// PageByProxy serves Page through proxies as well: somebody has asked for it.
	PageByProxy bool

	Mail http.Handler // at /dev/mail and below /dev/, not through proxies and not for pages of other origins; nil: none

	JWKS http.Handler // at /.well-known/jwks.json; nil: none
	Auth http.Handler // at /auth, for reverse proxies that ask who somebody is

	// Hosts are the host names that requests may be for, lower case, without ports and brackets.
	Hosts []string

	// PublicURL is the address that users see. Its origin is one's own, also behind a proxy that changes Host.
	PublicURL string

	// Origins are those whose pages may use the API as well, cookies included, as browsers write them.
	Origins []string `toml:"server.cors_origins"`

	// TokenHeader is the header that carries access tokens, which such pages may send.
	TokenHeader string

	// TrustedProxies are the peers whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix

	// Public says that users on other machines are served, by a reverse proxy or without.
	Public bool

	// Connections is how many may be open at once.
	Connections int `toml:"limits.connections" min:"10" max:"1000000"`

	// Ready says why requests cannot be served well, nil when they can.
	Ready func(context.Context) error

	Now func() time.Time
	Log *slog.Logger
}

// Server is an HTTP server that has not begun yet.
type Server struct {
	http     *http.Server
	hosts    []string
	https    bool
	proxies  []netip.Prefix
	own      *http.CrossOriginProtection
	cors     *cors.Cors
	warnings *limitWarnings
	log      *slog.Logger
}

// New returns a server for s. It fails when PublicURL is none.
func New(s Settings) (*Server, error) {
	public, err := url.Parse(s.PublicURL)
	if err != nil {
		return nil, err
	}
	srv := &Server{hosts: s.Hosts, https: public.Scheme == "https", proxies: s.TrustedProxies, log: s.Log}
	srv.warnings = &limitWarnings{log: s.Log, now: s.Now, public: s.Public}
	if srv.own, err = protection(append([]string{public.Scheme + "://" + public.Host}, s.Origins...)); err != nil {
		return nil, err
	}
	srv.cors = sharing(s.Origins, s.TokenHeader)
	mux := http.NewServeMux()
	mux.Handle("/graphql", srv.ourPages(s.Plain))
	mux.Handle("/relay", srv.ourPages(s.Relay))
	mux.Handle("GET /auth", srv.forwarded(s.Auth))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { health(w, nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		err := s.Ready(r.Context())
		if err != nil {
			s.Log.WarnContext(r.Context(), "not ready", slog.String("reason", err.Error()))
		}
		health(w, err)
	})
	if page := s.Page; page != nil {
		if !s.PageByProxy {
			page = onlyDirect(page, "Set graphql.graphiql = true to serve GraphiQL to proxies, too.")
		}
		mux.Handle("/{$}", page)
		mux.Handle("/graphiql/", page)
	}
	if s.Mail != nil {
		mux.Handle("/dev/", onlyOurs(onlyDirect(s.Mail, "Ask the server itself.")))
	}
	if s.JWKS != nil {
		mux.Handle("GET /.well-known/jwks.json", s.JWKS)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "There is nothing here. The API is at /graphql and /relay.", http.StatusNotFound)
	})
	srv.http = &http.Server{
		Handler:           srv.outer(srv.knownHost(mux)),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      60 * time.Second, // more than a request may take, its wait for a hash included
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16<<10 - 4096, // net/http adds 4096 for its own buffer
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn),
		ConnState:         newConnections(s.Connections).changed,

		DisableGeneralOptionsHandler: true, // which would answer without our headers
	}
	return srv, nil
}

// Serve answers requests on l until Shutdown, and returns nil then.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown stops listening and waits for the requests that are being answered, until ctx ends; what is left then is
// cut off and an error returned.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}

type requestKey struct{}

// request is what the outermost handler finds out about one.
type request struct {
	id, client, peer string
	standing         standing
	warnings         *limitWarnings
}

// RequestID is the name of the request that ctx belongs to: the X-Request-Id of its answer.
func RequestID(ctx context.Context) string { return from(ctx).id }

// ClientAddr is the network address that the request of ctx came from: of IPv6 the first 64 bits, which is what one
// customer of a provider has. It is the peer's, or behind trusted proxies what they say.
func ClientAddr(ctx context.Context) string { return from(ctx).client }

func from(ctx context.Context) request {
	r, _ := ctx.Value(requestKey{}).(request)
	return r
}

// Headers of every answer, shared by all: slices that are full, so that adding to one copies it.
var (
	noSniff    = []string{"nosniff"}
	deny       = []string{"DENY"}
	noReferrer = []string{"no-referrer"}
	nothing    = []string{"default-src 'none'; frame-ancestors 'none'"}
	noStore    = []string{"no-store"}
	oneYear    = []string{"max-age=31536000"}
)

// outer names the request, sets the headers of every answer, and keeps a panic from being more than one failed request.
func (s *Server) outer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info := request{id: rand.Text(), peer: r.RemoteAddr, warnings: s.warnings}
		info.client, info.standing = client(r, s.proxies)
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
			s.log.ErrorContext(ctx, "panic", slog.String("request", info.id), slog.Any("value", p), slog.String("stack", string(debug.Stack())))
			refuse(w, http.StatusInternalServerError, "internal server error", "internal", info.id)
		}()
		if !s.log.Enabled(ctx, slog.LevelDebug) {
			next.ServeHTTP(w, r.WithContext(ctx))
			return
		}
		start, seen := time.Now(), &statusWriter{ResponseWriter: w, status: http.StatusOK}
		r = r.WithContext(ctx)
		next.ServeHTTP(seen, r)
		// The route and not the path: that may be one of a mailed link, with the token in it.
		s.log.DebugContext(ctx, "request", slog.String("request", info.id), slog.String("method", knownMethod(r.Method)), slog.String("route", r.Pattern),
			slog.Int("status", seen.status), slog.Duration("took", time.Since(start)), slog.String("client", info.client))
	})
}

// knownMethod is a method as the log has it: a client may send any word as one.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	default:
		return "another"
	}
}

// statusWriter remembers the status, for the log.
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

// knownHost refuses requests for other names than ours, so that a page whose name was made to point here (DNS
// rebinding) is not taken for one of our own. Health checks come by address and stay.
func (s *Server) knownHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/livez" && r.URL.Path != "/readyz" && !slices.Contains(s.hosts, hostName(r.Host)) {
			refuse(w, http.StatusMisdirectedRequest,
				"This server does not answer for the host of the request; server.public_url and server.allowed_hosts name those that it does.", "unknown_host", "")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostName is the name in a Host header, lower case, without port and brackets.
func hostName(host string) string {
	if name, port, err := net.SplitHostPort(host); err == nil && port != "" {
		host = name
	} else if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]")
	}
	return strings.ToLower(host)
}

// refuse answers as GraphQL errors look, because it is GraphQL clients that read it.
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
	_ = json.NewEncoder(w).Encode(answer) // the client has gone: nobody is left to tell
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
