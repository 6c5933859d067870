package usersearch

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"accountd/internal/store"
)

// letters are what random texts are of: those that fold to others, compose, are beyond the BMP, or mean something to
// SQL, LIKE, JSON or full-text search.
var letters = []string{
	"a", "A", "b", "ab", "ß", "ẞ", "ﬁ", "İ", "ı", "Σ", "ς", "é", "e\u0301", "\u212a", "日", "本", "😀", "👩‍👩‍👧", "𝒜",
	"𠀀", "\U0010ffff", "\ufffd",
	"\ufffe", "%", "_", "*", "\"", "'", "\\", "^", "-", ":", "(", ")", "{", " AND ", "\x01", "\x02", "\x7f", "\u0080",
	",", "@", ".",
}

func randomText(random *rand.Rand, n int) string {
	var b strings.Builder
	for range n {
		b.WriteString(letters[random.IntN(len(letters))])
	}
	return b.String()
}

// memo caches the results of f.
func memo(f func(string) string) func(string) string {
	known := map[string]string{}
	return func(text string) string {
		made, ok := known[text]
		if !ok {
			made = f(text)
			known[text] = made
		}
		return made
	}
}

// TestRandomSearch: for random searches, the users are those that a comparison with each text finds.
func TestRandomSearch(t *testing.T) {
	t.Parallel()
	f := open(t)
	random := rand.New(rand.NewPCG(7, 8))
	fields := []Field{Username, FirstName, LastName, Email, SecondaryEmail}
	type user [5]string // the texts of fields
	users := make([]user, 3*few)
	for i := range users {
		u := &users[i]
		for j := range 3 {
			if i%5 != j {
				u[j] = randomText(random, random.IntN(9))
			}
			if i%2 == 0 {
				u[j] = "common " + u[j] // many begin with it
			}
		}
		u[0] += fmt.Sprint(i)
		u[3] = fmt.Sprintf("%c%d.Ab'%%_@bÜcher%d.example", "aAb"[i%3], i*7919%10007, i%4)
		if i%3 == 0 {
			u[4] = fmt.Sprintf("second%d@example.com", i)
		}
	}
	rows, err := json.Marshal(users)
	if err != nil {
		t.Fatal(err)
	}
	f.exec(t, `CREATE TABLE seed AS
		SELECT key + 1 AS id, value ->> 0 AS username, value ->> 1 AS first_name, value ->> 2 AS last_name,
		value ->> 3 AS email, value ->> 4 AS second FROM json_each(?)`, string(rows))
	canonical := func(column string) string { return "lower(replace(" + column + ", 'Ü', 'ue'))" }
	f.exec(t, `
		INSERT INTO users (id, username, username_key, email, first_name, last_name, date_joined)
		SELECT id, username, id, `+canonical("email")+`, first_name, last_name, 1 FROM seed;
		INSERT INTO addresses SELECT `+canonical("email")+`, id, email FROM seed;
		INSERT INTO addresses SELECT `+canonical("second")+`, id, second FROM seed WHERE second <> '';
		INSERT INTO user_status (user_id, secondary_email)
		SELECT id, iif(second = '', NULL, `+canonical("second")+`) FROM seed`)

	fold, normal := memo(store.Fold), memo(store.Normal)
	meets := func(u user, c Condition) bool {
		field := slices.IndexFunc(fields, func(f Field) bool { return f.folded == c.Field.folded })
		have := u[field]
		withCase := field < 3 && c.Lookup != IExact && c.Lookup != IContains && c.Lookup != IStartsWith
		compare := func(is func(have, want string) bool, want string) bool {
			return is(fold(have), fold(want)) && (!withCase || is(normal(have), normal(want)))
		}
		equal := func(have, want string) bool { return have == want }
		switch c.Lookup {
		case In:
			return slices.ContainsFunc(c.Value.([]string), func(want string) bool { return compare(equal, want) })
		case Exact, IExact:
			return compare(equal, c.Value.(string))
		case Contains, IContains:
			return compare(strings.Contains, c.Value.(string))
		}
		return compare(strings.HasPrefix, c.Value.(string))
	}
	lookups := []Lookup{Contains, IContains, StartsWith, IStartsWith, Contains, IContains, StartsWith, IStartsWith,
		Exact, IExact, In}
	condition := func() Condition {
		field := random.IntN(len(fields))
		runes := []rune(users[random.IntN(len(users))][field])
		from := random.IntN(len(runes) + 1)
		c := Condition{fields[field], lookups[random.IntN(len(lookups))], ""}
		for c.Field.kind == address && (c.Lookup == Exact || c.Lookup == IExact || c.Lookup == In) {
			c.Lookup = lookups[random.IntN(len(lookups))]
		}
		switch c.Lookup {
		case StartsWith, IStartsWith:
			from = 0
		case Exact, IExact, In:
			from = 0
			if random.IntN(4) > 0 {
				runes = runes[:max(1, len(runes)-random.IntN(2))]
			}
		}
		value := string(runes[from:])
		if c.Lookup != Exact && c.Lookup != IExact && c.Lookup != In && len(runes) > from {
			value = string(runes[from : from+1+random.IntN(len(runes)-from)])
		}
		switch random.IntN(6) {
		case 0:
			value = "common "[:1+random.IntN(7)]
		case 1:
			value += randomText(random, 1)
		case 2:
			value = strings.ToUpper(value)
		}
		if value == "" {
			value = randomText(random, 1)
		}
		c.Value = value
		if c.Lookup == In {
			c.Value = []string{value, "nobody"}
		}
		return c
	}
	found, nobody := 0, 0
	for range 800 {
		conditions := []Condition{condition()}
		if random.IntN(3) == 0 {
			conditions = append(conditions, condition())
		}
		var want []int64
		for i, u := range users {
			if !slices.ContainsFunc(conditions, func(c Condition) bool { return !meets(u, c) }) {
				want = append(want, int64(i+1))
			}
		}
		var asked []string
		for _, c := range conditions {
			asked = append(asked, fmt.Sprintf("%s %s %+q", c.Field.folded, c.Lookup, c.Value))
		}
		if got := f.find(t, conditions); !slices.Equal(got, want) {
			t.Fatalf("%s: users %d, want %d", asked, got, want)
		}
		if len(want) == 0 {
			nobody++
			continue
		}
		found++
		at, limit := int64(random.IntN(len(users))), 1+random.IntN(30)
		split, _ := slices.BinarySearch(want, at+1)
		got, others := f.stretch(t, conditions, Stretch{After: at, Before: NoEnd, Limit: limit}, &Stretch{Before: at +
			1, Limit: 1})
		if next := want[split:min(split+limit, len(want))]; !slices.Equal(got, next) || others != (split > 0) {
			t.Fatalf("%s after %d: users %d, others %t, want %d, %t", asked, at, got, others, next, split > 0)
		}
		got, others = f.stretch(t, conditions, Stretch{Before: at + 1, Limit: limit, Descending: true},
			&Stretch{After: at, Before: NoEnd, Limit: 1})
		slices.Sort(got)
		if last := want[max(0, split-limit):split]; !slices.Equal(got, last) || others != (split < len(want)) {
			t.Fatalf("%s before %d: users %d, others %t, want %d, %t", asked, at+1, got, others, last,
				split < len(want))
		}
	}
	if found < 250 || nobody < 50 {
		t.Errorf("%d searches found users and %d did not, want 250 and 50", found, nobody)
	}
}
