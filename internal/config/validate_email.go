package config

import (
	"net/mail"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"accountd/email"
)

// The lengths that fit into the header lines of a mail.
const (
	maxSiteName = 100 // characters
	maxSender   = 400 // bytes
)

func (l *loader) validateEmail() {
	e := l.config.Email
	from, fromErr := mail.ParseAddress(e.From)
	l.require(fromErr == nil, "email.from", "is not one mail address",
		`use "name <address>", such as "accountd <accounts@localhost>"`)
	l.require(fromErr != nil || isASCII(from.Address), "email.from",
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

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII })
}

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
