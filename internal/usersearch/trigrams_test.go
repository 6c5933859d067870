package usersearch

import (
	"strings"
	"testing"
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
		{"some of a long text", "abcdefghijklmnopqrstuvwx",
			`"abc" AND "def" AND "ghi" AND "jkl" AND "mno" AND "pqr" AND "stu" AND "vwx"`},
	} {
		if got := trigrams(test.text); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	if got := strings.Count(trigrams(string(sixty)), " AND ") + 1; got != mostTrigrams {
		t.Errorf("%d trigrams of sixty letters, want %d", got, mostTrigrams)
	}
}
