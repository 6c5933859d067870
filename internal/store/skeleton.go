package store

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"io"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/text/unicode/norm"
)

// confusables has a line for each character that looks like others: its code point, and those of its prototype. It
// is Unicode's https://www.unicode.org/Public/security/15.0.0/confusables.txt without the comments (the source
// package icu 72.1 of Debian has that file, too), made by
//
//	awk -F' ;\t' '/^[0-9A-F]/ {print $1 ";" $2}' confusables.txt | gzip -9n > data/confusables.txt.gz
//
//go:embed data/confusables.txt.gz
var confusables []byte

// confusablesVersion is the version of Unicode that the table is of, as are the tables of Go: no username has a
// letter that is newer.
const confusablesVersion = "15.0.0"

// prototypes are the lines of confusables. They are read when the first skeleton is made, which takes a few
// milliseconds.
var prototypes = sync.OnceValue(func() map[rune]string {
	lines, err := gzip.NewReader(bytes.NewReader(confusables))
	if err != nil {
		panic("store: confusables: " + err.Error())
	}
	text, err := io.ReadAll(lines)
	if err != nil {
		panic("store: confusables: " + err.Error())
	}
	table := make(map[rune]string, 6400)
	for line := range strings.Lines(string(text)) {
		source, target, _ := strings.Cut(strings.TrimSpace(line), ";")
		table[codePoints(source)[0]] = string(codePoints(target))
	}
	// Folding makes U+04CF of U+04C0, whose prototype is l. Unicode says i of U+04CF, where fonts draw the same bar.
	table['\u04cf'] = "l"
	return table
})

// smallCapitals are the prototypes that are small capitals, each with the prototype of its letter. Names are
// compared without case, so a letter and its small capital look alike; for Unicode, which knows case, they do not.
var smallCapitals = strings.NewReplacer(
	"\u1d00", "a", "\u0299", "b", "\u1d05", "d", "\u1d07", "e", "\ua730", "f", "\u0262", "g", "\u029c", "h",
	"\u1d0a", "j", "\u0138", "k", "\u029f", "l", "\u028d", "rn", "\u0274", "n", "\u1d18", "p", "\ua7af", "q",
	"\u0280", "r", "\u1d1b", "t",
)

// codePoints reads code points in hexadecimal.
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

// Skeleton is what texts that look alike have in common (UTS 39, section 4): of each character its prototype, in
// NFD, and of a small capital its letter's. It is for comparing only. Invisible characters are not left out:
// usernames have none.
func Skeleton(s string) string {
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
