package email

import (
	"net/url"
	"strings"
	"time"
	"unicode"

	"accountd/internal/pattern"
)

// User is the part of an account that messages may show.
type User struct {
	ID                                                   int64
	Username, Email, FirstName, LastName, SecondaryEmail string
	IsStaff, IsActive, Verified, Archived                bool
	DateJoined                                           time.Time
	LastLogin                                            *time.Time // nil: never

	// Fields are the values of further fields: string, int64, float64, bool or time.Time; nil where there is none.
	// Templates see those that Settings.Fields names, and no others.
	Fields map[string]any
}

// content is what templates see. docs/emails.md describes it.
type content struct {
	User      User
	Name      string // the username, or the address of an account without one
	Token     string // "" in notices
	Link      string // of a notice: the site
	SiteName  string
	Domain    string // Domain, Protocol and Port are LinkBase's
	Protocol  string
	Port      string
	Path      string // "" in notices
	Timestamp time.Time
	Variables map[string]string
}

// content makes what users have written harmless where templates cannot: in the plain text and the subject.
func (c *Composer) content(m Mail, at time.Time) content {
	u := m.User
	name := plain(u.Username)
	if name == "" {
		name = shorten(oneLine(u.Email))
	}
	u.Username, u.FirstName, u.LastName = plain(u.Username), plain(u.FirstName), plain(u.LastName)
	u.Email, u.SecondaryEmail = oneLine(u.Email), oneLine(u.SecondaryEmail)
	u.DateJoined = u.DateJoined.UTC()
	u.Fields = make(map[string]any, len(c.settings.Fields))
	for field := range c.settings.Fields {
		switch value := m.User.Fields[field].(type) {
		case nil:
			u.Fields[field] = "" // shown as nothing, and false for {{if}} and {{with}}
		case string:
			u.Fields[field] = plain(value)
		case time.Time:
			u.Fields[field] = value.UTC()
		default:
			u.Fields[field] = value
		}
	}
	return content{
		User: u, Name: name, Token: m.Token, Link: c.Link(m.Kind, m.Token), SiteName: c.settings.SiteName,
		Domain: c.base.Hostname(), Protocol: c.base.Scheme, Port: port(c.base), Path: c.path(m.Kind),
		Timestamp: at.UTC(), Variables: c.settings.Variables,
	}
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	default:
		return "80"
	}
}

// maxShown is how much of a name messages show, in characters. A text of somebody else's does not fit into it.
const maxShown = 80

// clickable finds what mail programs make a link of although nobody marked it as one: a scheme, www., a host with a
// path. A bare domain is let be: ada.lovelace and ada@example.com are names.
var clickable = pattern.Lazy(`(?i)://|(?:^|[^\pL\pN@._+-])www\.|[^/]\.[^/]*/`)

var unlink = strings.NewReplacer("://", " ", ".", " . ")

// plain is a name as messages show it: in one line, short, and without anything to click on. Whoever registers with
// somebody else's address chooses what that person reads.
func plain(name string) string {
	words := strings.Fields(oneLine(name))
	for i, word := range words {
		if clickable().MatchString(word) {
			words[i] = strings.TrimSpace(unlink.Replace(word))
		}
	}
	return shorten(strings.Join(words, " "))
}

// oneLine takes out what ends lines, is not seen, or turns the direction of writing. The two joiners stay: some scripts
// need them.
func oneLine(s string) string {
	const nonJoiner, joiner = '\u200c', '\u200d'
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == nonJoiner || r == joiner:
			return r
		case unicode.Is(unicode.Cf, r):
			return -1
		case unicode.IsSpace(r) || unicode.IsControl(r):
			return ' '
		default:
			return r
		}
	}, strings.ToValidUTF8(s, "\ufffd")))
}

func shorten(s string) string {
	if runes := []rune(s); len(runes) > maxShown {
		return string(runes[:maxShown-1]) + "…"
	}
	return s
}

// when is how templates write a time.
func when(t time.Time) string { return t.UTC().Format("2 January 2006 at 15:04 UTC") }

// sample is a message of a kind as previews show it and the check at start makes it. A sparse one is of an account that
// has nothing it need not have.
func (c *Composer) sample(kind Kind, at time.Time, sparse bool) Mail {
	m := Mail{Kind: kind, To: "ada@example.com", User: User{ID: 1, Email: "ada@example.com", IsActive: true, DateJoined: at}}
	if !kind.isNotice() {
		m.Token = "sample-token"
	}
	if !sparse {
		m.User.Username, m.User.FirstName, m.User.LastName, m.User.SecondaryEmail = "ada", "Ada", "Lovelace", "ada@home.example"
		m.User.IsStaff, m.User.Verified, m.User.Archived, m.User.LastLogin = true, true, true, &at
		m.User.Fields = c.settings.Fields
	}
	return m
}
