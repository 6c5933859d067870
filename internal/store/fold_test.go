package store

import (
	"testing"
	"unicode"
)

// TestFold: letters that differ in case only have one folded form, which is its own.
func TestFold(t *testing.T) {
	t.Parallel()
	for r := rune(0); r <= unicode.MaxRune; r++ {
		folded := ""
		for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
			if folded = Fold(string(r)); Fold(string(other)) != folded {
				t.Errorf("%U: got %+q, want %+[4]q as for %[3]U", r, folded, other, Fold(string(other)))
			}
		}
		if again := Fold(folded); again != folded {
			t.Errorf("%U: got %+q folded again, want %+q", r, again, folded)
		}
	}
	for in, want := range map[string]string{
		"Straße": "strasse", "ｆｕｌｌ": "full", "ΟΔΟΣ": "οδοσ", "\u1fb3": "\u03b1\u03b9", "\u00c5": "\u00e5",
		"A\u030a": "\u00e5", "\ufb03": "ffi", "\uab70\u13a0": "\u13a0\u13a0",
	} {
		if got := Fold(in); got != want {
			t.Errorf("Fold(%+q) = %+q, want %+q", in, got, want)
		}
	}
}
