package accounts

import (
	"errors"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"

	"accountd/internal/pattern"
	"accountd/internal/store"
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
	// Unlike strings.ToLower, lower keeps a dotted capital I different from i, and knows the final sigma.
	lower := cases.Lower(language.Und)
	return Address{Canonical: strings.ToLower(local) + "@" + ascii, Shown: local + "@" + lower.String(domain)}, nil
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 0x7f }) < 0
}

// cleanUsername is the second phase of validation for a username: it is normalised (NFKC), then validated. shown is the
// form that is stored and displayed, key the one that is unique and looked up. own is the account's address, the only
// username with an @ that is allowed.
func cleanUsername(field, value string, own Address, errs Errors) (shown, key string, ok bool) {
	shown = norm.NFKC.String(value)
	if !checkText(field, shown, maxName, errs) {
		return "", "", false // NFKC makes up to eighteen characters of one
	}
	if !validUsername(shown) || strings.Contains(shown, "@") && !isOwnAddress(shown, own) {
		errs.add(field, errInvalidUsername)
		return "", "", false
	}
	return shown, usernameKey(shown), true
}

// usernameSkeleton returns the skeleton of a username (UTS 39), which is unique: usernames that look alike have the
// same one. It is "" for an address, which is unique anyway.
func usernameSkeleton(shown string) string {
	if strings.Contains(shown, "@") {
		return ""
	}
	return store.Skeleton(shown)
}

func isOwnAddress(username string, own Address) bool {
	address, err := ParseAddress(username)
	return err == nil && own.Canonical == address.Canonical
}

// usernameKey returns the form in which usernames are compared.
func usernameKey(s string) string { return trim(store.Fold(s)) }

func validUsername(s string) bool {
	forbidden := func(r rune) bool {
		return !unicode.In(r, unicode.Letter, unicode.Number) && !strings.ContainsRune("_@.+-", r) ||
			unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
	}
	return s != "" && !strings.ContainsFunc(s, forbidden) && highlyRestrictive(s)
}

// mixtures are the sets of scripts that one username may have (UTS 39, section 5.2, "Highly Restrictive").
var mixtures = [][]*unicode.RangeTable{
	{unicode.Latin, unicode.Han, unicode.Hiragana, unicode.Katakana},
	{unicode.Latin, unicode.Han, unicode.Bopomofo},
	{unicode.Latin, unicode.Han, unicode.Hangul},
}

// highlyRestrictive reports whether all characters are of one script or of one of the mixtures. It refuses, for
// example, a Cyrillic а among Latin letters.
func highlyRestrictive(s string) bool {
	for _, script := range unicode.Scripts {
		if covered(s, script) {
			return true
		}
	}
	return slices.ContainsFunc(mixtures, func(scripts []*unicode.RangeTable) bool { return covered(s, scripts...) })
}

func covered(s string, scripts ...*unicode.RangeTable) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.In(r, scripts...) && !unicode.In(r, unicode.Common, unicode.Inherited)
	})
}
