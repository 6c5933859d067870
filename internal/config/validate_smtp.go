package config

import (
	"net/mail"
	"strings"
)

// validateSMTP checks what delivery is told. The password itself is read by package email.
func (l *loader) validateSMTP() {
	m := l.config.SMTP
	l.require(m.Host == "" || !notHostName(m.Host), "email.smtp.host", "is not the name of a host",
		`write the name alone, such as "smtp.example.com"; the port goes into email.smtp.port`)
	l.require(m.Username == "" || m.PasswordFile != "", "email.smtp.password_file", "is empty while email.smtp.username is "+quote(m.Username),
		"name a file, mode 0600, that has the password and nothing else", "email.smtp.username")
	l.require(m.PasswordFile == "" || m.Username != "", "email.smtp.username", "is empty while email.smtp.password_file is set",
		"write the name that the mail server knows you by, or leave both empty", "email.smtp.password_file")
	l.require(m.Username == "" || m.TLS != "none" || m.Host == "" || isLoopback(m.Host), "email.smtp.tls",
		"would send the password in clear to "+quote(m.Host), `use "starttls" or "implicit"; "none" with a password is for a server on this machine`,
		"email.smtp.host", "email.smtp.username")
}

// smtpWarnings are about what mail servers will not take, or others may read.
func (c *Config) smtpWarnings() []string {
	m := c.SMTP
	if m.Host == "" || isLoopback(m.Host) {
		return nil
	}
	var warnings []string
	if from, err := mail.ParseAddress(c.Email.From); err == nil && strings.HasSuffix(strings.ToLower(from.Address), "@localhost") {
		warnings = append(warnings, "email.from is an address at localhost: mail servers refuse it, or take it for spam")
	}
	if m.TLS == "none" {
		warnings = append(warnings, "email.smtp.tls is none: mails, and the links in them, travel in clear")
	}
	return warnings
}
