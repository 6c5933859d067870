package config

import (
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Loopback reports whether only this machine is served, by every setting. The pages for developers depend on it.
func (c *Config) Loopback() bool { return len(c.PublicSettings()) == 0 }

// PublicSettings are the settings that are for users on other machines: those that name a host which is not this
// machine, and server.trusted_proxies, wherever the proxy is. An ephemeral server has none: its address and its
// data are its own, and what it takes from config.toml, such as email.from, is an app's that is being tested.
func (c *Config) PublicSettings() []string {
	if c.ephemeral {
		return nil
	}
	var keys []string
	add := func(key string, hosts ...string) {
		if slices.ContainsFunc(hosts, func(host string) bool { return !isLoopback(host) }) {
			keys = append(keys, key)
		}
	}
	listen, _, _ := splitListen(c.Server.Listen) // "" is every address of this machine
	add("server.listen", listen)
	add("server.public_url", hostsOf(c.Server.PublicURL)...)
	add("server.allowed_hosts", c.Server.AllowedHosts...)
	if len(c.Server.TrustedProxies) > 0 {
		keys = append(keys, "server.trusted_proxies")
	}
	add("server.cors_origins", hostsOf(c.HTTP.Origins...)...)
	if strings.Contains(c.Tokens.Issuer, "://") { // other names, such as com.example.app, need not be a host's
		add("tokens.issuer", hostsOf(c.Tokens.Issuer)...)
	}
	if strings.Contains(c.Tokens.Audience, "://") {
		add("tokens.audience", hostsOf(c.Tokens.Audience)...)
	}
	if from, err := mail.ParseAddress(c.Email.From); err == nil {
		add("email.from", strings.Trim(from.Address[strings.LastIndexByte(from.Address, '@')+1:], "[]"))
	}
	add("email.link_base", hostsOf(c.Email.LinkBase)...)
	if c.SMTP.Host != "" {
		add("email.smtp.host", c.SMTP.Host)
	}
	return keys
}

// hostsOf are the hosts of those URLs that are set; "", which is no host of this machine, of what is no web
// address: the localhost of capacitor://localhost is a phone.
func hostsOf(urls ...string) []string {
	var hosts []string
	for _, text := range urls {
		if text == "" {
			continue
		}
		host := ""
		if u, err := url.Parse(text); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
			host = u.Hostname()
		}
		hosts = append(hosts, host)
	}
	return hosts
}

// isLoopback reports whether host is this machine by what it says itself: a loopback address, localhost, or a name
// below it (RFC 6761, section 6.3). Where other names lead, such as app.test and host.docker.internal, others
// decide.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || ip != nil && ip.IsLoopback()
}

func (c *Config) listensOnLoopback() bool {
	host, _, err := splitListen(c.Server.Listen)
	return err == nil && isLoopback(host)
}

// ReachProblems are contradictions between the settings that say how users on other machines reach the server. Each
// has a key, a message and a remedy.
func (c *Config) ReachProblems() []Problem {
	public := c.PublicSettings()
	if len(public) == 0 {
		return nil
	}
	if u, err := url.Parse(c.PublicURL()); err == nil && isLoopback(u.Hostname()) {
		message := "is on this machine"
		switch {
		case c.Server.PublicURL == "":
			message = "is missing"
		case slices.Equal(public, []string{"server.listen"}):
			return nil // a container in development, which has to listen on 0.0.0.0: that names nobody
		}
		return []Problem{{
			Key:     "server.public_url",
			Message: message + ", while other settings are for users elsewhere (" + strings.Join(public, ", ") + ")",
			Remedy: `set it to the address that users see, such as "https://accounts.example.com"; for development, ` +
				`leave those settings out: they turn off /dev/mail, and GraphiQL unless graphql.graphiql is true`,
		}}
	}
	address, loopback := "127.0.0.1", netip.MustParsePrefix("127.0.0.0/8")
	if host, _, _ := splitListen(c.Server.Listen); strings.Contains(host, ":") {
		address, loopback = "::1", netip.MustParsePrefix("::1/128")
	}
	trusted := slices.ContainsFunc(c.TrustedProxies(), loopback.Overlaps)
	if !c.listensOnLoopback() || trusted {
		return nil
	}
	return []Problem{{
		Key: "server.trusted_proxies", Message: "does not have " + address + ", where every request comes from: " +
			"limits per network may not hold, and cannot tell users apart",
		Remedy: "set server.trusted_proxies = " + render(append(slices.Clone(c.Server.TrustedProxies), address)) +
			", and let the reverse proxy, or your back end, send X-Forwarded-For",
	}}
}

// reachWarnings are ReachProblems as texts.
func (c *Config) reachWarnings() []string {
	var warnings []string
	for _, p := range c.ReachProblems() {
		warnings = append(warnings, p.Key+" "+p.Message+": "+p.Remedy)
	}
	return warnings
}
