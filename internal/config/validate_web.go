package config

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"accountd/internal/pattern"
)

// validateWeb checks what browsers and proxies are told: origins, cookies, addresses.
func (l *loader) validateWeb() {
	c := l.config
	l.require(!slices.ContainsFunc(c.Server.TrustedProxies, func(text string) bool { _, ok := parseNetwork(text); return !ok }),
		"server.trusted_proxies", "has an item that is no address and no network", `write them such as ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]`)
	l.require(!slices.ContainsFunc(c.Server.TrustedProxies, func(text string) bool { p, ok := parseNetwork(text); return ok && p.Bits() == 0 }),
		"server.trusted_proxies", "trusts everybody, and then nobody is a client", "name the proxies, or the network that they are in")
	l.require(!slices.ContainsFunc(c.HTTP.Origins, notOrigin), "server.cors_origins", "has an item that is no origin as browsers write it",
		`write scheme and host in lower case, and the port unless it is the scheme's own, such as ["https://app.example.com"]; no path, no "*"`)
	l.require(isGraphQLName(c.Schema.ArgumentName), "tokens.argument_name", "is not the name of an argument",
		`use letters, digits and "_", not a digit first and not "__", such as "token"`)
	l.validateCookies()
}

func (l *loader) validateCookies() {
	k := l.config.Schema.Cookies
	for _, cookie := range []struct{ key, name string }{{"tokens.cookies.name", k.Name}, {"tokens.cookies.refresh_name", k.RefreshName}} {
		l.require(isToken(cookie.name), cookie.key, "is not the name of a cookie", `use letters, digits, "-" and "_", such as "JWT"`)
		l.require(!strings.HasPrefix(cookie.name, "__"), cookie.key, "begins with what browsers give a meaning",
			"leave it out: __Host- is put in front where it is possible")
	}
	l.require(k.Name != k.RefreshName, "tokens.cookies.refresh_name", "is the name of the other cookie as well", "name them differently", "tokens.cookies.name")
	l.require(strings.HasPrefix(k.Path, "/") && !strings.ContainsFunc(k.Path, func(r rune) bool { return r <= ' ' || r == ';' || r >= 0x7f }),
		"tokens.cookies.path", "is not the path of a URL", `begin it with "/"; "/" is everything`)
	if !k.Enabled {
		l.require(!k.HideTokenFields, "tokens.cookies.hide_token_fields", "leaves no way to get a token while tokens.cookies.enabled is false",
			"set tokens.cookies.enabled = true, or this to false", "tokens.cookies.enabled")
		return
	}
	public, err := url.Parse(l.config.PublicURL())
	if err != nil {
		return // server.public_url has a problem
	}
	host := strings.ToLower(public.Hostname())
	l.require(k.Domain == "" || isParent(k.Domain, host), "tokens.cookies.domain", "is neither the host of server.public_url, "+quote(host)+", nor above it",
		`leave it empty, or write the domain that both share, without a dot in front, such as "example.com"`, "server.public_url")
	l.require(l.config.Server.SecureCookies != On || public.Scheme == "https" || isLoopback(host), "tokens.cookies.secure",
		"makes browsers drop the cookies, because server.public_url, "+quote(l.config.PublicURL())+", is not https",
		`serve https, or set it to "auto"`, "server.public_url")
	l.require(k.SameSite != "None" || l.config.secureCookies(), "tokens.cookies.same_site", "is refused by browsers for cookies that are not Secure",
		`set tokens.cookies.secure = true and serve https, or use "Lax"`, "tokens.cookies.secure", "server.public_url")
}

// parseNetwork reads an address as the network that has only that.
func parseNetwork(text string) (netip.Prefix, bool) {
	addr, err := netip.ParseAddr(text)
	if err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), addr.Zone() == "" && !addr.Is4In6()
	}
	prefix, err := netip.ParsePrefix(text)
	return prefix.Masked(), err == nil && !prefix.Addr().Is4In6()
}

// notOrigin compares with what a browser would write: an item with a slash at the end, or with a port that is the
// scheme's own, would never match.
func notOrigin(text string) bool {
	u, err := url.Parse(text)
	return err != nil || u.Scheme == "" || u.Scheme+"://"+u.Host != text || text != strings.ToLower(text) || notHostName(u.Hostname()) ||
		strings.HasSuffix(u.Host, ":") || u.Scheme == "http" && u.Port() == "80" || u.Scheme == "https" && u.Port() == "443"
}

var graphQLName = pattern.Lazy(`^[A-Za-z_][A-Za-z0-9_]*$`)

// isGraphQLName takes the names that a schema may have; the others are GraphQL's own.
func isGraphQLName(name string) bool {
	return graphQLName().MatchString(name) && !strings.HasPrefix(name, "__")
}

// isParent reports whether cookies of host may be for domain (RFC 6265, section 5.1.3). Browsers take none for an address
// or a top-level domain.
func isParent(domain, host string) bool {
	domain = strings.ToLower(domain)
	_, err := netip.ParseAddr(host)
	return err != nil && strings.Contains(domain, ".") && !notHostName(domain) && (host == domain || strings.HasSuffix(host, "."+domain))
}

// webWarnings are about what is safe to set and hardly meant.
func (c *Config) webWarnings() []string {
	var warnings []string
	if c.Schema.Cookies.Enabled && !c.secureCookies() && !c.Loopback() {
		warnings = append(warnings, "tokens.cookies are not Secure: whoever is on the way can read and set them")
	}
	for _, origin := range c.HTTP.Origins {
		if u, err := url.Parse(origin); err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
			warnings = append(warnings, "server.cors_origins has "+origin+", which is not https: whoever is on the way can act as any of its users")
		}
	}
	return warnings
}
