package accounts

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"accountd/internal/store"
)

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
