package config

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// validateWeb checks headers, proxies, origins and cookies.
func (l *loader) validateWeb() {
	c := l.config
	proxies, origins, s := c.Server.TrustedProxies, c.HTTP.Origins, c.Schema
	l.require(isToken(s.HeaderName), "tokens.header_name", "is not the name of a header",
		`use a name such as "Authorization"`)
	l.require(!reservedHeader(s.HeaderName), "tokens.header_name", "has another meaning in HTTP",
		`use "Authorization" or a name of your own`)
	notToken := func(word string) bool { return !isToken(word) }
	l.require(len(s.HeaderPrefixes) > 0 && !slices.ContainsFunc(s.HeaderPrefixes, notToken),
		"tokens.header_prefixes", "is not a list of words",
		`use at least one word without spaces, such as ["JWT", "Bearer"]`)

	l.require(len(c.TrustedProxies()) == len(proxies),
		"server.trusted_proxies", "has an item that is no address and no network",
		`write them such as ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]`)
	everybody := func(p netip.Prefix) bool { return p.Bits() == 0 }
	l.require(!slices.ContainsFunc(c.TrustedProxies(), everybody),
		"server.trusted_proxies", "trusts everybody, and then nobody is a client",
		"name the proxies, or the network that they are in")
	l.require(!slices.ContainsFunc(origins, notOrigin),
		"server.cors_origins", "has an item that is no origin as browsers write it",
		"write scheme and host in lower case, and the port unless it is the scheme's own, "+
			`such as ["https://app.example.com"]; no path, no "*"`)
	l.require(isGraphQLName(s.ArgumentName), "tokens.argument_name", "is not the name of an argument",
		`use letters, digits and "_", not a digit first and not "__", such as "token"`)
	l.validateCookies()
}

func (l *loader) validateCookies() {
	c, k := l.config, l.config.Schema.Cookies
	for _, cookie := range []struct{ key, name string }{
		{"tokens.cookies.name", k.Name},
		{"tokens.cookies.refresh_name", k.RefreshName},
	} {
		l.require(isToken(cookie.name), cookie.key, "is not the name of a cookie",
			`use letters, digits, "-" and "_", such as "JWT"`)
		l.require(!strings.HasPrefix(cookie.name, "__"), cookie.key, "begins with what browsers give a meaning",
			"leave it out: __Host- is put in front where it is possible")
	}
	l.require(k.Name != k.RefreshName, "tokens.cookies.refresh_name", "is the name of the other cookie as well",
		"name them differently", "tokens.cookies.name")
	notInPath := func(r rune) bool { return r <= ' ' || r == ';' || r >= 0x7f }
	l.require(strings.HasPrefix(k.Path, "/") && !strings.ContainsFunc(k.Path, notInPath),
		"tokens.cookies.path", "is not the path of a URL", `begin it with "/"; "/" is everything`)
	if !k.Enabled {
		l.require(!k.HideTokenFields, "tokens.cookies.hide_token_fields",
			"leaves no way to get a token while tokens.cookies.enabled is false",
			"set tokens.cookies.enabled = true, or this to false", "tokens.cookies.enabled")
		return
	}
	public, err := url.Parse(c.PublicURL())
	if err != nil {
		return // reported for server.public_url
	}
	host := strings.ToLower(public.Hostname())
	l.require(k.Domain == "" || isParent(k.Domain, host), "tokens.cookies.domain",
		"is neither the host of server.public_url, "+quote(host)+", nor above it",
		"leave it empty, or write the domain that both share, without a dot in front, such as \"example.com\"",
		"server.public_url")
	l.require(c.Server.SecureCookies != On || public.Scheme == "https" || isLoopback(host), "tokens.cookies.secure",
		"makes browsers drop the cookies, because server.public_url, "+quote(c.PublicURL())+", is not https",
		`serve https, or set it to "auto"`, "server.public_url")
	l.require(k.SameSite != "None" || c.secureCookies(), "tokens.cookies.same_site",
		"is refused by browsers for cookies that are not Secure",
		`set tokens.cookies.secure = true and serve https, or use "Lax"`, "tokens.cookies.secure", "server.public_url")
}

// webWarnings warns of cookies and origins without https.
func (c *Config) webWarnings() (w warnings) {
	w.when(c.Schema.Cookies.Enabled && !c.secureCookies() && !c.Loopback(),
		"tokens.cookies are not Secure: others on the network path can read and set them")
	for _, origin := range c.HTTP.Origins {
		u, err := url.Parse(origin)
		w.when(err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()), "server.cors_origins has "+origin+
			", which is not https: others on the network path can act as any of its users")
	}
	return w
}
