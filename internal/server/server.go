// Package server serves HTTP: routes, request ids, hosts and origins, security headers, timeouts, the limit of
// connections, and health checks. Its handlers are given to it: it imports no other package of accountd.
//
// It finds the client of a request behind trusted proxies, and decides whether limits per network count that client:
// see [ClientAddr] and [Exempt].
package server

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/rs/cors"
)

// Settings say what is served, and to whom.
type Settings struct {
	Plain, Relay http.Handler
	Page         http.Handler // at / and below /graphiql/; nil: none

	// PageByProxy serves Page through proxies, too.
	PageByProxy bool

	Mail http.Handler // at /dev/mail and below /dev/, not to proxies and not to pages of other origins; nil: none

	JWKS http.Handler // at /.well-known/jwks.json; nil: none
	Auth http.Handler // at /auth, for forward auth of reverse proxies

	// Hosts are the host names that requests may have, in lower case, without ports and brackets.
	Hosts []string

	// PublicURL is the address that users see. Its origin is trusted, even behind a proxy that changes Host.
	PublicURL string

	// Origins are other origins whose pages may use the API, cookies included, as browsers write them.
	Origins []string `toml:"server.cors_origins"`

	// TokenHeader is the header of access tokens, which pages of Origins may send.
	TokenHeader string

	// TrustedProxies are the peers whose X-Forwarded-For is used.
	TrustedProxies []netip.Prefix

	// Public says that users on other machines are served, with or without a reverse proxy.
	Public bool

	// Connections is the number of connections that may be open at once.
	Connections int `toml:"limits.connections" min:"10" max:"1000000"`

	// Ready returns the reason why requests cannot be served, nil if they can.
	Ready func(context.Context) error

	Now func() time.Time
	Log *slog.Logger
}

// Server is an HTTP server.
type Server struct {
	settings Settings
	http     *http.Server
	headers  http.Header // of every response; values have no spare capacity, so append copies them
	origins  *http.CrossOriginProtection
	cors     *cors.Cors

	mu     sync.Mutex
	warned [limitModes]time.Time // guarded by mu; when the warning of a mode was logged last
}

// New returns a server. It fails if PublicURL or one of Origins is invalid.
func New(s Settings) (*Server, error) {
	public, err := url.Parse(s.PublicURL)
	if err != nil {
		return nil, err
	}
	srv := &Server{settings: s, headers: http.Header{
		"X-Content-Type-Options":  {"nosniff"},
		"X-Frame-Options":         {"DENY"},
		"Referrer-Policy":         {"no-referrer"},
		"Content-Security-Policy": {"default-src 'none'; frame-ancestors 'none'"},
		"Cache-Control":           {"no-store"},
	}}
	if public.Scheme == "https" {
		srv.headers.Set("Strict-Transport-Security", "max-age=31536000")
	}
	srv.origins, srv.cors = http.NewCrossOriginProtection(), newCORS(s.Origins, s.TokenHeader)
	for _, origin := range append([]string{public.Scheme + "://" + public.Host}, s.Origins...) {
		if err := srv.origins.AddTrustedOrigin(origin); err != nil {
			return nil, err
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/graphql", srv.checkOrigin(s.Plain))
	mux.Handle("/relay", srv.checkOrigin(s.Relay))
	mux.Handle("GET /auth", srv.checkForwardedOrigin(s.Auth))
	mux.HandleFunc("GET /livez", healthy)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := s.Ready(r.Context()); err != nil {
			s.Log.WarnContext(r.Context(), "not ready", slog.String("reason", err.Error()))
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		healthy(w, r)
	})
	if page := s.Page; page != nil {
		if !s.PageByProxy {
			page = localOnly(page, "Set graphql.graphiql = true to serve GraphiQL to proxies, too.")
		}
		mux.Handle("/{$}", page)
		mux.Handle("/graphiql/", page)
	}
	if s.Mail != nil {
		mux.Handle("/dev/", sameOriginOnly(localOnly(s.Mail, "Ask the server itself.")))
	}
	if s.JWKS != nil {
		mux.Handle("GET /.well-known/jwks.json", s.JWKS)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "There is nothing here. The API is at /graphql and /relay.", http.StatusNotFound)
	})
	srv.http = &http.Server{
		Handler:           srv.prepare(srv.checkHost(mux)),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      60 * time.Second, // more than a request with its wait for a hash
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16<<10 - 4096, // net/http adds 4096 for its own buffer
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn),
		ConnState:         newConnections(s.Connections).changed,

		DisableGeneralOptionsHandler: true, // its answers lack our headers
	}
	return srv, nil
}

// Serve answers requests on l until Shutdown is called. Then it returns nil.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown stops listening and waits for running requests. If ctx ends before, it closes their connections and returns
// an error.
func (s *Server) Shutdown(ctx context.Context) error {
	return errors.Join(s.http.Shutdown(ctx), s.http.Close())
}

// connections limits the number of open connections. Beyond the limit, the connection that has waited longest for a
// request is closed, so that clients which send nothing, or an endless header, cannot keep others out. A limit on
// accepting would let them. If every connection has a request, the new one is closed.
type connections struct {
	limit int

	mu      sync.Mutex
	waiting *list.List                 // guarded by mu; of net.Conn without a request, the longest wait first
	open    map[net.Conn]*list.Element // guarded by mu; the element of waiting, nil for one with a request
}

func newConnections(limit int) *connections {
	return &connections{limit: limit, waiting: list.New(), open: map[net.Conn]*list.Element{}}
}

// changed is the ConnState hook. net/http calls a connection active once the header of a request is complete.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	place, known := c.open[conn]
	if place != nil {
		c.waiting.Remove(place)
	}
	delete(c.open, conn)
	switch {
	case state == http.StateNew, known && state == http.StateIdle:
		c.open[conn] = c.waiting.PushBack(conn)
	case known && state == http.StateActive:
		c.open[conn] = nil
	}
	if len(c.open) > c.limit { // there is a first one: only a new connection, which waits, exceeds the limit
		excess := c.waiting.Remove(c.waiting.Front()).(net.Conn)
		delete(c.open, excess)
		_ = excess.Close() // it has no request
	}
}
