package password

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"

	"accountd/internal/pattern"
)

// Owner is the user's own data, as typed.
type Owner struct{ Username, FirstName, LastName, Email string }

// Problem is what a rule says against a password. Message and Code are part of the API.
type Problem struct{ Message, Code string }

// The problems without numbers and names, to the letter of the API.
var (
	errTooCommon = Problem{"This password is too common.", "password_too_common"}
	errNumeric   = Problem{"This password is entirely numeric.", "password_entirely_numeric"}
)

func errTooShort(limit int) Problem {
	plural := "s"
	if limit == 1 {
		plural = ""
	}
	message := fmt.Sprintf("This password is too short. It must contain at least %d character%s.", limit, plural)
	return Problem{message, "password_too_short"}
}

func errTooLong(limit int) Problem {
	message := fmt.Sprintf("This password is too long. It must contain at most %d bytes.", limit)
	return Problem{message, "password_too_long"}
}

func errTooSimilar(attribute string) Problem {
	return Problem{fmt.Sprintf("The password is too similar to the %s.", attribute), "password_too_similar"}
}

// Check returns everything the rules say against a new password of o, in the order of the API.
func (s Settings) Check(password string, o Owner) (problems []Problem) {
	if len(password) > s.MaxBytes {
		return []Problem{errTooLong(s.MaxBytes)}
	}
	if attribute := s.similarAttribute(password, o); attribute != "" {
		problems = append(problems, errTooSimilar(attribute))
	}
	if utf8.RuneCountInString(password) < s.MinLength {
		problems = append(problems, errTooShort(s.MinLength))
	}
	if s.Common && commonPasswords()[trim(lower(password))] {
		problems = append(problems, errTooCommon)
	}
	if s.Numeric && isNumeric(password) {
		problems = append(problems, errNumeric)
	}
	return problems
}

func lower(s string) string { return cases.Lower(language.Und).String(s) }

// trim removes white space as the API we follow does: Unicode's, and the four information separators.
func trim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f })
}

// similarAttribute names the first attribute that the password is too similar to, "" for none.
func (s Settings) similarAttribute(password string, o Owner) string {
	if s.Similarity == 0 {
		return ""
	}
	folded := []rune(lower(password))
	for _, attribute := range []struct{ name, value string }{
		{"username", o.Username}, {"first name", o.FirstName}, {"last name", o.LastName}, {"email address", o.Email},
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
func (s Settings) canBeSimilar(password, part int) bool {
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
		panic("password: embedded list of common passwords: " + err.Error())
	}
	list := make(map[string]bool, 20_000)
	lines := bufio.NewScanner(unpacked)
	for lines.Scan() {
		list[strings.TrimSpace(lines.Text())] = true
	}
	if err := lines.Err(); err != nil {
		panic("password: embedded list of common passwords: " + err.Error())
	}
	return list
})
