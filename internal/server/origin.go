package server

import (
	"net/http"
	"slices"

	"github.com/rs/cors"
)

// preflightAge is how long a browser may remember what a preflight said, in seconds.
const preflightAge = 600

// protection knows the origins whose pages may change things.
func protection(origins []string) (*http.CrossOriginProtection, error) {
	p := http.NewCrossOriginProtection()
	for _, origin := range origins {
		if err := p.AddTrustedOrigin(origin); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// sharing lets pages of origins, and of no others, read answers. The function is set even where there are none: by an
// empty list, cors means everybody.
func sharing(origins []string, tokenHeader string) *cors.Cors {
	return cors.New(cors.Options{
		AllowOriginFunc:  func(origin string) bool { return slices.Contains(origins, origin) },
		AllowedMethods:   []string{http.MethodGet, http.MethodPost},
		AllowedHeaders:   []string{"Accept", "Content-Type", "X-Requested-With", tokenHeader},
		ExposedHeaders:   []string{"X-Request-Id", "Retry-After"},
		AllowCredentials: true,
		MaxAge:           preflightAge,
	})
}

// ourPages keeps pages of other origins from using the API through a browser (OWASP: Cross-Site Request Forgery): what
// they post is refused, and what they only ask has no cookies, so nobody is asking. Without an Access-Control-Allow-Origin
// they cannot read the answer anyway.
func (s *Server) ourPages(next http.Handler) http.Handler {
	return s.cors.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.own.Check(r); err != nil {
			refuse(w, http.StatusForbidden, "Pages of other origins may not use this server; server.cors_origins names those that may.", "forbidden_origin", "")
			return
		}
		if r.Method != http.MethodPost { // Check lets a GET through, whoever made the browser send it
			unsafe := *r
			unsafe.Method = http.MethodPost
			if s.own.Check(&unsafe) != nil {
				r.Header.Del("Cookie")
			}
		}
		next.ServeHTTP(w, r)
	}))
}

// forwarded is for what a reverse proxy asks on behalf of a request to something behind it, whose headers it passes on.
// The cookies of a page of another origin do not count for what may change something there. They do where
// X-Forwarded-Method says that it was only to be read, so that links from elsewhere work; but not with an Origin, as scripts
// and WebSockets have it. Such a page cannot set X-Forwarded-Method itself.
func (s *Server) forwarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		original := *r
		original.Method = http.MethodPost // unless it is known to be safe
		if methods := r.Header.Values("X-Forwarded-Method"); len(methods) == 1 && r.Header.Get("Origin") == "" {
			original.Method = methods[0]
		}
		if s.own.Check(&original) != nil {
			r.Header.Del("Cookie")
		}
		next.ServeHTTP(w, r)
	})
}

// onlyOurs keeps pages of other origins, those of cors_origins too, from asking for what next has, but for following a
// link to it.
func onlyOurs(next http.Handler) http.Handler {
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
