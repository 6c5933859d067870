package config

import (
	"cmp"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"accountd/accounts"
	"accountd/email"
	"accountd/internal/server"
	"accountd/schema"
	"accountd/tokens"
)

// Bound sets the port of server.listen to that of the listener, which differs if the setting has port 0. Values derived
// from the address are right only afterwards. The host stays as it was written.
func (c *Config) Bound(addr net.Addr) {
	host, _ := listenHost(c.Server.Listen)
	if _, port, err := net.SplitHostPort(addr.String()); err == nil { // a Unix socket has no port
		c.Server.Listen = net.JoinHostPort(host, port)
	}
}

// PublicURL returns the address that users see, without a slash at the end: server.public_url, or the address of the
// listener.
func (c *Config) PublicURL() string {
	return strings.TrimRight(cmp.Or(c.Server.PublicURL, "http://"+c.Server.Listen), "/")
}

// Hosts returns the host names that requests may have, in lower case, without ports and brackets.
func (c *Config) Hosts() []string {
	hosts := append(hostsOf(c.PublicURL()), c.Server.AllowedHosts...)
	if host, _ := listenHost(c.Server.Listen); isLoopback(host) {
		hosts = append(hosts, "localhost", "127.0.0.1", "::1", host)
	}
	for i, host := range hosts {
		hosts[i] = strings.ToLower(host)
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// TrustedProxies returns the networks of server.trusted_proxies.
func (c *Config) TrustedProxies() []netip.Prefix {
	var networks []netip.Prefix
	for _, text := range c.Server.TrustedProxies {
		if network, ok := parseNetwork(text); ok {
			networks = append(networks, network)
		}
	}
	return networks
}

// Introspection reports whether clients may query the schema. "auto" depends on the two addresses only: the schema has
// no data of users, and code generators need it in development, whatever else is set.
func (c *Config) Introspection() bool {
	elsewhere := slices.ContainsFunc(c.PublicSettings(), func(key string) bool {
		return key == "server.listen" || key == "server.public_url"
	})
	return c.Server.Introspection == On || c.Server.Introspection == Auto && !elsewhere
}

// GraphiQL reports whether the GraphiQL page is served.
func (c *Config) GraphiQL() bool {
	return c.Server.GraphiQL == On || c.Server.GraphiQL == Auto && c.Loopback()
}

// DevMail reports whether the spool can be read at /dev/mail. No setting turns it on.
func (c *Config) DevMail() bool { return c.Loopback() }

// PublishesKeys reports whether access tokens are verified with a public key.
func (c *Config) PublishesKeys() bool { return !strings.HasPrefix(c.Tokens.Algorithm, "HS") }

func (c *Config) secureCookies() bool {
	https := strings.HasPrefix(strings.ToLower(c.PublicURL()), "https:")
	return c.Server.SecureCookies == On || c.Server.SecureCookies == Auto && https
}

// DatabaseFile returns the path of the SQLite file.
func (c *Config) DatabaseFile() string { return filepath.Join(c.Server.DataDir, "accountd.db") }

// BackupsDir returns the default directory of backups.
func (c *Config) BackupsDir() string { return filepath.Join(c.Server.DataDir, "backups") }

// KeysFile returns the path of the key ring.
func (c *Config) KeysFile() string {
	return cmp.Or(c.Server.KeysFile, filepath.Join(c.Server.DataDir, "keys.json"))
}

// SpoolDir returns the path of the Maildir that mails are written to.
func (c *Config) SpoolDir() string {
	return cmp.Or(c.Email.SpoolDir, filepath.Join(c.Server.DataDir, "spool"))
}

func (c *Config) issuer() string { return cmp.Or(c.Tokens.Issuer, c.PublicURL()) }

func (c *Config) linkBase() string {
	return strings.TrimRight(cmp.Or(c.Email.LinkBase, c.PublicURL()), "/")
}

// TokenSettings returns the settings of tokens. The issuer may depend on the listener: call Bound before.
func (c *Config) TokenSettings() tokens.Settings {
	s := c.Tokens
	s.Issuer = c.issuer()
	return s
}

// EmailSettings returns the settings of email. Links may depend on the listener: call Bound before.
func (c *Config) EmailSettings() email.Settings {
	s := c.Email
	s.LinkBase, s.SpoolDir, s.Fields = c.linkBase(), c.SpoolDir(), c.sampleFields()
	return s
}

// SMTPSettings returns the settings of delivery. Host is "" if mails are not delivered.
func (c *Config) SMTPSettings() email.SMTPSettings {
	s := c.SMTP
	if s.Port == 0 {
		s.Port = map[email.TLSMode]int{email.StartTLS: 587, email.ImplicitTLS: 465, email.NoTLS: 25}[s.TLS]
	}
	return s
}

// SchemaSettings returns the settings of schema, without its functions. Cookies get the prefix __Host- if their
// attributes allow it: browsers then refuse cookies of that name from other hosts of the domain and from pages without
// https (RFC 6265bis, section 4.1.3.2).
func (c *Config) SchemaSettings() schema.Settings {
	s := c.Schema
	s.Accounts, s.LongRunning, s.Introspection = c.Accounts, c.Tokens.LongRunning, c.Introspection()
	s.Cookies.Secure = c.secureCookies()
	if k := &s.Cookies; k.Secure && k.Path == "/" && k.Domain == "" {
		k.Name, k.RefreshName = "__Host-"+k.Name, "__Host-"+k.RefreshName
	}
	return s
}

// ServerSettings returns the settings of server, without its handlers.
func (c *Config) ServerSettings() server.Settings {
	s := c.HTTP
	s.Hosts, s.PublicURL, s.Public = c.Hosts(), c.PublicURL(), !c.Loopback()
	s.TokenHeader, s.TrustedProxies = c.Schema.HeaderName, c.TrustedProxies()
	return s
}

// samples has a value of each type of fields.
var samples = map[accounts.FieldType]any{
	accounts.String: "sample", accounts.Int: int64(42), accounts.Float: 4.2, accounts.Boolean: true,
	accounts.DateTime: time.Unix(1_500_000_000, 0).UTC(),
}

// sampleFields returns a possible value for each public field, for trying templates.
func (c *Config) sampleFields() map[string]any {
	values := map[string]any{}
	for _, f := range c.Accounts.Fields {
		if f.Public {
			values[f.Name] = slices.Concat(f.Choices, []any{samples[f.Type]})[0] // the first choice, if there is one
		}
	}
	return values
}
