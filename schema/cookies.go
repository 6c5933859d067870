package schema

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"time"

	"accountd/accounts"
)

// maxCookie is the longest cookie value looked at, in bytes: no token is longer, and browsers keep none that is.
const maxCookie = 4096

type jarKey struct{}

// jar is what one request and its answer carry in cookies. Resolvers run one after another, so it needs no lock. Without cookie
// mode its maps are nil.
type jar struct {
	settings Cookies
	came     map[string]bool         // by name
	values   map[string]string       // by name; of what came, what can be a token
	set      map[string]*http.Cookie // by name; what was said last counts
	changed  bool                    // a mutation has succeeded
}

// withJar looks at the cookies of a request. In cookie mode only: otherwise none came.
func withJar(ctx context.Context, s Cookies, r *http.Request) context.Context {
	j := &jar{settings: s}
	if s.Enabled {
		j.came, j.values, j.set = map[string]bool{}, map[string]string{}, map[string]*http.Cookie{}
		for _, name := range []string{s.Name, s.RefreshName} {
			cookies := r.CookiesNamed(name)
			j.came[name] = len(cookies) > 0
			// Of two cookies with one name, another host of the domain may have set one: neither is believed.
			if len(cookies) == 1 && len(cookies[0].Value) <= maxCookie {
				j.values[name] = cookies[0].Value
			}
		}
	}
	return context.WithValue(ctx, jarKey{}, j)
}

func jarOf(ctx context.Context) *jar { return ctx.Value(jarKey{}).(*jar) }

// access is the access token that came as a cookie, "" where none did.
func (j *jar) access() string { return j.values[j.settings.Name] }

// arguments fills in the tokens that a mutation was not given.
func (j *jar) arguments(declared []argument, given map[string]any) map[string]any {
	if len(j.values) == 0 {
		return given
	}
	filled := maps.Clone(given)
	for _, a := range declared {
		name, ok := map[string]string{token.name: j.settings.Name, refreshToken.name: j.settings.RefreshName}[a.name]
		if value := j.values[name]; ok && given[a.name] == nil && value != "" {
			filled[a.name] = value
		}
	}
	return filled
}

// succeeded takes over what a mutation gave out: tokens become cookies, whether or not they were selected.
func (j *jar) succeeded(out any) {
	j.changed = true
	s, ok := out.(*accounts.Session)
	if !ok || !j.settings.Enabled || s.Token == "" {
		return
	}
	j.keep(j.settings.Name, s.Token, s.Payload.ExpiresAt-s.Payload.IssuedAt)
	if s.RefreshToken != "" {
		j.keep(j.settings.RefreshName, s.RefreshToken, s.RefreshExpiresIn-s.Payload.IssuedAt)
	}
}

// keep sets a cookie for as long as the token in it is good.
func (j *jar) keep(name, value string, seconds int64) {
	c := j.cookie(name)
	c.Value, c.MaxAge = value, int(max(seconds, 1))
	j.set[name] = c
}

// expire takes a cookie out of the browser, and says whether it came.
func (j *jar) expire(name string) bool {
	if !j.came[name] {
		return false
	}
	c := j.cookie(name)
	c.MaxAge, c.Expires = -1, time.Unix(1, 0) // Expires is for what does not know Max-Age
	j.set[name] = c
	return true
}

// cookie has the attributes that are the same for setting and for expiring: a browser takes cookies that differ in
// path or domain for different ones.
func (j *jar) cookie(name string) *http.Cookie {
	s := j.settings
	sameSite := map[string]http.SameSite{
		"Lax": http.SameSiteLaxMode, "Strict": http.SameSiteStrictMode, "None": http.SameSiteNoneMode,
	}[s.SameSite]
	return &http.Cookie{
		Name: name, Path: s.Path, Domain: s.Domain, Secure: s.Secure, HttpOnly: true, SameSite: sameSite,
	}
}

// finish writes the cookies of the answer. Whatever ended the session of a cookie that came, expires it too.
func (s Settings) finish(ctx context.Context, svc *accounts.Service, h http.Header) {
	j := jarOf(ctx)
	if !j.changed || !s.Cookies.Enabled {
		return
	}
	for name, live := range map[string]func(context.Context, string) (bool, error){
		s.Cookies.Name: svc.LiveAccess, s.Cookies.RefreshName: svc.LiveRefresh,
	} {
		if value := j.values[name]; value != "" && j.set[name] == nil {
			// The time of the request may be over, and with it a logout would be forgotten.
			ok, err := live(context.WithoutCancel(ctx), value)
			if err != nil {
				s.Log.ErrorContext(ctx, "whether a cookie's session goes on", slog.String("request", s.RequestID(ctx)), slog.String("error", err.Error()))
			} else if !ok {
				j.expire(name)
			}
		}
	}
	for _, name := range []string{s.Cookies.Name, s.Cookies.RefreshName} {
		if c := j.set[name]; c != nil {
			h.Add("Set-Cookie", c.String())
		}
	}
}

// deletion is what the two mutations that only forget a cookie give out.
type deletion struct{ deleted bool }

func deleteCookie(name string) func(context.Context, struct{}) (*deletion, error) {
	return func(ctx context.Context, _ struct{}) (*deletion, error) {
		return &deletion{jarOf(ctx).expire(name)}, nil
	}
}
