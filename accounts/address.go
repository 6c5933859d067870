package accounts

import (
	"errors"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/language"

	"accountd/internal/pattern"
)

// Address is an email address: how it is compared and how it is shown.
type Address struct {
	Canonical string // lower case, the domain in IDNA's ASCII form: one per mailbox owner
	Shown     string // the local part as typed, the domain in lower case
}

// maxText is as many bytes as an action token has room for.
const maxText = 600

// text is the address as ParseAddress reads it back from a token. Where that would take the shown domain for another
// one, or it is too long, it is the domain in ASCII.
func (a Address) text() string {
	if again, err := ParseAddress(a.Shown); err == nil && again == a && len(a.Shown) <= maxText {
		return a.Shown
	}
	return a.mailbox()
}

var errSyntax = errors.New("not an email address")

var (
	// RFC 5322 dot-atom, ASCII only: quoted local parts are refused, and folding beyond ASCII is where
	// two addresses that look alike become one (CVE-2019-19844).
	localPart  = pattern.Lazy("^[-!#$%&'*+/=?^_`{}|~0-9A-Za-z]+(\\.[-!#$%&'*+/=?^_`{}|~0-9A-Za-z]+)*$")
	domainPart = pattern.Lazy(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9-]{1,62}[A-Za-z0-9]$`)
)

// maxDomain is more than any domain of 253 characters has in bytes.
const maxDomain = 4 * 253

// toASCII maps a domain as browsers do (UTS 46), and checks what DNS checks.
var toASCII = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.VerifyDNSLength(true), idna.BidiRule())

// ParseAddress reads exactly one address, with nothing around it. It serves storing and looking up alike,
// so that both mean the same owner.
func ParseAddress(s string) (Address, error) {
	at := strings.LastIndexByte(s, '@')
	if at < 0 || !localPart().MatchString(s[:at]) {
		return Address{}, errSyntax
	}
	local, domain := s[:at], s[at+1:]
	if len(domain) > maxDomain {
		return Address{}, errSyntax // before Punycode, whose time grows with the square of a label
	}
	ascii := strings.ToLower(domain) // of ASCII only: anything else is mapped below
	if domain != "localhost" && !domainPart().MatchString(domain) {
		var err error
		if ascii, err = toASCII.ToASCII(domain); err != nil || !domainPart().MatchString(ascii) || isASCII(domain) {
			return Address{}, errSyntax
		}
	}
	return Address{
		Canonical: strings.ToLower(local) + "@" + ascii,
		Shown:     local + "@" + lower(domain),
	}, nil
}

// lower is Unicode's full lower-casing without a language: unlike strings.ToLower it keeps a dotted
// capital I apart from i, and knows the final sigma.
func lower(s string) string { return cases.Lower(language.Und).String(s) }

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 0x7f }) < 0
}
