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

// Composer makes messages out of templates and settings. It changes nothing, and many may use it at once.
type Composer struct {
	settings  Settings
	from      *mail.Address
	base      *url.URL                   // Settings.LinkBase
	templates map[Kind]func() *templates // at the first call of an embedded one it is parsed
}

// NewComposer reads the templates of the directory, and makes a message of every kind with them, so that what is wrong with one is
// found at start. Everything that is wrong comes back as one error, a line for each.
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

// Message is a message, and what its reader sees of it.
type Message struct {
	Subject, Text, HTML string
	Raw                 []byte // RFC 5322, with CRLF
}

// Preview makes a message of the kind with sample data.
func (c *Composer) Preview(kind Kind, at time.Time) (Message, error) {
	return c.compose(c.sample(kind, at, false), "preview.eml", at)
}

// Link is the address that a message of this kind points to: the site, for a notice.
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

// maxLine is how long a line may be before the transfer encoding has to fold it (RFC 5322, section 2.1.1).
const maxLine = 990

// compose makes a message. The same input gives the same bytes: name, unique for each message, is its Message-ID and
// its MIME boundary.
func (c *Composer) compose(m Mail, name string, at time.Time) (Message, error) {
	parsed, ok := c.templates[m.Kind]
	if !ok {
		return Message{}, fmt.Errorf("there is no such kind")
	}
	// The parser takes names, comments and groups; a bare address is what it gives back unchanged.
	if to, err := mail.ParseAddress(m.To); err != nil || to.Address != m.To {
		return Message{}, fmt.Errorf("the recipient is not a bare address")
	}
	out, err := parsed().execute(c.content(m, at))
	if err != nil {
		return Message{}, err
	}
	// "=?" would begin an encoded word (RFC 2047), which readers decode whoever wrote it.
	out.Subject = strings.ReplaceAll(strings.Join(strings.Fields(out.Subject), " "), "=?", "= ?")

	// 8bit keeps the link in one line, for people who open the file and for scripts.
	encoding := gomail.NoEncoding
	if hasLongLine(out.Text) || hasLongLine(out.HTML) {
		encoding = gomail.EncodingQP
	}
	msg, err := c.message(m.To, strings.TrimSuffix(name, ".eml"), at, encoding)
	if err != nil {
		return Message{}, err
	}
	msg.Subject(out.Subject)
	msg.SetBodyString(gomail.TypeTextPlain, crlf(out.Text))
	msg.AddAlternativeString(gomail.TypeTextHTML, crlf(out.HTML))
	var raw bytes.Buffer
	if _, err := msg.WriteTo(&raw); err != nil {
		return Message{}, err
	}
	out.Raw = raw.Bytes()
	return out, nil
}

// message is one without subject and body. The id is part of its Message-ID and its MIME boundary.
func (c *Composer) message(to, id string, at time.Time, encoding gomail.Encoding) (*gomail.Msg, error) {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithEncoding(encoding), gomail.WithBoundary("accountd-"+id))
	if err := msg.To(to); err != nil {
		return nil, fmt.Errorf("recipient: %w", err)
	}
	msg.FromMailAddress(c.from)
	_, domain, _ := strings.Cut(c.from.Address, "@")
	msg.SetMessageIDWithValue(id + "@" + domain)
	msg.SetDateWithValue(at.UTC())
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no vacation replies, please
	return msg, nil
}

// crlf ends lines as RFC 5322 wants them; with no transfer encoding nothing else does.
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
