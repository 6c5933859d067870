package config

import (
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Loopback reports whether no setting names another machine. The pages for developers are served only then.
func (c *Config) Loopback() bool { return len(c.PublicSettings()) == 0 }

// PublicSettings returns the keys of settings that are for users on other machines: those that name another host than
// this machine, and server.trusted_proxies. An ephemeral server has none: its address and data are for a test, and what
// it takes from config.toml, such as email.from, belongs to the app that is tested.
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
	listen, _ := listenHost(c.Server.Listen) // "" is every address, and not loopback
	add("server.listen", listen)
	add("server.public_url", hostsOf(c.Server.PublicURL)...)
	add("server.allowed_hosts", c.Server.AllowedHosts...)
	if len(c.Server.TrustedProxies) > 0 {
		keys = append(keys, "server.trusted_proxies")
	}
	add("server.cors_origins", hostsOf(c.HTTP.Origins...)...)
	add("tokens.issuer", hostsOf(c.Tokens.Issuer)...)
	add("tokens.audience", hostsOf(c.Tokens.Audience)...)
	if from, err := mail.ParseAddress(c.Email.From); err == nil {
		add("email.from", strings.Trim(from.Address[strings.LastIndexByte(from.Address, '@')+1:], "[]"))
	}
	add("email.link_base", hostsOf(c.Email.LinkBase)...)
	if c.SMTP.Host != "" {
		add("email.smtp.host", c.SMTP.Host)
	}
	return keys
}

// hostsOf returns the hosts of the URLs, and none for texts without "://": an issuer such as com.example.app is not a
// host. The host of a scheme other than http and https is "", which does not count as this machine: the localhost of
// capacitor://localhost is a phone.
func hostsOf(texts ...string) []string {
	var hosts []string
	for _, text := range texts {
		if !strings.Contains(text, "://") {
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

// isLoopback reports whether host is a loopback address, localhost, or a name below it (RFC 6761, section 6.3). Other
// names, such as app.test and host.docker.internal, may resolve to other machines.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || ip != nil && ip.IsLoopback()
}

// ReachProblem returns a contradiction between the settings by which users on other machines reach the server, with
// key, message and remedy. It is nil without one.
func (c *Config) ReachProblem() *Problem {
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
			return nil // a container in development has to listen on 0.0.0.0
		}
		return &Problem{
			Key:     "server.public_url",
			Message: message + ", while other settings are for users elsewhere (" + strings.Join(public, ", ") + ")",
			Remedy: `set it to the address that users see, such as "https://accounts.example.com"; for development, ` +
				`leave those settings out: they turn off /dev/mail, and GraphiQL unless graphql.graphiql is true`,
		}
	}
	address, loopback := "127.0.0.1", netip.MustParsePrefix("127.0.0.0/8")
	listen, _ := listenHost(c.Server.Listen)
	if strings.Contains(listen, ":") {
		address, loopback = "::1", netip.MustParsePrefix("::1/128")
	}
	if !isLoopback(listen) || slices.ContainsFunc(c.TrustedProxies(), loopback.Overlaps) {
		return nil
	}
	return &Problem{
		Key: "server.trusted_proxies", Message: "does not have " + address + ", where every request comes from: " +
			"limits per network may not hold, and cannot tell users apart",
		Remedy: "set server.trusted_proxies = " + render(append(slices.Clone(c.Server.TrustedProxies), address)) +
			", and let the reverse proxy, or your back end, send X-Forwarded-For",
	}
}

// reachWarnings returns ReachProblem as a sentence.
func (c *Config) reachWarnings() []string {
	if p := c.ReachProblem(); p != nil {
		return []string{p.Key + " " + p.Message + ": " + p.Remedy}
	}
	return nil
}
