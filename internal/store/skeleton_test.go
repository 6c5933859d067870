package store

import (
	"testing"
	"unicode"
)

// TestSkeleton: texts that look alike have one skeleton, by Unicode's table.
func TestSkeleton(t *testing.T) {
	t.Parallel()
	if unicode.Version != "15.0.0" {
		t.Errorf("got Unicode %s in Go, want 15.0.0: make confusables.txt from Go's version", unicode.Version)
	}
	if n := len(prototypes()); n != 6311 {
		t.Errorf("%d characters have a prototype, want 6311", n)
	}
	for in, want := range map[string]string{
		"paypal":                               "paypal",
		"\u0440\u0430\u0443\u0440\u0430\u04cf": "paypal", "\u0440\u0430\u0443\u0440\u0430\u04c0": "paypal",
		"payp\u0251l": "paypal", "\u1d18aypal": "paypal", "paypa1": "paypal", "paypaI": "paypal",
		"modern": "rnodern", "modem": "rnodern", "0": "o", "O": "o", "\u00e9": "e\u0301", "stra\u00dfe": "strasse",
		"\u0436\u0443\u043a": "\u0436yk", "": "",
		"PayPaI": "paypal", "paypai": "paypai", "G00GLE": "google", "\ua4d1\ua4ee\ua4ec\ua4d1\ua4ee\ua4e1": "paypal",
		"\u0392\u039f\u0392": "bob", "\u0391\u039d\u039d\u0391": "anna", "\u13a0\u13aa\u13d9\u13ac": "dave",
		"\uab79": "y", "\u13b7": "rn", "M": "rn", "IBM": "lbrn", "aIice": "alice", "vI": "vl", "VV": "vv",
	} {
		if got := Skeleton(in); got != want {
			t.Errorf("Skeleton(%+q) = %+q, want %+q", in, got, want)
		}
	}
	for r := range unicode.MaxRune {
		if !unicode.In(r, unicode.Letter, unicode.Number) {
			continue
		}
		if got := Skeleton(string(r)); prototype(Fold(got)) != got {
			t.Errorf("the skeleton of %U: got %+q, want %+q", r, got, prototype(Fold(got)))
		}
	}
	const capitals = "\u1d00\u0299\u1d04\u1d05\u1d07\ua730\u0262\u029c\u026a\u1d0a\u1d0b\u029f\u1d0d\u0274\u1d0f" +
		"\u1d18\ua7af\u0280\ua731\u1d1b\u1d1c\u1d20\u1d21" // of a to w
	for i, capital := range []rune(capitals) {
		letter := string(rune('a' + i))
		if got := Skeleton(string(capital)); got != Skeleton(letter) {
			t.Errorf("the small capital %U: got the skeleton %q, want that of %s, %q", capital, got, letter,
				Skeleton(letter))
		}
	}
}
