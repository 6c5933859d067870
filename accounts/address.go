package accounts

import (
	"errors"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/language"

	"accountd/internal/pattern"
)

// Address is an email address in two forms.
type Address struct {
	Canonical string // lower case, the domain in IDNA's ASCII form: what is compared and unique
	Shown     string // the local part as typed, the domain in lower case
}

// maxText is how many bytes an action token has for an address.
const maxText = 600

// text returns the address for an action token: a text that ParseAddress reads back as this address, with the domain in
// ASCII where the shown one is too long or would be read as another.
func (a Address) text() string {
	if again, err := ParseAddress(a.Shown); err == nil && again == a && len(a.Shown) <= maxText {
		return a.Shown
	}
	return a.mailbox()
}

// mailbox returns the address to which mail is sent: the local part as typed, the domain in ASCII.
func (a Address) mailbox() string {
	local, _, _ := strings.Cut(a.Shown, "@")
	_, domain, _ := strings.Cut(a.Canonical, "@")
	return local + "@" + domain
}

var errSyntax = errors.New("not an email address")

var (
	// RFC 5322 dot-atom, ASCII only. Quoted local parts are refused. Case folding beyond ASCII would make two different
	// addresses one (CVE-2019-19844).
	localPart  = pattern.Lazy("^[-!#$%&'*+/=?^_`{}|~0-9A-Za-z]+(\\.[-!#$%&'*+/=?^_`{}|~0-9A-Za-z]+)*$")
	domainPart = pattern.Lazy(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9-]{1,62}[A-Za-z0-9]$`)
)

// maxDomain is at least the length in bytes of a domain of 253 characters.
const maxDomain = 4 * 253

// toASCII maps a domain as browsers do (UTS 46), and checks what DNS checks.
var toASCII = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.VerifyDNSLength(true), idna.BidiRule())

// ParseAddress reads exactly one address, with nothing around it. Addresses that are stored and addresses that are
// looked up both go through it, so both have the same canonical form.
func ParseAddress(s string) (Address, error) {
	at := strings.LastIndexByte(s, '@')
	if at < 0 || !localPart().MatchString(s[:at]) {
		return Address{}, errSyntax
	}
	local, domain := s[:at], s[at+1:]
	if len(domain) > maxDomain {
		return Address{}, errSyntax // Punycode takes time quadratic in the length of a label
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

// lower is Unicode's full lower-casing without a language. Unlike strings.ToLower it keeps a dotted capital I different
// from i, and knows the final sigma.
func lower(s string) string { return cases.Lower(language.Und).String(s) }

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 0x7f }) < 0
}
