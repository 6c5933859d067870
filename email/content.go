package email

import (
	"cmp"
	"strings"
	"time"
	"unicode"

	"accountd/internal/pattern"
)

// User is the part of an account that templates see.
type User struct {
	ID                                                   int64
	Username, Email, FirstName, LastName, SecondaryEmail string
	IsStaff, IsActive, Verified, Archived                bool
	DateJoined                                           time.Time
	LastLogin                                            *time.Time // nil: never

	// Fields are the values of configured fields: string, int64, float64, bool, time.Time or nil. Templates see only
	// those in Settings.Fields.
	Fields map[string]any
}

// content is the data of templates. docs/emails.md describes it.
type content struct {
	User      User
	Name      string // the username; without one the address
	Token     string // "" in notices
	Link      string // to the site in notices
	SiteName  string
	Domain    string // Domain, Protocol and Port are LinkBase's
	Protocol  string
	Port      string
	Path      string // "" in notices
	Timestamp time.Time
	Variables map[string]string
}

// content makes input of users harmless in the plain text and the subject, which templates do not escape.
func (c *Composer) content(m Mail, at time.Time) content {
	u := m.User
	u.Username, u.FirstName, u.LastName = sanitizeName(u.Username), sanitizeName(u.FirstName), sanitizeName(u.LastName)
	u.Email, u.SecondaryEmail = oneLine(u.Email), oneLine(u.SecondaryEmail)
	u.DateJoined = u.DateJoined.UTC()
	u.Fields = make(map[string]any, len(c.settings.Fields))
	for field := range c.settings.Fields {
		switch value := m.User.Fields[field].(type) {
		case nil:
			u.Fields[field] = "" // empty text, false for {{if}} and {{with}}
		case string:
			u.Fields[field] = sanitizeName(value)
		case time.Time:
			u.Fields[field] = value.UTC()
		default:
			u.Fields[field] = value
		}
	}
	return content{
		User: u, Name: cmp.Or(u.Username, truncate(u.Email, maxShown)),
		Token: m.Token, Link: c.Link(m.Kind, m.Token), SiteName: c.settings.SiteName,
		Domain: c.base.Hostname(), Protocol: c.base.Scheme, Path: c.path(m.Kind),
		Port:      cmp.Or(c.base.Port(), map[string]string{"https": "443"}[c.base.Scheme], "80"),
		Timestamp: at.UTC(), Variables: c.settings.Variables,
	}
}

// maxShown bounds a name in a message, in characters. It leaves little room for a text by an attacker.
const maxShown = 80

// clickable matches text that mail programs turn into a link: a scheme, www., or a host with a path. It does not
// match bare domains, because ada.lovelace and ada@example.com are names.
var clickable = pattern.Lazy(`(?i)://|(?:^|[^\pL\pN@._+-])www\.|[^/]\.[^/]*/`)

var breakLinks = strings.NewReplacer("://", " ", ".", " . ")

// sanitizeName makes a name one short line without links. A stranger who registers with somebody's address chooses the
// name in the mail to that address.
func sanitizeName(name string) string {
	words := strings.Fields(oneLine(name))
	for i, word := range words {
		if clickable().MatchString(word) {
			words[i] = strings.TrimSpace(breakLinks.Replace(word))
		}
	}
	return truncate(strings.Join(words, " "), maxShown)
}

// oneLine removes line ends, invisible characters and changes of the writing direction. The two joiners stay, because
// some scripts need them.
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

// truncate shortens s to the most characters.
func truncate(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}

// when formats a time in templates.
func when(t time.Time) string { return t.UTC().Format("2 January 2006 at 15:04 UTC") }

// sample is the input for previews and for checks of templates. A sparse one is of an account without optional values.
func (c *Composer) sample(kind Kind, at time.Time, sparse bool) Mail {
	const address = "ada@example.com"
	m := Mail{Kind: kind, To: address, User: User{ID: 1, Email: address, IsActive: true, DateJoined: at}}
	if !kind.isNotice() {
		m.Token = "sample-token"
	}
	if !sparse {
		m.User.Username, m.User.FirstName, m.User.LastName = "ada", "Ada", "Lovelace"
		m.User.SecondaryEmail = "ada@home.example"
		m.User.IsStaff, m.User.Verified, m.User.Archived, m.User.LastLogin = true, true, true, &at
		m.User.Fields = c.settings.Fields
	}
	return m
}
