package store

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestSubstring(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		column    SearchColumn
		text      string
		beginning bool
		want      []string
	}{
		{"one letter", SearchUsername, "x", false, []string{`"ax"`}},
		{"two letters", SearchEmail, "xy", false, []string{`"bxy"`}},
		{"three letters", SearchFirstName, "xyz", false, []string{`"cxyz"`}},
		{"four letters", SearchLastName, "wxyz", false, []string{`"dwxyz"`}},
		{"five letters", SearchSecondaryEmail, "vwxyz", false, []string{`"ewxyz"`, `"evwxy"`}},
		{"six letters", SearchUsername, "uvwxyz", false, []string{`"auvwxyz"`}},
		{"seven letters", SearchUsername, "tuvwxyz", false, []string{`"auvwxyz"`, `"atuvwxy"`}},
		{"twelve letters", SearchUsername, "abcdef123456", false, []string{`"a123456"`, `"aabcdef"`}},
		{"as many as are looked for, and the last", SearchUsername, "aaaaaabbbbbbccccccddddddeeeeeef", false, []string{`"aeeeeef"`, `"aaaaaaa"`, `"abbbbbb"`, `"acccccc"`}},
		{"the same again and again", SearchUsername, strings.Repeat("x", 100), false, []string{`"axxxxxx"`}},
		{"the beginning", SearchUsername, "x", true, []string{"\"a\u0080x\""}},
		{"a beginning of three", SearchUsername, "xyz", true, []string{"\"a\u0080xyz\""}},
		{"signs", SearchEmail, "@.", false, []string{"\"b\u00c0\u00ae\""}},
		{"quotes", SearchEmail, `"`, false, []string{"\"b\u00a2\""}},
		{"what is not in ASCII", SearchUsername, "日本語", false, []string{`"a日本語"`}},
	} {
		if got := Substring(test.column, test.text, test.beginning); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// TestGramsHoldEverySubstring: whatever part of a text is looked for, the text has all the words that it is looked for by. The other
// way round the row decides.
func TestGramsHoldEverySubstring(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	letters := []rune("aabcß@. \"'-_\x01\x7f\u0080é日😀0")
	for range 2000 {
		runes := make([]rune, 1+random.IntN(20))
		for i := range runes {
			runes[i] = letters[random.IntN(len(letters))]
		}
		column := SearchColumn(random.IntN(int(searchColumns)))
		words := strings.Split(string(appendGrams(nil, column, string(runes))), " ")
		from := random.IntN(len(runes))
		part := string(runes[from : from+1+random.IntN(len(runes)-from)])
		for _, word := range Substring(column, part, from == 0) {
			if !slices.Contains(words, strings.Trim(word, `"`)) {
				t.Fatalf("%q has no word %s of its part %q: %q", string(runes), word, part, words)
			}
		}
	}
	if words := appendGrams(nil, SearchUsername, ""); len(words) > 0 {
		t.Errorf("an empty text has the words %q", words)
	}
}

// TestGramsInSQL: nothing of NULL, an error for what is no text.
func TestGramsInSQL(t *testing.T) {
	t.Parallel()
	db := open(t, t.TempDir()+"/test.db")
	grams := func(args ...any) (text string, err error) {
		err = db.Read(t.Context(), func(tx *Tx) error {
			return tx.QueryRowContext(t.Context(), `SELECT grams(?, ?, ?, ?, ?)`, args...).Scan(&text)
		})
		return text, err
	}
	if got, err := grams("ab", nil, "", "b", nil); err != nil || got != "aa ab a\u0080a aab a\u0080ab db d\u0080b " {
		t.Errorf("grams are %q, %v", got, err)
	}
	if got, err := grams("ab", 5, nil, nil, nil); err == nil || !strings.Contains(err.Error(), "grams of a int64") {
		t.Errorf("grams are %q, %v", got, err)
	}
}
