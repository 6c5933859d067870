package usersearch

import (
	"fmt"
	"strings"
	"testing"

	"accountd/internal/store"
)

// asked is what the index of substrings is asked for to find the first or last users after one.
func (f *file) asked(t *testing.T, conditions []Condition, after int64, descending bool, wanted int) *Query {
	t.Helper()
	q := New(conditions, &f.common)
	err := f.Read(t.Context(), func(tx *store.Tx) error {
		if err := q.Weigh(t.Context(), tx); err != nil {
			return err
		}
		return q.narrow(t.Context(), tx, Stretch{After: after, Before: NoEnd, Descending: descending, Limit: wanted})
	})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// TestWords: those who have a word that few have are all that is looked at, so that no list of all users is read with it.
func TestWords(t *testing.T) {
	t.Parallel()
	f := open(t)
	const users = 20 * fewWithWord
	f.crowd(t, users)
	is := func(lookup Lookup, text string) []Condition { return []Condition{{Username, lookup, text}} }
	both := []Condition{{Username, IContains, "crow"}, {Email, IContains, "d2559@"}}
	rare := append(is(IContains, "crowd2559"), Condition{Archived, Exact, false})
	for _, test := range []struct {
		name       string
		conditions []Condition
		after      int64
		descending bool
		wanted     int
		want       string
	}{
		{name: "a whole name", conditions: is(IContains, "crowd2559"), wanted: 21, want: `[2559]`},
		{name: "a whole address", conditions: []Condition{{Email, IContains, "crowd2559@example.com"}}, wanted: 21, want: `[559,1559,2559]`},
		{name: "a beginning that few have", conditions: is(StartsWith, "crowd255"), wanted: 21, want: `[255,2550,2551,2552,2553,2554,2555,2556,2557,2558,2559]`},
		{name: "an end that nobody has", conditions: is(IContains, "crowdx"), wanted: 21, want: `"acrowdx"`},
		{name: "a beginning that nobody has", conditions: is(IContains, "zcrowd2"), wanted: 21, want: `[]`},
		{name: "of two fields the rarer", conditions: both, wanted: 21, want: `[2559]`},
		{name: "with a switch that most have", conditions: rare, wanted: 21, want: `[2559]`},
		{name: "all that many have", conditions: is(IContains, "crowd"), wanted: 21, want: `"arowd" AND "acrow"`},
		{name: "what comes late", conditions: is(IStartsWith, "crowd2"), wanted: 21, want: `"acrowd2" AND "a\u0080crowd"`},
	} {
		for range 2 { // the second time it is known which are common
			want := strings.NewReplacer(`\u0080`, "\u0080", `\u00c0`, "\u00c0").Replace(test.want)
			q := f.asked(t, test.conditions, test.after, test.descending, test.wanted)
			got := q.match
			if got == "" {
				got = fmt.Sprint(q.args[len(q.args)-1])
			}
			if got != want {
				t.Errorf("%s: %+q is asked for, want %+q", test.name, got, want)
			}
		}
	}
}

// TestCommonWords: as many are remembered as there is room for.
func TestCommonWords(t *testing.T) {
	t.Parallel()
	var c CommonWords
	for i := range 3 * maxCommonWords {
		c.put(fmt.Sprint(i), 7)
		if len(c.reach) > maxCommonWords || c.get(fmt.Sprint(i)) != 7 || c.get("other") != 0 {
			t.Fatalf("after %d there are %d", i+1, len(c.reach))
		}
	}
}
