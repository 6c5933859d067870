package usersearch

import (
	"strings"
	"testing"

	"accountd/internal/store"
)

func TestTrigrams(t *testing.T) {
	t.Parallel()
	sixty := []rune(strings.Repeat("0123456789", 6))
	for i := range sixty {
		sixty[i] += rune(i) * 16 // each letter once
	}
	for _, test := range []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"two letters", "ab", ""},
		{"three letters", "abc", `"abc"`},
		{"all of a short text", "abcdef", `"abc" AND "bcd" AND "cde" AND "def"`},
		{"each once", "aaaaaa", `"aaa"`},
		{"a beginning", mark + "a", "\"\x02\x02a\""},
		{"letters of several bytes", "日本😀é", `"日本😀" AND "本😀é"`},
		{"quotes", `a"""`, `"a""""" AND """"""""`},
		{"syntax", "a OR*", `"a O" AND " OR" AND "OR*"`},
	} {
		if got := strings.Join(trigrams(test.text), " AND "); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	got := trigrams(string(sixty))
	if first, last := string(sixty[:3]), string(sixty[57:]); len(got) != mostTrigrams || got[0] != `"`+first+`"` ||
		got[mostTrigrams-1] != `"`+last+`"` {
		t.Errorf("trigrams of sixty letters: %q, want %d from %q to %q", got, mostTrigrams, first, last)
	}
}

// TestRarest: a search asks for the trigrams that no users or few users have, wherever they are in the text.
func TestRarest(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.crowd(t, 2000)
	for _, test := range []struct{ text, want string }{
		{"crow", `"cro" AND "row"`},                  // not more than are asked for
		{"crowd", `"cro" AND "row" AND "owd"`},       // as many as are asked for
		{"crowd1999", `"199" AND "999" AND "d19"`},   // the rarest first
		{"1crowd", `"1cr" AND "cro" AND "row"`},      // no user, then the first of equals
		{"crowdxyz", `"wdx" AND "dxy" AND "xyz"`},    // no users
		{"xyzcrowdxyz", `"xyz" AND "yzc" AND "zcr"`}, // no users, in the order of the text
	} {
		err := f.Read(t.Context(), func(tx *store.Tx) error {
			got, err := New(nil).rarest(t.Context(), tx, "search_username", trigrams(test.text))
			if got != test.want {
				t.Errorf("%s: %s, want %s", test.text, got, test.want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
