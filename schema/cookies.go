package schema

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"time"

	"accountd/accounts"
)

// maxCookie is the length of the longest cookie value that may be a token, in bytes. Browsers store no longer one.
const maxCookie = 4096

// cookies are the cookies with tokens of one request and of its answer. Without cookie mode none is received or set.
type cookies struct {
	settings        Cookies
	access, refresh cookie
	changed         bool // a mutation has succeeded
}

type cookie struct {
	name     string
	received bool
	value    string       // received; "" if it cannot be a token
	set      *http.Cookie // of the answer; nil: none
}

func readCookies(s Cookies, r *http.Request) *cookies {
	c := &cookies{settings: s, access: cookie{name: s.Name}, refresh: cookie{name: s.RefreshName}}
	if !s.Enabled {
		return c
	}
	for _, cookie := range []*cookie{&c.access, &c.refresh} {
		all := r.CookiesNamed(cookie.name)
		cookie.received = len(all) > 0
		// Of two cookies of one name another host of the domain may have set one, so neither is trusted.
		if len(all) == 1 && len(all[0].Value) <= maxCookie {
			cookie.value = all[0].Value
		}
	}
	return c
}

// arguments returns args with the tokens of the cookies for the declared arguments that are absent.
func (c *cookies) arguments(declared []argument, args map[string]any) map[string]any {
	if c.access.value == "" && c.refresh.value == "" {
		return args
	}
	args = maps.Clone(args)
	for _, a := range declared {
		value := map[string]string{token.name: c.access.value, refreshToken.name: c.refresh.value}[a.name]
		if args[a.name] == nil && value != "" {
			args[a.name] = value
		}
	}
	return args
}

// succeeded takes the tokens from the result of a mutation, whether or not the request selects them.
func (c *cookies) succeeded(out any) {
	c.changed = true
	s, ok := out.(*accounts.Session)
	if !ok || !c.settings.Enabled || s.Token == "" {
		return
	}
	c.set(&c.access, s.Token, max(1, s.Payload.ExpiresAt-s.Payload.IssuedAt))
	if s.RefreshToken != "" {
		c.set(&c.refresh, s.RefreshToken, max(1, s.RefreshExpiresIn-s.Payload.IssuedAt))
	}
}

// expire removes a cookie from the browser, and reports whether it was received.
func (c *cookies) expire(cookie *cookie) bool {
	if cookie.received {
		c.set(cookie, "", -1)
		cookie.set.Expires = time.Unix(1, 0) // for clients without Max-Age
	}
	return cookie.received
}

// set sets a cookie. Its attributes are always the same, because cookies that differ in path or domain are different
// ones to a browser. maxAge is in seconds.
func (c *cookies) set(cookie *cookie, value string, maxAge int64) {
	s := c.settings
	sameSite := map[string]http.SameSite{
		"Lax": http.SameSiteLaxMode, "Strict": http.SameSiteStrictMode, "None": http.SameSiteNoneMode,
	}[s.SameSite]
	cookie.set = &http.Cookie{
		Name: cookie.name, Value: value, MaxAge: int(maxAge),
		Path: s.Path, Domain: s.Domain, Secure: s.Secure, HttpOnly: true, SameSite: sameSite,
	}
}

// finish writes the cookies of the answer. After a mutation it expires a received cookie whose session has ended.
func (s Settings) finish(ctx context.Context, svc *accounts.Service, h http.Header) {
	c := requestOf(ctx).cookies
	if !c.changed {
		return
	}
	for _, check := range []struct {
		*cookie
		live func(context.Context, string) (bool, error)
	}{{&c.access, svc.LiveAccess}, {&c.refresh, svc.LiveRefresh}} {
		if check.value != "" && check.set == nil {
			// A request that has reached its timeout must not keep the cookie of a logout.
			live, err := check.live(context.WithoutCancel(ctx), check.value)
			if err != nil {
				s.Log.ErrorContext(ctx, "session lookup for a cookie failed",
					slog.String("request", s.RequestID(ctx)), slog.String("error", err.Error()))
			} else if !live {
				c.expire(check.cookie)
			}
		}
		if check.set != nil {
			h.Add("Set-Cookie", check.set.String())
		}
	}
}

func deleteCookie(which func(*cookies) *cookie) func(context.Context, struct{}) (*bool, error) {
	return func(ctx context.Context, _ struct{}) (*bool, error) {
		c := requestOf(ctx).cookies
		return new(c.expire(which(c))), nil
	}
}
