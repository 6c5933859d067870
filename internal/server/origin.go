package server

import (
	"net/http"
	"slices"

	"github.com/rs/cors"
)

// preflightAge is how long a browser may cache the result of a preflight, in seconds.
const preflightAge = 600

// originProtection returns the check of origins, which trusts the given ones.
func originProtection(origins []string) (*http.CrossOriginProtection, error) {
	p := http.NewCrossOriginProtection()
	for _, origin := range origins {
		if err := p.AddTrustedOrigin(origin); err != nil {
			return nil, err
		}
	}
	return p, nil
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
		MaxAge:           preflightAge,
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
