package email

import (
	"bytes"
	"embed"
	"fmt"
	htmltemplate "html/template"
	"net/mail"
	"strings"
	texttemplate "text/template"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// Kind names a message; its templates are templates/<kind>.subject, .txt and .html.
type Kind string

// The kinds of messages.
const (
	Activation               Kind = "activation"
	ActivationResend         Kind = "activation_resend"
	SecondaryEmailActivation Kind = "secondary_email_activation"
	PasswordSet              Kind = "password_set"
	PasswordReset            Kind = "password_reset"
)

// The kinds of notices: they tell the owner of an account what has happened to it, and have no token.
const (
	NoticeRegistration     Kind = "notice_registration"
	NoticePasswordChanged  Kind = "notice_password_changed"
	NoticeSecondaryAdded   Kind = "notice_secondary_added"
	NoticeEmailsSwapped    Kind = "notice_emails_swapped"
	NoticeSecondaryRemoved Kind = "notice_secondary_removed"
	NoticeAccountArchived  Kind = "notice_account_archived"
	NoticeAccountDeleted   Kind = "notice_account_deleted"
)

var kinds = []Kind{
	Activation, ActivationResend, SecondaryEmailActivation, PasswordSet, PasswordReset, NoticeRegistration, NoticePasswordChanged,
	NoticeSecondaryAdded, NoticeEmailsSwapped, NoticeSecondaryRemoved, NoticeAccountArchived, NoticeAccountDeleted,
}

//go:embed templates
var embedded embed.FS

type templates struct {
	subject, text *texttemplate.Template
	html          *htmltemplate.Template
}

// content is what templates see.
type content struct {
	User     User
	Name     string // the username, or the address of an account without one
	Token    string
	Link     string
	SiteName string
}

// parseTemplates reads all kinds, so that a broken one is found at start.
func parseTemplates() (map[Kind]*templates, error) {
	parsed := map[Kind]*templates{}
	for _, kind := range kinds {
		base := "templates/" + string(kind)
		subject, err := texttemplate.ParseFS(embedded, base+".subject")
		if err != nil {
			return nil, fmt.Errorf("email templates: %w", err)
		}
		text, err := texttemplate.ParseFS(embedded, base+".txt")
		if err != nil {
			return nil, fmt.Errorf("email templates: %w", err)
		}
		html, err := htmltemplate.ParseFS(embedded, "templates/layout.html", base+".html")
		if err != nil {
			return nil, fmt.Errorf("email templates: %w", err)
		}
		parsed[kind] = &templates{subject.Option("missingkey=error"), text.Option("missingkey=error"), html.Option("missingkey=error")}
	}
	return parsed, nil
}

// maxLine is how long a line may be before the transfer encoding has to fold it (RFC 5322, section 2.1.1).
const maxLine = 990

// render makes the bytes of a message. The same input gives the same bytes: name, unique for each
// message, is its Message-ID and its MIME boundary.
func (o *Outbox) render(m Mail, name string, at time.Time) ([]byte, error) {
	t := o.templates[m.Kind]
	if t == nil {
		return nil, fmt.Errorf("there is no such kind")
	}
	c := content{User: m.User, Name: m.User.Username, Token: m.Token, SiteName: o.settings.SiteName}
	if m.Token != "" {
		c.Link = o.Link(m.Kind, m.Token)
	}
	if c.Name == "" {
		c.Name = m.User.Email
	}
	var subject, text, html bytes.Buffer
	if err := t.subject.Execute(&subject, c); err != nil {
		return nil, err
	}
	if err := t.text.Execute(&text, c); err != nil {
		return nil, err
	}
	if err := t.html.ExecuteTemplate(&html, "layout.html", c); err != nil {
		return nil, err
	}

	// 8bit keeps the link in one line, for people who open the file and for scripts.
	encoding := gomail.NoEncoding
	if hasLongLine(text.String()) || hasLongLine(html.String()) {
		encoding = gomail.EncodingQP
	}
	id := strings.TrimSuffix(name, ".eml")
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithEncoding(encoding), gomail.WithBoundary("accountd-"+id))
	if to, err := mail.ParseAddress(m.To); err != nil || to.Address != m.To {
		return nil, fmt.Errorf("the recipient is not a bare address")
	}
	if err := msg.To(m.To); err != nil {
		return nil, fmt.Errorf("recipient: %w", err)
	}
	if err := msg.From(o.from.String()); err != nil {
		return nil, fmt.Errorf("sender: %w", err)
	}
	_, domain, _ := strings.Cut(o.from.Address, "@")
	msg.SetMessageIDWithValue(id + "@" + domain)
	msg.SetDateWithValue(at)
	msg.Subject(strings.Join(strings.Fields(subject.String()), " "))
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no vacation replies, please
	msg.SetBodyString(gomail.TypeTextPlain, crlf(text.String()))
	msg.AddAlternativeString(gomail.TypeTextHTML, crlf(html.String()))
	var raw bytes.Buffer
	if _, err := msg.WriteTo(&raw); err != nil {
		return nil, err
	}
	return raw.Bytes(), nil
}

// crlf ends lines as RFC 5322 wants them; with no transfer encoding nothing else does.
func crlf(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
}

func hasLongLine(s string) bool {
	for line := range strings.Lines(s) {
		if len(line) > maxLine {
			return true
		}
	}
	return false
}
