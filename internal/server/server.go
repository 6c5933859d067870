// Package server serves HTTP: routes, request ids, hosts and origins, security headers, timeouts, the limit of
// connections, and health checks. Its handlers are given to it: it imports no other package of accountd.
//
// It finds the client of a request behind trusted proxies, and decides whether limits per network count that client:
// see [ClientAddr] and [Exempt].
package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
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
	http     *http.Server
	hosts    []string
	https    bool
	proxies  []netip.Prefix
	origins  *http.CrossOriginProtection
	cors     *cors.Cors
	warnings *limitWarnings
	log      *slog.Logger
}

// New returns a server. It fails if PublicURL or one of Origins is invalid.
func New(s Settings) (*Server, error) {
	public, err := url.Parse(s.PublicURL)
	if err != nil {
		return nil, err
	}
	srv := &Server{hosts: s.Hosts, https: public.Scheme == "https", proxies: s.TrustedProxies, log: s.Log}
	srv.warnings = &limitWarnings{log: s.Log, now: s.Now, public: s.Public}
	own := public.Scheme + "://" + public.Host
	if srv.origins, err = originProtection(append([]string{own}, s.Origins...)); err != nil {
		return nil, err
	}
	srv.cors = newCORS(s.Origins, s.TokenHeader)
	mux := http.NewServeMux()
	mux.Handle("/graphql", srv.checkOrigin(s.Plain))
	mux.Handle("/relay", srv.checkOrigin(s.Relay))
	mux.Handle("GET /auth", srv.checkForwardedOrigin(s.Auth))
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
	err := s.http.Shutdown(ctx)
	if err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}
