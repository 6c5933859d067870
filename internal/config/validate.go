package config

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
)

// validate checks what bounds cannot express: the syntax of addresses and names, and contradictions.
func (l *loader) validate() {
	l.validateServer()
	l.validateLimits()
	l.validateFields()
	l.validateTokens()
	l.validateWeb()
	l.validatePasswords()
	l.validateEmail()
	l.validatePurge()
	l.validateSMTP()
	l.validateQueries()
}

func (l *loader) validateServer() {
	s := l.config.Server
	_, listenErr := listenHost(s.Listen)
	l.require(listenErr == nil, "server.listen", "is not an address to listen on",
		`use host:port, such as "127.0.0.1:8080" or ":8080"`)
	l.require(s.PublicURL == "" || isBaseURL(s.PublicURL), "server.public_url", "is not a web address",
		`use scheme and host and, if need be, port and path, such as "https://accounts.example.com"`)
	l.require(s.PublicURL != "" || listenErr != nil || l.config.listensOnLoopback(), "server.public_url",
		"is empty while server.listen, "+quote(s.Listen)+", is not on loopback",
		`set the address that users see, such as "https://accounts.example.com", or listen on "127.0.0.1:8080"`,
		"server.listen")
	l.require(s.DataDir != "", "server.data_dir", "is empty", `name a directory, such as "data"`)
	l.require(!slices.ContainsFunc(s.AllowedHosts, notHostName),
		"server.allowed_hosts", "has an item that is no host name",
		`write names or addresses without scheme, port and wildcard, such as ["accounts.internal", "10.0.0.7"]`)
}

func (l *loader) validateLimits() {
	c, limits := l.config, l.config.Schema.Limits
	l.require(!l.changed("limits.query", "limits.body") || limits.Query <= limits.Body, "limits.query",
		"is more than limits.body, "+quote(Size(limits.Body).String())+", lets in",
		"raise limits.body or lower this", "limits.body")
	l.require(c.Accounts.UniformTime <= limits.Timeout, "limits.uniform_time",
		"is longer than limits.timeout, "+quote(Duration(limits.Timeout).String())+", lets a request take",
		"lower this or raise limits.timeout", "limits.timeout")
}

func (l *loader) validateTokens() {
	t := l.config.Tokens
	l.require(t.SessionLifetime == 0 || !l.changed("tokens.refresh_lifetime", "tokens.session_lifetime") ||
		t.RefreshLifetime <= t.SessionLifetime, "tokens.refresh_lifetime",
		"is longer than tokens.session_lifetime, "+quote(Duration(t.SessionLifetime).String()),
		`raise tokens.session_lifetime ("0s": no limit) or lower this`, "tokens.session_lifetime")
	l.require(!l.changed("tokens.rotation_grace", "tokens.refresh_lifetime") || t.RotationGrace <= t.RefreshLifetime,
		"tokens.rotation_grace", "is longer than tokens.refresh_lifetime, "+quote(Duration(t.RefreshLifetime).String()),
		`lower it; "20s" is enough for a second tab`, "tokens.refresh_lifetime")
}

func (l *loader) validatePasswords() {
	p := l.config.Accounts.Passwords
	l.require(p.MinLength <= p.MaxBytes, "passwords.min_length",
		"is more than passwords.max_bytes, "+strconv.Itoa(p.MaxBytes)+", lets in",
		"raise passwords.max_bytes or lower this", "passwords.max_bytes")
	least := 8 * uint32(p.Argon2.Parallelism) // RFC 9106, section 3.1
	l.require(p.Argon2.MemoryKiB >= least, "passwords.argon2.memory",
		fmt.Sprintf("is less than 8KiB for each lane of passwords.argon2.parallelism, %d", p.Argon2.Parallelism),
		"use at least "+quote(Size(least*1024).String())+`; "19MiB" is the least that is safe`,
		"passwords.argon2.parallelism")
}

// require reports key unless ok. It is silent where key, or one of the others that ok depends on, has been reported:
// its value is then not the intended one.
func (l *loader) require(ok bool, key, message, remedy string, others ...string) {
	if ok || l.bad[key] || slices.ContainsFunc(others, func(other string) bool { return l.bad[other] }) {
		return
	}
	l.complain(key, message, remedy)
}

// complain reports key, even if it has been reported.
func (l *loader) complain(key, message, remedy string) {
	origin := l.config.origins[key]
	if origin == "" {
		origin = "default"
	}
	value := render(settings[key].value(l.config))
	if settings[key].isTable() {
		value = "" // too long: the message names the item
	}
	l.problem(Problem{Origin: origin, Key: key, Value: value, Message: message, Remedy: remedy})
}

// changed reports whether all keys differ from their defaults: a single changed setting must not contradict a default.
func (l *loader) changed(keys ...string) bool {
	return !slices.ContainsFunc(keys, func(key string) bool {
		s := settings[key]
		return s.in(l.config).Interface() == s.in(l.defaults).Interface()
	})
}

// warnings collects sentences.
type warnings []string

func (w *warnings) when(condition bool, text string) {
	if condition {
		*w = append(*w, text)
	}
}

// Warnings returns a sentence for each value that is possible but hardly intended.
func (c *Config) Warnings() []string {
	var w warnings
	u, err := url.Parse(c.Server.PublicURL)
	w.when(err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()),
		"server.public_url is not https: passwords and tokens travel in clear")
	a := c.Accounts.Passwords.Argon2
	w.when(int64(a.MemoryKiB)*int64(a.Iterations) < 2*19*1024,
		"passwords.argon2 is cheaper than 19MiB with two iterations: stolen hashes are easier to guess")
	w.when(!c.Loopback() && c.Tokens.AccessLifetime > day, "tokens.access_lifetime is over a day: "+
		"services that check access tokens by themselves notice a logout that late")
	return slices.Concat(w, c.accountWarnings(), c.throttleWarnings(), c.queryWarnings(),
		c.reachWarnings(), c.webWarnings(), c.smtpWarnings())
}
