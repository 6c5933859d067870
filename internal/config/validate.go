package config

import (
	"cmp"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"accountd/email"
)

// validate checks what bounds cannot express: the syntax of addresses and names, and contradictions.
func (l *loader) validate() {
	l.validateServer()
	l.validateNumbers()
	l.validateFields()
	l.validateWeb()
	l.validateEmail()
	l.validatePurge()
	l.validateSMTP()
	l.validateQueries()
}

func (l *loader) validateServer() {
	s := l.config.Server
	host, ok := listenHost(s.Listen)
	l.require(ok, "server.listen", "is not an address to listen on",
		`use host:port, such as "127.0.0.1:8080" or ":8080"`)
	l.require(s.PublicURL == "" || isBaseURL(s.PublicURL), "server.public_url", "is not a web address",
		`use scheme and host and, if need be, port and path, such as "https://accounts.example.com"`)
	l.require(s.PublicURL != "" || !ok || isLoopback(host), "server.public_url",
		"is empty while server.listen, "+quote(s.Listen)+", is not on loopback",
		`set the address that users see, such as "https://accounts.example.com", or listen on "127.0.0.1:8080"`,
		"server.listen")
	l.require(s.DataDir != "", "server.data_dir", "is empty", `name a directory, such as "data"`)
	l.require(!slices.ContainsFunc(s.AllowedHosts, notHostName),
		"server.allowed_hosts", "has an item that is no host name",
		`write names or addresses without scheme, port and wildcard, such as ["accounts.internal", "10.0.0.7"]`)
}

// validateNumbers checks numbers that depend on each other.
func (l *loader) validateNumbers() {
	c, limits, t, p := l.config, l.config.Schema.Limits, l.config.Tokens, l.config.Accounts.Passwords
	shown := func(key string) string { return ", " + render(settings[key].value(c)) }
	l.require(!l.changed("limits.query", "limits.body") || limits.Query <= limits.Body, "limits.query",
		"is more than limits.body"+shown("limits.body")+", lets in", "raise limits.body or lower this", "limits.body")
	l.require(c.Accounts.UniformTime <= limits.Timeout, "limits.uniform_time",
		"is longer than limits.timeout"+shown("limits.timeout")+", lets a request take",
		"lower this or raise limits.timeout", "limits.timeout")
	l.require(t.SessionLifetime == 0 || !l.changed("tokens.refresh_lifetime", "tokens.session_lifetime") ||
		t.RefreshLifetime <= t.SessionLifetime, "tokens.refresh_lifetime",
		"is longer than tokens.session_lifetime"+shown("tokens.session_lifetime"),
		`raise tokens.session_lifetime ("0s": no limit) or lower this`, "tokens.session_lifetime")
	l.require(!l.changed("tokens.rotation_grace", "tokens.refresh_lifetime") || t.RotationGrace <= t.RefreshLifetime,
		"tokens.rotation_grace", "is longer than tokens.refresh_lifetime"+shown("tokens.refresh_lifetime"),
		`lower it; "20s" is enough for a second tab`, "tokens.refresh_lifetime")
	l.require(p.MinLength <= p.MaxBytes, "passwords.min_length",
		"is more than passwords.max_bytes"+shown("passwords.max_bytes")+", lets in",
		"raise passwords.max_bytes or lower this", "passwords.max_bytes")
	least := 8 * uint32(p.Argon2.Parallelism) // RFC 9106, section 3.1
	l.require(p.Argon2.MemoryKiB >= least, "passwords.argon2.memory",
		"is less than 8KiB for each lane of passwords.argon2.parallelism"+shown("passwords.argon2.parallelism"),
		"use at least "+render(Size(least*1024))+`; "19MiB" is the least that is safe`, "passwords.argon2.parallelism")
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
	s := settings[key]
	value := ""
	if !s.isTable() { // otherwise it is too long: the message names the item
		value = render(s.value(l.config))
	}
	origin := cmp.Or(l.config.origins[key], "default")
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
	return slices.Concat(
		w, c.accountWarnings(), c.queryWarnings(), c.reachWarnings(), c.webWarnings(), c.smtpWarnings())
}

