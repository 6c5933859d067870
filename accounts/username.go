package accounts

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"accountd/internal/store"
)

// cleanUsername is the second phase for a username that survived the first: it is normalised (NFKC) and
// then judged. shown is what is stored and displayed, key what makes it unique and is looked up. own is the
// account's address, the only username with an @ that is allowed.
func cleanUsername(field, value string, own Address, errs Errors) (shown, key string, ok bool) {
	shown = norm.NFKC.String(value)
	if !checkText(field, shown, maxName, errs) {
		return "", "", false // one character can become eighteen
	}
	if !validUsername(shown) || strings.Contains(shown, "@") && !isOwnAddress(shown, own) {
		errs.add(field, errInvalidUsername)
		return "", "", false
	}
	return shown, usernameKey(shown), true
}

// usernameSkeleton is what no other account's username may have in common with this one; "" for none. A name that is
// an address looks like what it is.
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

// usernameKey is the form in which usernames are compared.
func usernameKey(s string) string { return trim(store.Fold(s)) }

func validUsername(s string) bool {
	for _, r := range s {
		letter := unicode.IsLetter(r) || unicode.IsNumber(r) || strings.ContainsRune("_@.+-", r)
		if !letter || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) {
			return false
		}
	}
	return s != "" && highlyRestrictive(s)
}

// mixtures are the scripts that may stand together beside Latin (UTS 39, section 5.2, "Highly Restrictive").
var mixtures = [][]*unicode.RangeTable{
	{unicode.Latin, unicode.Han, unicode.Hiragana, unicode.Katakana},
	{unicode.Latin, unicode.Han, unicode.Bopomofo},
	{unicode.Latin, unicode.Han, unicode.Hangul},
}

// highlyRestrictive reports whether all characters are of one script, or of one of the mixtures in which
// Latin is at home: a Cyrillic а among Latin letters is somebody else's name.
func highlyRestrictive(s string) bool {
	single := scriptOf(firstWithScript(s))
	if single == nil || covered(s, single) {
		return true
	}
	for _, mixture := range mixtures {
		if covered(s, mixture...) {
			return true
		}
	}
	return false
}

func firstWithScript(s string) rune {
	for _, r := range s {
		if !unicode.In(r, unicode.Common, unicode.Inherited) {
			return r
		}
	}
	return -1
}

// scriptOf returns the script of r, nil for none.
func scriptOf(r rune) *unicode.RangeTable {
	for _, table := range unicode.Scripts {
		if unicode.Is(table, r) {
			return table
		}
	}
	return nil
}

func covered(s string, scripts ...*unicode.RangeTable) bool {
	allowed := append([]*unicode.RangeTable{unicode.Common, unicode.Inherited}, scripts...)
	for _, r := range s {
		if !unicode.In(r, allowed...) {
			return false
		}
	}
	return true
}
