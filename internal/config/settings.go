package config

import (
	"time"

	"accountd/accounts"
	"accountd/email"
	"accountd/internal/server"
	"accountd/schema"
	"accountd/tokens"
)

// TokenSettings is what tokens needs. The issuer may be derived from the listener: call Bound before.
func (c *Config) TokenSettings() tokens.Settings {
	s := c.Tokens
	s.Issuer = c.issuer()
	return s
}

// EmailSettings is what email needs. Links may be derived from the listener: call Bound before.
func (c *Config) EmailSettings() email.Settings {
	s := c.Email
	s.LinkBase, s.SpoolDir, s.Fields = c.linkBase(), c.SpoolDir(), c.sampleFields()
	return s
}

// SMTPSettings is what email needs for delivery; Host is "" where there is none.
func (c *Config) SMTPSettings() email.SMTPSettings {
	s := c.SMTP
	if s.Port == 0 {
		s.Port = map[email.TLSMode]int{email.StartTLS: 587, email.ImplicitTLS: 465, email.NoTLS: 25}[s.TLS]
	}
	return s
}

// SchemaSettings is what schema needs, but for what it is told of requests. Cookies get the prefix __Host- where
// possible: browsers then refuse a cookie that another host of the domain, or a page without https, has set
// (RFC 6265bis, section 4.1.3.2).
func (c *Config) SchemaSettings() schema.Settings {
	s := c.Schema
	s.Accounts, s.LongRunning, s.Introspection = c.Accounts, c.Tokens.LongRunning, c.Introspection()
	s.Cookies.Secure = c.secureCookies()
	if k := &s.Cookies; k.Secure && k.Path == "/" && k.Domain == "" {
		k.Name, k.RefreshName = "__Host-"+k.Name, "__Host-"+k.RefreshName
	}
	return s
}

// ServerSettings is what server needs, but for its handlers.
func (c *Config) ServerSettings() server.Settings {
	s := c.HTTP
	s.Hosts, s.PublicURL, s.Public = c.Hosts(), c.PublicURL(), !c.Loopback()
	s.TokenHeader, s.TrustedProxies = c.Schema.HeaderName, c.TrustedProxies()
	return s
}

// sampleFields are the fields that templates may show, with a value that such a field may have.
func (c *Config) sampleFields() map[string]any {
	samples := map[string]any{}
	for _, f := range c.Accounts.Fields {
		switch {
		case !f.Public:
		case len(f.Choices) > 0:
			samples[f.Name] = f.Choices[0]
		default:
			samples[f.Name] = map[accounts.FieldType]any{
				accounts.String: "sample", accounts.Int: int64(42), accounts.Float: 4.2, accounts.Boolean: true,
				accounts.DateTime: time.Unix(1_500_000_000, 0).UTC(),
			}[f.Type]
		}
	}
	return samples
}
