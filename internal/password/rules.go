package password

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"

	"accountd/internal/pattern"
)

// Owner is what a password is compared with: data of the user, as typed.
type Owner struct{ Username, FirstName, LastName, Email string }

// Problem is a rule that a password breaks. Message and Code are part of the API.
type Problem struct{ Message, Code string }

// Check returns the rules that a new password of o breaks, in the order of the API.
func (s Settings) Check(password string, o Owner) (problems []Problem) {
	add := func(code, message string, args ...any) {
		problems = append(problems, Problem{fmt.Sprintf(message, args...), code})
	}
	if len(password) > s.MaxBytes {
		add("password_too_long", "This password is too long. It must contain at most %d bytes.", s.MaxBytes)
		return problems
	}
	if attribute := s.similarAttribute(password, o); attribute != "" {
		add("password_too_similar", "The password is too similar to the %s.", attribute)
	}
	if utf8.RuneCountInString(password) < s.MinLength {
		plural := "s"
		if s.MinLength == 1 {
			plural = ""
		}
		add("password_too_short", "This password is too short. It must contain at least %d character%s.",
			s.MinLength, plural)
	}
	if s.Common && commonPasswords()[trim(lower(password))] {
		add("password_too_common", "This password is too common.")
	}
	if s.Numeric && isNumeric(password) {
		add("password_entirely_numeric", "This password is entirely numeric.")
	}
	return problems
}

func lower(s string) string { return cases.Lower(language.Und).String(s) }

// trim removes white space as Python does: that of Unicode, and the four information separators of ASCII.
func trim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f })
}

// similarAttribute returns the name of the first attribute that the password is too similar to; "" for none.
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

// canBeSimilar reports whether texts of these lengths, in code points, are compared: with a far shorter part that would
// take time and find nothing (CVE-2021-45115).
func (s Settings) canBeSimilar(password, part int) bool {
	return password < 10*part || float64(part) >= s.Similarity/2*float64(password)
}

var notWord = pattern.Lazy(`[^\p{L}\p{N}_]+`)

func splitWords(s string) []string { return notWord().Split(s, -1) }

// quickRatio is quick_ratio of Python's difflib: twice the number of characters that two texts share, in any order,
// over the sum of their lengths.
func quickRatio(a, b []rune) float64 {
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
