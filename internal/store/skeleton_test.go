package store

import (
	"testing"
	"unicode"
)

// TestSkeleton: what looks alike has one skeleton, by the letter of Unicode's table.
func TestSkeleton(t *testing.T) {
	if unicode.Version != confusablesVersion {
		t.Errorf("Go knows the letters of Unicode %s: make confusables.txt.gz from that version's table", unicode.Version)
	}
	if n := len(prototypes()); n != 6311 {
		t.Errorf("%d characters have a prototype, want 6311", n)
	}
	for in, want := range map[string]string{
		"paypal":                               "paypal",
		"\u0440\u0430\u0443\u0440\u0430\u04cf": "paypal", "\u0440\u0430\u0443\u0440\u0430\u04c0": "paypal",
		"payp\u0251l": "paypal", "\u1d18aypal": "paypal", "paypa1": "paypal", "paypaI": "paypal",
		"modern": "rnodern", "modem": "rnodern", "0": "O", "o": "o", "\u00e9": "e\u0301", "stra\u00dfe": "stra\u00dfe",
		"\u0436\u0443\u043a": "\u0436yk", "": "",
	} {
		if got := Skeleton(in); got != want {
			t.Errorf("Skeleton(%+q) = %+q, want %+q", in, got, want)
		}
	}
	const capitals = "\u1d00\u0299\u1d04\u1d05\u1d07\ua730\u0262\u029c\u026a\u1d0a\u1d0b\u029f\u1d0d\u0274\u1d0f" +
		"\u1d18\ua7af\u0280\ua731\u1d1b\u1d1c\u1d20\u1d21" // of a to w
	for i, capital := range []rune(capitals) {
		letter := string(rune('a' + i))
		if got := Skeleton(string(capital)); got != Skeleton(letter) {
			t.Errorf("the small capital %U has the skeleton %q, %s %q", capital, got, letter, Skeleton(letter))
		}
	}
}
