package config

import (
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// validate checks what one bound cannot say: forms of addresses and names, and what contradicts each other.
func (l *loader) validate() {
	c := l.config
	_, _, listenErr := splitListen(c.Server.Listen)
	l.require(listenErr == nil, "server.listen", "is not an address to listen on", `use host:port, such as "127.0.0.1:8080" or ":8080"`)
	l.require(c.Server.PublicURL == "" || isBaseURL(c.Server.PublicURL), "server.public_url", "is not a web address",
		`use scheme and host and, if need be, port and path, such as "https://accounts.example.com"`)
	l.require(c.Server.PublicURL != "" || listenErr != nil || c.listensOnLoopback(), "server.public_url",
		"is empty while server.listen, "+quote(c.Server.Listen)+", is not on loopback",
		`set the address that users see, such as "https://accounts.example.com", or listen on "127.0.0.1:8080"`, "server.listen")
	l.require(c.Server.DataDir != "", "server.data_dir", "is empty", `name a directory, such as "data"`)
	l.require(!slices.ContainsFunc(c.Server.AllowedHosts, notHostName), "server.allowed_hosts", "has an item that is no host name",
		`write names or addresses without scheme, port and wildcard, such as ["accounts.internal", "10.0.0.7"]`)

	limits := c.Schema.Limits
	l.require(!l.changed("limits.query", "limits.body") || limits.Query <= limits.Body, "limits.query",
		"is more than limits.body, "+quote(Size(limits.Body).String())+", lets in", "raise limits.body or lower this", "limits.body")

	l.require(c.Accounts.UniformTime <= limits.Timeout, "limits.uniform_time",
		"is longer than limits.timeout, "+quote(Duration(limits.Timeout).String())+", lets a request take", "lower this or raise limits.timeout", "limits.timeout")

	l.accountFields()

	l.require(isToken(c.Schema.HeaderName), "tokens.header_name", "is not the name of a header", `use a name such as "Authorization"`)
	l.require(!reservedHeader(c.Schema.HeaderName), "tokens.header_name", "has another meaning in HTTP", `use "Authorization" or a name of your own`)
	l.require(len(c.Schema.HeaderPrefixes) > 0 && !slices.ContainsFunc(c.Schema.HeaderPrefixes, func(p string) bool { return !isToken(p) }),
		"tokens.header_prefixes", "is not a list of words", `use at least one word without spaces, such as ["JWT", "Bearer"]`)
	l.require(c.Tokens.SessionLifetime == 0 || !l.changed("tokens.refresh_lifetime", "tokens.session_lifetime") ||
		c.Tokens.RefreshLifetime <= c.Tokens.SessionLifetime, "tokens.refresh_lifetime",
		"is longer than tokens.session_lifetime, "+quote(Duration(c.Tokens.SessionLifetime).String()),
		`raise tokens.session_lifetime ("0s": no limit) or lower this`, "tokens.session_lifetime")
	l.require(!l.changed("tokens.rotation_grace", "tokens.refresh_lifetime") || c.Tokens.RotationGrace <= c.Tokens.RefreshLifetime,
		"tokens.rotation_grace", "is longer than tokens.refresh_lifetime, "+quote(Duration(c.Tokens.RefreshLifetime).String()),
		`lower it; "20s" is enough for a second tab`, "tokens.refresh_lifetime")

	l.validateWeb()

	p := c.Accounts.Passwords
	l.require(p.MinLength <= p.MaxBytes, "passwords.min_length",
		"is more than passwords.max_bytes, "+strconv.Itoa(p.MaxBytes)+", lets in", "raise passwords.max_bytes or lower this", "passwords.max_bytes")
	least := 8 * uint32(p.Argon2.Parallelism) // RFC 9106, section 3.1
	l.require(p.Argon2.MemoryKiB >= least, "passwords.argon2.memory",
		fmt.Sprintf("is less than 8KiB for each lane of passwords.argon2.parallelism, %d", p.Argon2.Parallelism),
		"use at least "+quote(Size(least*1024).String())+"; \"19MiB\" is the least that is safe", "passwords.argon2.parallelism")

	from, fromErr := mail.ParseAddress(c.Email.From)
	l.require(fromErr == nil, "email.from", "is not one mail address", `use "name <address>", such as "accountd <accounts@localhost>"`)
	l.require(fromErr != nil || isASCII(from.Address), "email.from", "has an address that is not ASCII: not every mail server takes it",
		`write the domain in its ASCII form, such as "name <accounts@xn--bcher-kva.example>"`)
	l.require(len(c.Email.From) <= maxSender, "email.from", "is longer than "+strconv.Itoa(maxSender)+" bytes", "shorten the name")
	l.require(strings.TrimSpace(c.Email.SiteName) != "", "email.site_name", "is empty", "name your site as users know it")
	l.require(utf8.RuneCountInString(c.Email.SiteName) <= maxSiteName, "email.site_name", "is longer than "+strconv.Itoa(maxSiteName)+" characters",
		"shorten it: it is in every subject")
	l.require(!strings.ContainsFunc(c.Email.SiteName, endsLine), "email.site_name", "has a character that is not to be seen", "name your site in one line")
	l.require(c.Email.LinkBase == "" || isBaseURL(c.Email.LinkBase), "email.link_base", "is not a web address",
		`use scheme and host and, if need be, port and path, such as "https://app.example.com"`)
	for _, link := range []struct{ key, path string }{
		{"email.activation_path", c.Email.ActivationPath},
		{"email.secondary_email_path", c.Email.SecondaryEmailPath},
		{"email.password_reset_path", c.Email.PasswordResetPath},
		{"email.password_set_path", c.Email.PasswordSetPath},
	} {
		l.require(isPath(link.path), link.key, "is not a path", `use letters, digits, "-", "_", "." and "/", such as "account/activate"`)
	}
	l.validateThrottle()
	l.validateSMTP()
	l.validateQueries()
}

// What headers of a mail have room for.
const (
	maxSiteName = 100
	maxSender   = 400
)

// endsLine finds control characters, and Unicode's two ways to end a line.
func endsLine(r rune) bool { return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp) }

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII })
}

