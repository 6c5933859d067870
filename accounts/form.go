package accounts

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Longest values of the form's fields, in code points.
const (
	maxName  = 150 // username, first and last name
	maxEmail = 254 // RFC 5321 with erratum 1690
)

// trim removes white space as the API we follow does: Unicode's, and the four information separators.
func trim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f })
}

// checkText is what the first phase says of a text that is there: at most limit code points, no NUL. All that apply
// are reported, in this order.
func checkText(field, value string, limit int, errs Errors) bool {
	ok := true
	if n := utf8.RuneCountInString(value); n > limit {
		errs.add(field, errMaxLength(limit, n))
		ok = false
	}
	if strings.ContainsRune(value, 0) {
		errs.add(field, errNull)
		ok = false
	}
	return ok
}

// cleanEmail is the first phase for an address: its syntax is judged first, then length and NUL.
func cleanEmail(field, value string, errs Errors) (Address, bool) {
	clean := trim(value)
	if clean == "" {
		errs.add(field, errRequired)
		return Address{}, false
	}
	address, err := ParseAddress(clean)
	if err != nil {
		errs.add(field, errInvalidEmail)
	}
	return address, checkText(field, clean, maxEmail, errs) && err == nil
}

// cleanPassword is the first phase for a password. It is never trimmed.
func cleanPassword(field, value string, errs Errors) (ok bool) {
	switch {
	case value == "":
		errs.add(field, errRequired)
	case strings.ContainsRune(value, 0):
		errs.add(field, errNull)
	case !typable(value):
		errs.add(field, errReplacement)
	default:
		return true
	}
	return false
}

// cleanPasswords is the first phase for a password and its repetition. ok says whether the second one
// survived, so that the rules for passwords apply to it: an empty first password does not hide them, a
// mismatch does.
func cleanPasswords(field1, field2, password1, password2 string, errs Errors) (ok bool) {
	first, second := cleanPassword(field1, password1, errs), cleanPassword(field2, password2, errs)
	if first && second && password1 != password2 {
		errs.add(field2, errMismatch)
		return false
	}
	return second
}
