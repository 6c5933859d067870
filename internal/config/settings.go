package config

import (
	"strings"
	"time"

	"accountd/accounts"
	"accountd/email"
	"accountd/internal/graphqlhttp"
	"accountd/tokens"
)

// TokenSettings is what tokens needs. The issuer may be derived from the listener: call Bound before.
func (c *Config) TokenSettings() tokens.Settings {
	t := c.Tokens
	return tokens.Settings{
		Algorithm:              t.Algorithm,
		Issuer:                 c.issuer(),
		Audience:               t.Audience,
		Leeway:                 time.Duration(t.Leeway),
		AccessLifetime:         time.Duration(t.AccessLifetime),
		AllowRefresh:           t.AllowRefresh,
		LongRunning:            t.LongRunning,
		Rotate:                 t.Rotation == "rotate",
		RefreshLifetime:        time.Duration(t.RefreshLifetime),
		SessionLifetime:        time.Duration(t.SessionLifetime),
		RotationGrace:          time.Duration(t.RotationGrace),
		RefreshBytes:           t.RefreshBytes,
		SessionsPerUser:        c.Limits.SessionsPerUser,
		ActivationLifetime:     time.Duration(t.ActivationLifetime),
		PasswordResetLifetime:  time.Duration(t.PasswordResetLifetime),
		PasswordSetLifetime:    time.Duration(t.PasswordSetLifetime),
		SecondaryEmailLifetime: time.Duration(t.SecondaryEmailLifetime),
	}
}

// EmailSettings is what email needs. Links may be derived from the listener: call Bound before.
func (c *Config) EmailSettings() email.Settings {
	e := c.Email
	return email.Settings{
		From:               e.From,
		SiteName:           e.SiteName,
		LinkBase:           c.linkBase(),
		ActivationPath:     strings.Trim(e.ActivationPath, "/"),
		SecondaryEmailPath: strings.Trim(e.SecondaryEmailPath, "/"),
		PasswordResetPath:  strings.Trim(e.PasswordResetPath, "/"),
		PasswordSetPath:    strings.Trim(e.PasswordSetPath, "/"),
		SpoolDir:           c.SpoolDir(),
		MaxOutbox:          e.MaxOutbox,
		TemplatesDir:       e.TemplatesDir,
		Variables:          e.Variables,
		Fields:             c.sampleFields(),
	}
}

// SMTPSettings is what email needs for delivery; Host is "" where there is none.
func (c *Config) SMTPSettings() email.SMTPSettings {
	m := c.Email.SMTP
	port := m.Port
	if port == 0 {
		port = map[string]int{"starttls": 587, "implicit": 465, "none": 25}[m.TLS]
	}
	return email.SMTPSettings{Host: m.Host, Port: port, Username: m.Username, PasswordFile: m.PasswordFile, TLS: email.TLSMode(m.TLS)}
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
			samples[f.Name] = map[string]any{
				"String": "sample", "Int": int64(42), "Float": 4.2, "Boolean": true, "DateTime": time.Unix(1_500_000_000, 0).UTC(),
			}[f.Type]
		}
	}
	return samples
}

// AccountSettings is what accounts needs.
func (c *Config) AccountSettings() accounts.Settings {
	a, p := c.Accounts, c.Passwords
	fields := make([]accounts.Field, len(a.Fields))
	for i, f := range a.Fields {
		fields[i] = accounts.Field{
			Name: f.Name, Type: accounts.FieldType(f.Type), MaxLength: f.MaxLength, Pattern: f.Pattern,
			Choices: f.Choices, Unique: f.Unique, Public: f.Public,
		}
	}
	return accounts.Settings{
		AllowLoginNotVerified:    a.AllowLoginNotVerified,
		LoginFields:              a.LoginFields,
		LoginWithSecondaryEmail:  a.LoginWithSecondaryEmail,
		RegisterFields:           a.RegisterFields,
		RegisterOptionalFields:   a.RegisterOptionalFields,
		UpdateFields:             a.UpdateFields,
		Fields:                   fields,
		PasswordlessRegistration: a.PasswordlessRegistration,
		SendActivationEmail:      a.SendActivationEmail,
		SendPasswordSetEmail:     a.SendPasswordSetEmail,
		Reveal:                   accounts.Reveal(a.RevealAccounts),
		DeletePermanently:        a.DeletePermanently,
		Notices:                  c.Email.Notices,
		PurgeUnverified:          time.Duration(a.PurgeUnverified),
		UniformTime:              time.Duration(c.Limits.UniformTime),
		Throttle:                 c.throttle(),
		Passwords: accounts.PasswordSettings{
			MinLength:  p.MinLength,
			Similarity: p.Similarity,
			Common:     p.Common,
			Numeric:    p.Numeric,
			MaxBytes:   p.MaxBytes,
			Argon2: accounts.Argon2Settings{
				MemoryKiB:   uint32(p.Argon2.Memory / 1024),
				Iterations:  uint32(p.Argon2.Iterations),
				Parallelism: uint8(p.Argon2.Parallelism),
				Concurrent:  p.Argon2.Concurrent,
				Queue:       p.Argon2.Queue,
			},
		},
	}
}

// FrontDoorLimits is what internal/graphqlhttp needs.
func (c *Config) FrontDoorLimits() graphqlhttp.Limits {
	l := c.Limits
	return graphqlhttp.Limits{
		Body:               int(l.Body),
		Query:              int(l.Query),
		Tokens:             l.Tokens,
		Nesting:            l.Nesting,
		Fields:             l.Fields,
		Aliases:            l.Aliases,
		Depth:              l.Depth,
		IntrospectionDepth: l.IntrospectionDepth,
		Fragments:          l.Fragments,
		Variables:          l.Variables,
		Directives:         l.Directives,
		Errors:             l.Errors,
		Response:           int(l.Response),
		Timeout:            time.Duration(l.Timeout),
		Documents:          l.Documents,
	}
}
