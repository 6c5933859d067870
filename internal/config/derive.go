package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// loopbackNames are what a browser on the same machine calls it.
var loopbackNames = []string{"localhost", "127.0.0.1", "::1"}

// Bound tells c the address that the listener got, which differs from server.listen where that asks for port 0.
// A derived PublicURL is right only after it. The host stays as it was written: localhost remains localhost.
func (c *Config) Bound(addr net.Addr) {
	host, _, err := splitListen(c.Server.Listen)
	_, port, addrErr := net.SplitHostPort(addr.String())
	if err == nil && addrErr == nil { // a Unix socket has no port
		c.Server.Listen = net.JoinHostPort(host, port)
	}
}

// PublicURL is the address that users see, without a slash at its end: server.public_url, or the listener where
// that is loopback.
func (c *Config) PublicURL() string {
	if c.Server.PublicURL != "" {
		return strings.TrimRight(c.Server.PublicURL, "/")
	}
	return "http://" + c.Server.Listen
}

// Hosts are the host names that requests may be for, lower case, without ports and brackets.
func (c *Config) Hosts() []string {
	var hosts []string
	for _, host := range c.Server.AllowedHosts {
		hosts = append(hosts, strings.ToLower(host))
	}
	if u, err := url.Parse(c.PublicURL()); err == nil {
		hosts = append(hosts, strings.ToLower(u.Hostname()))
	}
	if c.listensOnLoopback() {
		host, _, _ := splitListen(c.Server.Listen) // its error is listensOnLoopback's false
		hosts = append(append(hosts, loopbackNames...), strings.ToLower(host))
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// TrustedProxies are the networks of server.trusted_proxies.
func (c *Config) TrustedProxies() []netip.Prefix {
	var networks []netip.Prefix
	for _, text := range c.Server.TrustedProxies {
		if network, ok := parseNetwork(text); ok {
			networks = append(networks, network)
		}
	}
	return networks
}

// Introspection reports whether clients may ask for the schema. By "auto" only the two addresses decide: it shows nothing
// that is anybody's, and code generators need it.
func (c *Config) Introspection() bool {
	elsewhere := slices.ContainsFunc(c.PublicSettings(), func(key string) bool {
		return key == "server.listen" || key == "server.public_url"
	})
	return c.Server.Introspection == On || c.Server.Introspection == Auto && !elsewhere
}

// GraphiQL reports whether the page is served.
func (c *Config) GraphiQL() bool {
	return c.Server.GraphiQL == On || c.Server.GraphiQL == Auto && c.Loopback()
}

// DevMail reports whether the spool can be read at /dev/mail. No setting turns it on.
func (c *Config) DevMail() bool { return c.Loopback() }

// PublishesKeys reports whether access tokens are checked by a public key.
func (c *Config) PublishesKeys() bool { return !strings.HasPrefix(c.Tokens.Algorithm, "HS") }

func (c *Config) secureCookies() bool {
	https := strings.HasPrefix(strings.ToLower(c.PublicURL()), "https:")
	return c.Server.SecureCookies == On || c.Server.SecureCookies == Auto && https
}

// DatabaseFile is where the SQLite file is.
func (c *Config) DatabaseFile() string { return filepath.Join(c.Server.DataDir, "accountd.db") }

// BackupsDir is where backups are made.
func (c *Config) BackupsDir() string { return filepath.Join(c.Server.DataDir, "backups") }

// KeysFile is where the key ring is.
func (c *Config) KeysFile() string {
	if c.Server.KeysFile != "" {
		return c.Server.KeysFile
	}
	return filepath.Join(c.Server.DataDir, "keys.json")
}

// SpoolDir is the Maildir that mails are written to.
func (c *Config) SpoolDir() string {
	if c.Email.SpoolDir != "" {
		return c.Email.SpoolDir
	}
	return filepath.Join(c.Server.DataDir, "spool")
}

// Redacted is the settings in force as a file that Load reads, with the place of each that is not the default's.
// What is derived is filled in. Settings hold no secrets, and a URL with a password in it is refused by Load.
func (c *Config) Redacted() string {
	derived := map[string]string{
		"server.public_url": c.PublicURL(), "tokens.issuer": c.issuer(), "tokens.keys_file": c.KeysFile(),
		"email.link_base": c.linkBase(), "email.spool_dir": c.SpoolDir(),
	}
	var b strings.Builder
	section := ""
	for _, s := range order {
		dot := strings.LastIndexByte(s.key, '.')
		if s.key[:dot] != section {
			if section != "" {
				b.WriteByte('\n')
			}
			section = s.key[:dot]
			fmt.Fprintf(&b, "[%s]\n", section)
		}
		value := s.value(c)
		comment := ""
		if origin := c.origins[s.key]; origin != "" {
			comment = " # " + strings.Map(printable, origin)
		}
		if in, ok := derived[s.key]; ok && value == "" {
			value, comment = in, " # derived"
		}
		fmt.Fprintf(&b, "%s = %s%s\n", s.key[dot+1:], render(value), comment)
	}
	return b.String()
}

// printable keeps the name of a file inside its comment.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return '?'
	}
	return r
}

func (c *Config) issuer() string {
	if c.Tokens.Issuer != "" {
		return c.Tokens.Issuer
	}
	return c.PublicURL()
}

func (c *Config) linkBase() string {
	if c.Email.LinkBase != "" {
		return strings.TrimRight(c.Email.LinkBase, "/")
	}
	return c.PublicURL()
}