// validateWeb checks headers, proxies, origins and cookies.
func (l *loader) validateWeb() {
	c := l.config
	proxies, origins, s := c.Server.TrustedProxies, c.HTTP.Origins, c.Schema
	l.require(isToken(s.HeaderName), "tokens.header_name", "is not the name of a header",
		`use a name such as "Authorization"`)
	l.require(!slices.Contains(reservedHeaders, strings.ToLower(s.HeaderName)), "tokens.header_name",
		"has another meaning in HTTP", `use "Authorization" or a name of your own`)
	notToken := func(word string) bool { return !isToken(word) }
	l.require(len(s.HeaderPrefixes) > 0 && !slices.ContainsFunc(s.HeaderPrefixes, notToken),
		"tokens.header_prefixes", "is not a list of words",
		`use at least one word without spaces, such as ["JWT", "Bearer"]`)

	l.require(len(c.TrustedProxies()) == len(proxies),
		"server.trusted_proxies", "has an item that is no address and no network",
		`write them such as ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]`)
	all := func(p netip.Prefix) bool { return p.Bits() == 0 }
	l.require(!slices.ContainsFunc(c.TrustedProxies(), all),
		"server.trusted_proxies", "trusts every address, so that clients can claim any address",
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

// The lengths that fit into the header lines of a mail.
const (
	maxSiteName = 100 // characters
	maxSender   = 400 // bytes
)

func (l *loader) validateEmail() {
	e := l.config.Email
	from, fromErr := mail.ParseAddress(e.From)
	isNotASCII := func(r rune) bool { return r > unicode.MaxASCII }
	l.require(fromErr == nil, "email.from", "is not one mail address",
		`use "name <address>", such as "accountd <accounts@localhost>"`)
	l.require(fromErr != nil || !strings.ContainsFunc(from.Address, isNotASCII), "email.from",
		"has an address that is not ASCII: not every mail server takes it",
		`write the domain in its ASCII form, such as "name <accounts@xn--bcher-kva.example>"`)
	l.require(len(e.From) <= maxSender, "email.from", "is longer than "+strconv.Itoa(maxSender)+" bytes",
		"shorten the name")
	l.require(strings.TrimSpace(e.SiteName) != "", "email.site_name", "is empty", "name your site as users know it")
	l.require(utf8.RuneCountInString(e.SiteName) <= maxSiteName, "email.site_name",
		"is longer than "+strconv.Itoa(maxSiteName)+" characters", "shorten it: it is in every subject")
	l.require(!strings.ContainsFunc(e.SiteName, endsLine), "email.site_name",
		"has a character that is not to be seen", "name your site in one line")
	l.require(e.LinkBase == "" || isBaseURL(e.LinkBase), "email.link_base", "is not a web address",
		`use scheme and host and, if need be, port and path, such as "https://app.example.com"`)
	for _, link := range []struct{ key, path string }{
		{"email.activation_path", e.ActivationPath},
		{"email.secondary_email_path", e.SecondaryEmailPath},
		{"email.password_reset_path", e.PasswordResetPath},
		{"email.password_set_path", e.PasswordSetPath},
	} {
		l.require(isPath(link.path), link.key, "is not a path",
			`use letters, digits, "-", "_", "." and "/", such as "account/activate"`)
	}
}

// endsLine matches control characters and the line and paragraph separators of Unicode.
func endsLine(r rune) bool { return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp) }

// validateSMTP checks the settings of delivery. Package email reads the password file.
func (l *loader) validateSMTP() {
	m := l.config.SMTP
	l.require(m.Host == "" || !notHostName(m.Host), "email.smtp.host", "is not the name of a host",
		`write the name alone, such as "smtp.example.com"; the port goes into email.smtp.port`)
	l.require(m.Username == "" || m.PasswordFile != "", "email.smtp.password_file",
		"is empty while email.smtp.username is "+quote(m.Username),
		"name a file, mode 0600, that has the password and nothing else", "email.smtp.username")
	l.require(m.PasswordFile == "" || m.Username != "", "email.smtp.username",
		"is empty while email.smtp.password_file is set",
		"write the name that the mail server knows you by, or leave both empty", "email.smtp.password_file")
	l.require(m.Username == "" || m.TLS != email.NoTLS || m.Host == "" || isLoopback(m.Host), "email.smtp.tls",
		"would send the password in clear to "+quote(m.Host),
		`use "starttls" or "implicit"; "none" with a password is for a server on this machine`,
		"email.smtp.host", "email.smtp.username")
}

// smtpWarnings warns of mails that servers refuse or others can read.
func (c *Config) smtpWarnings() (w warnings) {
	if c.SMTP.Host == "" || isLoopback(c.SMTP.Host) {
		return nil
	}
	from, err := mail.ParseAddress(c.Email.From)
	w.when(err == nil && strings.HasSuffix(strings.ToLower(from.Address), "@localhost"),
		"email.from is an address at localhost: mail servers refuse it, or take it for spam")
	w.when(c.SMTP.TLS == email.NoTLS, "email.smtp.tls is none: mails, and the links in them, travel in clear")
	return w
}
