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

// TestRandomParts: for random parts and positions, a page has the same users as a comparison with all names.
func TestRandomParts(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	random := rand.New(rand.NewPCG(5, 6))
	syllables := []string{"an", "BE", "cor", "da", "él", "ß", "日本", "."}
	names := make([]string, 3000)
	for i := range names {
		names[i] = "common"
		if i > 2500 {
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
	h.insert(t, names)
	var all []int64
	for i := range names {
		all = append(all, h.user(t, names[i]).ID)
	}
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
		var previous, next bool
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
			q.After, previous, want = ptr(cursor(somewhere)), at > 0, fit[at:]
			first()
		case 2:
			at, _ := slices.BinarySearch(fit, somewhere)
			q.Before, q.Last, next, want = ptr(cursor(somewhere)), &n, at < len(fit), fit[:at]
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
		for _, u := range page.Users {
			got = append(got, u.ID)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || page.HasNext != next ||
			page.HasPrevious != previous {
			t.Fatalf("%s %q, %+v: next %t, want %t, previous %t, want %t, users (-want +got):\n%s", lookup, part, q,
				page.HasNext, next, page.HasPrevious, previous, diff)
		}
	}
}
