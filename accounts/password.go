package accounts

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"accountd/internal/pattern"
)

// PasswordSettings are the rules for new passwords and how they are hashed.
type PasswordSettings struct {
	MinLength  int     // code points; 0: any
	Similarity float64 // how alike a password and the user's own data may be, 0 to 1; 0: not checked
	Common     bool    // refuse common passwords
	Numeric    bool    // refuse passwords of digits only
	MaxBytes   int     // checked before anything else is computed
	Argon2     Argon2Settings
}

// similarTo is the user's own data, as typed.
type similarTo struct{ Username, FirstName, LastName, Email string }

// checkPassword is the third phase: everything the rules say against a password, in the order of the API.
func (s PasswordSettings) checkPassword(field, password string, who similarTo, errs Errors) {
	if len(password) > s.MaxBytes {
		errs.add(field, errTooLong(s.MaxBytes))
		return
	}
	if attribute := s.similarAttribute(password, who); attribute != "" {
		errs.add(field, errTooSimilar(attribute))
	}
	if utf8.RuneCountInString(password) < s.MinLength {
		errs.add(field, errTooShort(s.MinLength))
	}
	if s.Common && commonPasswords()[trim(lower(password))] {
		errs.add(field, errTooCommon)
	}
	if s.Numeric && isNumeric(password) {
		errs.add(field, errNumeric)
	}
}

// similarAttribute names the first attribute that the password is too similar to, "" for none.
func (s PasswordSettings) similarAttribute(password string, who similarTo) string {
	if s.Similarity == 0 {
		return ""
	}
	folded := []rune(lower(password))
	for _, attribute := range []struct{ name, value string }{
		{"username", who.Username}, {"first name", who.FirstName}, {"last name", who.LastName}, {"email address", who.Email},
	} {
		if attribute.value == "" {
			continue
		}
		value := lower(attribute.value)
		for _, part := range append(splitWords(value), value) {
			runes := []rune(part)
			if s.canBeSimilar(len(folded), len(runes)) && quickRatio(folded, runes) >= s.Similarity {
				return attribute.name
			}
		}
	}
	return ""
}

// canBeSimilar tells by lengths: comparing with something far shorter costs time and finds nothing (CVE-2021-45115).
func (s PasswordSettings) canBeSimilar(password, part int) bool {
	return password < 10*part || float64(part) >= s.Similarity/2*float64(password)
}

var notWord = pattern.Lazy(`[^\p{L}\p{N}_]+`)

func splitWords(s string) []string { return notWord().Split(s, -1) }

// quickRatio is twice the number of characters that two texts share, whatever their order, over their
// length together: the upper bound of Ratcliff and Obershelp's similarity that Python's difflib computes.
func quickRatio(a, b []rune) float64 {
	if len(a)+len(b) == 0 {
		return 1
	}
	available := make(map[rune]int, len(b))
	for _, r := range b {
		available[r]++
	}
	shared := 0
	for _, r := range a {
		if available[r] > 0 {
			available[r]--
			shared++
		}
	}
	return 2 * float64(shared) / float64(len(a)+len(b))
}

// isNumeric reports whether every character is a digit, of any script, raised or circled ones too.
func isNumeric(s string) bool {
	for _, r := range s {
		if !unicode.IsDigit(r) && !unicode.Is(otherDigits, r) {
			return false
		}
	}
	return s != ""
}

// otherDigits are the characters of Numeric_Type=Digit in the Unicode character database: digits that are
// no decimal numbers.
var otherDigits = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0xb2, Hi: 0xb3, Stride: 1}, {Lo: 0xb9, Hi: 0xb9, Stride: 1}, {Lo: 0x1369, Hi: 0x1371, Stride: 1},
		{Lo: 0x19da, Hi: 0x19da, Stride: 1}, {Lo: 0x2070, Hi: 0x2070, Stride: 1}, {Lo: 0x2074, Hi: 0x2079, Stride: 1},
		{Lo: 0x2080, Hi: 0x2089, Stride: 1}, {Lo: 0x2460, Hi: 0x2468, Stride: 1}, {Lo: 0x2474, Hi: 0x247c, Stride: 1},
		{Lo: 0x2488, Hi: 0x2490, Stride: 1}, {Lo: 0x24ea, Hi: 0x24ea, Stride: 1}, {Lo: 0x24f5, Hi: 0x24fd, Stride: 1},
		{Lo: 0x24ff, Hi: 0x24ff, Stride: 1}, {Lo: 0x2776, Hi: 0x277e, Stride: 1}, {Lo: 0x2780, Hi: 0x2788, Stride: 1},
		{Lo: 0x278a, Hi: 0x2792, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x10a40, Hi: 0x10a43, Stride: 1}, {Lo: 0x10e60, Hi: 0x10e68, Stride: 1},
		{Lo: 0x11052, Hi: 0x1105a, Stride: 1}, {Lo: 0x1f100, Hi: 0x1f10a, Stride: 1},
	},
	LatinOffset: 2,
}

//go:embed data/common-passwords.txt.gz
var commonPasswordsGz []byte

// commonPasswords is the embedded list, unpacked at its first use.
var commonPasswords = sync.OnceValue(func() map[string]bool {
	unpacked, err := gzip.NewReader(bytes.NewReader(commonPasswordsGz))
	if err != nil {
		panic("accounts: embedded list of common passwords: " + err.Error())
	}
	list := make(map[string]bool, 20_000)
	lines := bufio.NewScanner(unpacked)
	for lines.Scan() {
		list[strings.TrimSpace(lines.Text())] = true
	}
	if err := lines.Err(); err != nil {
		panic("accounts: embedded list of common passwords: " + err.Error())
	}
	return list
})
