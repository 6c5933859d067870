package accounts

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"accountd/internal/store"
)

// asked is what the index of substrings is asked for to find the first or last users after one.
func (h *harness) asked(t *testing.T, filters []Filter, after int64, descending bool, wanted int) *filtered {
	t.Helper()
	q, err := h.filter(filters)
	if err != nil {
		t.Fatal(err)
	}
	err = h.db.Read(t.Context(), func(tx *store.Tx) error {
		if err := q.weigh(t.Context(), tx); err != nil {
			return err
		}
		return q.narrow(t.Context(), tx, stretch{after: after, before: noEnd, descending: descending, limit: wanted})
	})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// way is in which of its ways the index of substrings is asked.
func (h *harness) way(t *testing.T, filters []Filter, after int64, descending bool, wanted int) string {
	t.Helper()
	q := h.asked(t, filters, after, descending, wanted)
	switch {
	case len(q.words) < 2:
		return "the only word"
	case q.rarest != "" && q.match == q.rarest:
		return "the rarest word"
	case q.rarest != "":
		return "all words"
	case strings.Contains(q.match, " AND "):
		return "two words"
	}
	return "the few who have a word"
}

// TestWords: those who have a word that few have are all that is looked at, so that no list of all users is read with it.
func TestWords(t *testing.T) {
	h := newHarness(t)
	const users = 20 * fewWithWord
	h.crowd(t, users)
	is := func(lookup Lookup, text string) []Filter { return []Filter{{"username", lookup, text}} }
	both := []Filter{{"username", IContains, "crow"}, {"email", IContains, "d2559@"}}
	rare := append(is(IContains, "crowd2559"), Filter{"status__archived", Exact, false})
	for _, test := range []struct {
		name       string
		filters    []Filter
		after      int64
		descending bool
		wanted     int
		want       string
	}{
		{name: "a whole name", filters: is(IContains, "crowd2559"), wanted: 21, want: `[2559]`},
		{name: "a whole address", filters: []Filter{{"email", IContains, "crowd2559@example.com"}}, wanted: 21, want: `[559,1559,2559]`},
		{name: "a beginning that few have", filters: is(StartsWith, "crowd255"), wanted: 21, want: `[255,2550,2551,2552,2553,2554,2555,2556,2557,2558,2559]`},
		{name: "an end that nobody has", filters: is(IContains, "crowdx"), wanted: 21, want: `"acrowdx"`},
		{name: "a beginning that nobody has", filters: is(IContains, "zcrowd2"), wanted: 21, want: `[]`},
		{name: "of two fields the rarer", filters: both, wanted: 21, want: `[2559]`},
		{name: "with a switch that most have", filters: rare, wanted: 21, want: `[2559]`},
		{name: "all that many have", filters: is(IContains, "crowd"), wanted: 21, want: `"arowd" AND "acrow"`},
		{name: "what comes late", filters: is(IStartsWith, "crowd2"), wanted: 21, want: `"acrowd2" AND "a\u0080crowd"`},
	} {
		for range 2 { // the second time it is known which are common
			want := strings.NewReplacer(`\u0080`, "\u0080", `\u00c0`, "\u00c0").Replace(test.want)
			q := h.asked(t, test.filters, test.after, test.descending, test.wanted)
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

// TestRandomParts: whatever part is looked for, and from wherever, a page has the users that reading all names finds. The names
// are such that each way of asking the index of substrings is taken.
func TestRandomParts(t *testing.T) {
	h := newHarness(t)
	random := rand.New(rand.NewPCG(5, 6))
	syllables := []string{"an", "BE", "cor", "da", "él", "ß", "日本", "."}
	names := make([]string, 24*fewWithWord)
	for i := range names {
		names[i] = "common"
		if i > 20*fewWithWord {
			names[i] += "late" // which many have, but none of the first
		}
		for range 2 + random.IntN(3) {
			names[i] += syllables[random.IntN(len(syllables))]
		}
		names[i] += fmt.Sprintf("0%d", i)
		if i%9 == 0 {
			names[i] = "an" + names[i] + "corda"
		}
	}
	h.named(t, names)
	var all []int64
	for i := range names {
		all = append(all, h.user(t, names[i]).ID)
	}
	ways := map[string]int{}
	for range 600 {
		runes := []rune(names[random.IntN(len(names))])
		from := random.IntN(len(runes))
		part := string(runes[from : from+1+random.IntN(len(runes)-from)])
		lookup := []Lookup{Contains, IContains, StartsWith, IStartsWith}[random.IntN(4)]
		fold, in := store.Normal, strings.Contains
		if lookup == IContains || lookup == IStartsWith {
			fold = store.Fold
		}
		if lookup == StartsWith || lookup == IStartsWith {
			in = strings.HasPrefix
			part = string(runes[:1+random.IntN(len(runes))])
		}
		switch random.IntN(8) {
		case 0:
			part = "commonlate"[random.IntN(3):]
		case 1:
			part += syllables[random.IntN(len(syllables))] // maybe nobody's
		}
		var fit []int64
		for i, name := range names {
			if in(fold(name), fold(trim(part))) {
				fit = append(fit, all[i])
			}
		}
		n, somewhere := 1+random.IntN(30), all[random.IntN(len(all))]
		q := UserQuery{Filters: []Filter{{"username", lookup, part}}, Limit: 100}
		want := fit
		var previous, next, descending bool
		after := int64(0)
		first := func() {
			q.First, next = &n, len(want) > n
			want = want[:min(n, len(want))]
		}
		switch random.IntN(4) {
		case 0:
			first()
		case 1:
			at, found := slices.BinarySearch(fit, somewhere)
			if found {
				at++
			}
			q.After, previous, want, after = ptr(cursor(somewhere)), at > 0, fit[at:], somewhere
			first()
		case 2:
			at, _ := slices.BinarySearch(fit, somewhere)
			q.Before, q.Last, next, want, descending = ptr(cursor(somewhere)), &n, at < len(fit), fit[:at], true
			previous = len(want) > n
			want = want[max(0, len(want)-n):]
		case 3:
			offset := random.IntN(40)
			q.Offset, previous, want = &offset, offset > 0 && len(fit) > 0, fit[min(offset, len(fit)):]
			first()
		}
		page, err := h.Users(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		var got []int64
		for _, e := range page.Edges {
			got = append(got, e.User.ID)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || page.HasNext != next || page.HasPrevious != previous {
			t.Fatalf("%s %q, %+v: next %t, want %t, previous %t, want %t, users (-want +got):\n%s", lookup, part, q, page.HasNext, next, page.HasPrevious, previous, diff)
		}
		ways[h.way(t, q.Filters, after, descending, n+1)]++
	}
	for _, way := range []string{"the few who have a word", "two words", "the rarest word", "all words"} {
		if ways[way] < 3 {
			t.Errorf("%s: %d times of %v", way, ways[way], ways)
		}
	}
	sums := 0
	err := h.db.Read(t.Context(), func(tx *store.Tx) error {
		for _, statement := range tx.Prepared() {
			if strings.Contains(statement, "looked") {
				sums++
				if steps := h.steps(t, statement); strings.Contains(fmt.Sprint(steps), "TEMP B-TREE") || !strings.Contains(fmt.Sprint(steps), "VIRTUAL TABLE INDEX") {
					t.Errorf("%s: %q", statement, steps)
				}
			}
		}
		return nil
	})
	if err != nil || sums < 2 {
		t.Errorf("%d statements about words, %v", sums, err)
	}
}

// TestCommonWords: as many are remembered as there is room for.
func TestCommonWords(t *testing.T) {
	var c commonWords
	for i := range 3 * maxCommonWords {
		c.put(fmt.Sprint(i), 7)
		if len(c.reach) > maxCommonWords || c.get(fmt.Sprint(i)) != 7 || c.get("other") != 0 {
			t.Fatalf("after %d there are %d", i+1, len(c.reach))
		}
	}
}
