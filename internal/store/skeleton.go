package store

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/text/unicode/norm"
)

// confusables has a line for each character that looks like others: its code point, and those of its prototype. It
// is Unicode's https://www.unicode.org/Public/security/15.0.0/confusables.txt without the comments (the source
// package icu 72.1 of Debian has that file, too), made by
//
//	awk -F' ;\t' '/^[0-9A-F]/ {print $1 ";" $2}' confusables.txt
//
// Go's tables are of the same version of Unicode, so no username has a letter that is newer.
//
//go:embed data/confusables.txt
var confusables string

// prototypes maps each confusable character to its prototype. It is read when the first skeleton is made, in a few
// milliseconds.
var prototypes = sync.OnceValue(func() map[rune]string {
	table := make(map[rune]string, 6400)
	for line := range strings.Lines(confusables) {
		source, target, _ := strings.Cut(strings.TrimSpace(line), ";")
		table[codePoints(source)[0]] = string(codePoints(target))
	}
	// Unicode maps U+04CF to i, but fonts draw it like its capital U+04C0, which maps to l.
	table['\u04cf'] = "l"
	return table
})

// smallCapitals replaces prototypes that are small capitals by the prototypes of their letters. Skeletons have no
// case, and folding leaves small capitals alone, because they are lower case.
var smallCapitals = strings.NewReplacer(
	"\u1d00", "a", "\u0299", "b", "\u1d05", "d", "\u1d07", "e", "\ua730", "f", "\u0262", "g", "\u029c", "h",
	"\u1d0a", "j", "\u0138", "k", "\u029f", "l", "\u028d", "rn", "\u0274", "n", "\u1d18", "p", "\ua7af", "q",
	"\u0280", "r", "\u1d1b", "t",
)

// codePoints parses code points in hexadecimal.
func codePoints(text string) (list []rune) {
	for word := range strings.FieldsSeq(text) {
		code, err := strconv.ParseUint(word, 16, 32)
		if err != nil {
			panic("store: confusables: " + err.Error())
		}
		list = append(list, rune(code))
	}
	return list
}

// Skeleton returns the same text for texts that look alike, with or without case: the skeleton of UTS 39, section 4,
// folded. So a capital I is an l, and a Greek capital Β is a b. Use it only to compare.
func Skeleton(s string) string {
	s = prototype(s)
	for range 2 { // a prototype may be a capital, and its folded letter may have a prototype again: 0, O, o
		s = prototype(Fold(s))
	}
	return s
}

// prototype replaces each character of the NFD of a text by its prototype, and small capitals by their letters. It
// keeps invisible characters: usernames have none.
func prototype(s string) string {
	var b strings.Builder
	for _, r := range norm.NFD.String(s) {
		if prototype, ok := prototypes()[r]; ok {
			b.WriteString(prototype)
		} else {
			b.WriteRune(r)
		}
	}
	return norm.NFD.String(smallCapitals.Replace(b.String()))
}