// require reports key unless ok. It is silent where key or one of the others it depends on has a problem already:
// the value in force is then not the one that was meant.
func (l *loader) require(ok bool, key, message, remedy string, others ...string) {
	if ok || l.bad[key] || slices.ContainsFunc(others, func(other string) bool { return l.bad[other] }) {
		return
	}
	l.complain(key, message, remedy)
}

// complain reports key, in whatever else it is wrong.
func (l *loader) complain(key, message, remedy string) {
	origin := l.config.origins[key]
	if origin == "" {
		origin = "default"
	}
	value := render(settings[key].value(l.config))
	if settings[key].isTable() {
		value = "" // the message says which part
	}
	l.problem(Problem{Origin: origin, Key: key, Value: value, Message: message, Remedy: remedy})
}

// changed reports whether none of keys has its default value: one setting alone does not contradict a default
// that nobody chose.
func (l *loader) changed(keys ...string) bool {
	return !slices.ContainsFunc(keys, func(key string) bool {
		s := settings[key]
		return s.in(l.config).Interface() == s.in(l.defaults).Interface()
	})
}

func splitListen(listen string) (host, port string, err error) {
	host, port, err = net.SplitHostPort(listen)
	if err != nil {
		return "", "", err
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", "", err
	}
	if host != "" && notHostName(host) {
		return "", "", &net.AddrError{Err: "no host name", Addr: host}
	}
	return host, port, nil
}

// notHostName reports whether name is neither an IP address nor a DNS name. A zone (fe80::1%eth0) is no part of a name.
func notHostName(name string) bool {
	if net.ParseIP(name) != nil {
		return false
	}
	if name == "" || len(name) > 253 {
		return true
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, func(r rune) bool {
			return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
		}) {
			return true
		}
	}
	return false
}

// isBaseURL takes what a path can be appended to. A fragment may be the root of a client that routes by it
// ("https://app.example.com/#"); user names do not belong in links.
func isBaseURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.ForceQuery {
		return false
	}
	if _, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && err != nil {
		return false
	}
	return !notHostName(u.Hostname()) && !strings.ContainsAny(text, " \"'<>\\`")
}

func isPath(text string) bool {
	inner := strings.Trim(text, "/")
	return inner != "" && path.Clean(inner) == inner && !strings.HasPrefix(inner, "..") && !strings.ContainsFunc(inner, func(r rune) bool {
		return !strings.ContainsRune("-_./~", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// isToken is RFC 9110's token: header names and authentication schemes.
func isToken(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return !strings.ContainsRune("!#$%&'*+-.^_`|~", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

func reservedHeader(name string) bool {
	return slices.Contains([]string{"accept", "connection", "content-length", "content-type", "cookie", "forwarded", "host", "origin",
		"transfer-encoding", "x-forwarded-for", "x-request-id"}, strings.ToLower(name))
}

// Warnings are what is possible but hardly meant, one sentence each.
func (c *Config) Warnings() []string {
	var warnings []string
	if u, err := url.Parse(c.Server.PublicURL); err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		warnings = append(warnings, "server.public_url is not https: passwords and tokens travel in clear")
	}
	if a := c.Accounts.Passwords.Argon2; int64(a.MemoryKiB)*int64(a.Iterations) < 2*19*1024 {
		warnings = append(warnings, "passwords.argon2 is cheaper than 19MiB with two iterations: stolen hashes are easier to guess")
	}
	if !c.Loopback() && c.Tokens.AccessLifetime > day {
		warnings = append(warnings, "tokens.access_lifetime is over a day: services that check access tokens by themselves notice a logout that late")
	}
	return slices.Concat(warnings, c.accountWarnings(), c.throttleWarnings(), c.queryWarnings(),
		c.reachWarnings(), c.webWarnings(), c.smtpWarnings())
}
