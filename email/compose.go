package email

import (
	"bytes"
	"fmt"
	"net/mail"
	"net/url"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// Composer composes messages from templates and settings. It has no side effects and is safe for concurrent use.
type Composer struct {
	settings  Settings
	from      *mail.Address
	base      *url.URL                   // Settings.LinkBase
	templates map[Kind]func() *templates // embedded ones are parsed at the first call
}

// NewComposer parses the templates in the directory of overrides and composes a message of each of their kinds, so
// that a broken template is found at start. The error has a line for each problem.
func NewComposer(s Settings) (*Composer, error) {
	from, err := mail.ParseAddress(s.From)
	if err != nil {
		return nil, fmt.Errorf("email.from %q is not an address like \"Name <name@example.com>\": %w", s.From, err)
	}
	base, err := url.Parse(s.LinkBase)
	if err != nil {
		return nil, fmt.Errorf("email.link_base: %w", err)
	}
	c := &Composer{settings: s, from: from, base: base}
	if c.templates, err = c.parseTemplates(); err != nil {
		return nil, err
	}
	return c, nil
}

// Message is a composed message.
type Message struct {
	Subject, Text, HTML string
	Raw                 []byte // RFC 5322, with CRLF
}

// Preview composes a message with sample data.
func (c *Composer) Preview(kind Kind, at time.Time) (Message, error) {
	return c.compose(c.sample(kind, at, false), "preview.eml", at)
}

// Link is the address in a message of the kind: that of the site in a notice.
func (c *Composer) Link(kind Kind, token string) string {
	base := strings.TrimRight(c.settings.LinkBase, "/")
	if kind.isNotice() {
		return base
	}
	return base + "/" + c.path(kind) + "/" + token
}

func (c *Composer) path(kind Kind) string {
	return strings.Trim(map[Kind]string{
		Activation:               c.settings.ActivationPath,
		ActivationResend:         c.settings.ActivationPath,
		SecondaryEmailActivation: c.settings.SecondaryEmailPath,
		PasswordSet:              c.settings.PasswordSetPath,
		PasswordReset:            c.settings.PasswordResetPath,
	}[kind], "/")
}

// maxLine is the longest line without a transfer encoding, in bytes (RFC 5322, section 2.1.1).
const maxLine = 990

// compose makes a message. The same input gives the same bytes. name is unique and becomes the Message-ID and the MIME
// boundary.
func (c *Composer) compose(m Mail, name string, at time.Time) (Message, error) {
	parsed, ok := c.templates[m.Kind]
	if !ok {
		return Message{}, fmt.Errorf("there is no such kind")
	}
	// The parser accepts names, comments and groups. A bare address is one that it returns unchanged.
	to, err := mail.ParseAddress(m.To)
	if err != nil || to.Address != m.To {
		return Message{}, fmt.Errorf("the recipient is not a bare address")
	}
	out, err := parsed().execute(c.content(m, at))
	if err != nil {
		return Message{}, err
	}
	// "=?" would begin an encoded word (RFC 2047), which mail programs decode.
	out.Subject = strings.ReplaceAll(strings.Join(strings.Fields(out.Subject), " "), "=?", "= ?")

	out.Raw, err = c.encode(to, name, at, out)
	return out, err
}

// encode makes the bytes of a message. name is part of the Message-ID and the MIME boundary.
func (c *Composer) encode(to *mail.Address, name string, at time.Time, m Message) ([]byte, error) {
	// 8bit keeps the link in one line, for readers of the file and for scripts.
	encoding := gomail.NoEncoding
	if hasLongLine(m.Text) || hasLongLine(m.HTML) {
		encoding = gomail.EncodingQP
	}
	id := strings.TrimSuffix(name, ".eml")
	boundary := gomail.WithBoundary("accountd-" + id)
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithEncoding(encoding), boundary)
	msg.ToMailAddress(to)
	msg.FromMailAddress(c.from)
	_, domain, _ := strings.Cut(c.from.Address, "@")
	msg.SetMessageIDWithValue(id + "@" + domain)
	msg.SetDateWithValue(at.UTC())
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: suppresses vacation replies
	msg.Subject(m.Subject)
	msg.SetBodyString(gomail.TypeTextPlain, crlf(m.Text))
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, crlf(m.HTML))
	}
	var raw bytes.Buffer
	_, err := msg.WriteTo(&raw)
	return raw.Bytes(), err
}

// crlf converts line ends to CRLF (RFC 5322), which go-mail does not without a transfer encoding.
func crlf(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n"), "\n", "\r\n")
}

func hasLongLine(s string) bool {
	for line := range strings.Lines(s) {
		if len(line) > maxLine {
			return true
		}
	}
	return false
}
