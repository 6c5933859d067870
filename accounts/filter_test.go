package accounts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"accountd/internal/store"
	"accountd/internal/usersearch"
)

// The lookups, for short.
const (
	Exact       = usersearch.Exact
	IExact      = usersearch.IExact
	Contains    = usersearch.Contains
	IContains   = usersearch.IContains
	StartsWith  = usersearch.StartsWith
	IStartsWith = usersearch.IStartsWith
	In          = usersearch.In
)

// names are who q finds, in order.
func (h *harness) names(t *testing.T, filters ...Filter) []string {
	t.Helper()
	page, err := h.Users(t.Context(), UserQuery{Filters: filters, Limit: 100})
	if err != nil {
		t.Fatalf("%v: got %v, want no error", filters, err)
	}
	names := []string{}
	for _, u := range page.Users {
		names = append(names, u.FirstName)
	}
	return names
}

// seedNames makes one account for each case that filters have to distinguish; first names say which.
func seedNames(t *testing.T) *harness {
	h := newHarness(t)
	h.add(t, AddUserInput{FirstName: "Ada", LastName: "King", Username: "Ada", Email: "Ada@Example.com",
		SecondaryEmail: "Countess@Example.com", Verified: true})
	h.add(t, AddUserInput{FirstName: "adamant", LastName: "KING", Username: "adamant", Email: "adamant@bücher.example",
		Archived: true})
	h.add(t, AddUserInput{FirstName: "Kelvin", LastName: "O'Neil", Username: "Kelvin", Email: "kelvin@example.com",
		Staff: true})
	h.add(t, AddUserInput{FirstName: "Straße", LastName: `50% "off"_`, Username: "Straße", Email: "s_t%r@example.com",
		Inactive: true})
	h.add(t, AddUserInput{FirstName: "İstanbul", LastName: "a\\b", Username: "istanbul", Email: "istanbul@example.com"})
	h.add(t, AddUserInput{FirstName: "ΣΊΣΥΦΟΣ", LastName: "\u0080xyz", Username: "ΣΊΣΥΦΟΣ",
		Email: "sisyphus@example.com"})
	h.add(t, AddUserInput{FirstName: "Rene\u0301e", LastName: "日本語", Username: "Rene\u0301e",
		Email: "renee@example.com", Verified: true, Archived: true})
	u := h.add(t, AddUserInput{FirstName: "own", Username: "temporary", Email: "Mail.Only@example.com"})
	h.exec(t, `UPDATE users SET username = NULL, username_key = NULL WHERE id = ?`, u.ID)
	return h
}

func TestFilters(t *testing.T) {
	t.Parallel()
	h := seedNames(t)
	all := []string{"Ada", "adamant", "Kelvin", "Straße", "İstanbul", "ΣΊΣΥΦΟΣ", "Rene\u0301e", "own"}
	is := func(field string, lookup Lookup, value any) []Filter { return []Filter{{field, lookup, value}} }
	for _, test := range []struct {
		name    string
		filters []Filter
		want    []string
	}{
		{"none", nil, all},
		{"blank", is("username", IContains, " \u00a0 "), all},
		{"username", is("username", Exact, "Ada"), []string{"Ada"}},
		{"username trimmed", is("username", Exact, "\tAda\n"), []string{"Ada"}},
		{"username in another case", is("username", Exact, "ada"), nil},
		{"username whatever its case", is("username", IExact, "ADA"), []string{"Ada"}},
		{"username of an account without one", is("username", Exact, "Mail.Only@example.com"), []string{"own"}},
		{"that in another case", is("username", Exact, "mail.only@example.com"), nil},
		{"a part of it", is("username", IContains, "only@"), []string{"own"}},
		{"one letter", is("username", IContains, "k"), []string{"Kelvin"}},
		{"two letters", is("username", IContains, "DA"), []string{"Ada", "adamant"}},
		{"three letters", is("username", IContains, "ADA"), []string{"Ada", "adamant"}},
		{"with case", is("username", Contains, "ada"), []string{"adamant"}},
		{"two letters with case", is("username", Contains, "Ad"), []string{"Ada"}},
		{"beginning", is("username", IStartsWith, "ADA"), []string{"Ada", "adamant"}},
		{"beginning of one letter", is("username", IStartsWith, "a"), []string{"Ada", "adamant"}},
		{"beginning with case", is("username", StartsWith, "A"), []string{"Ada"}},
		{"not the beginning", is("username", IStartsWith, "dam"), nil},
		{"longer than any", is("username", IContains, "ada"+strings.Repeat("m", 70000)), nil},
		{"longer than what is looked up", is("username", IStartsWith, "adamantine"), nil},
		{"the trigrams of another", is("username", IContains, "adanant"), nil},
		{"its trigrams, in another order", is("username", IContains, "antada"), nil},
		{"repeated", is("username", IStartsWith, strings.Repeat("a", 65)), nil},
		{"one of several", is("username", In, "Ada, Kelvin,,nobody, ada"), []string{"Ada", "Kelvin"}},
		{"none of several", is("username", In, ","), nil},

		{"Kelvin sign", is("username", IContains, "\u212aELVIN"), []string{"Kelvin"}},
		{"Kelvin sign, exact", is("username", Exact, "\u212aelvin"), []string{"Kelvin"}},
		{"sharp s", is("username", IContains, "STRASSE"), []string{"Straße"}},
		{"capital sharp s", is("first_name", IExact, "STRAẞE"), []string{"Straße"}},
		{"sharp s, exact", is("username", Exact, "strasse"), nil},
		{"dotted capital i", is("first_name", IContains, "İST"), []string{"İstanbul"}},
		{"is not i", is("first_name", IContains, "ist"), nil},
		{"i is not dotted", is("username", IContains, "İst"), nil},
		{"dotless i", is("username", IContains, "ıst"), nil},
		{"final sigma", is("username", IExact, "σίσυφος"), []string{"ΣΊΣΥΦΟΣ"}},
		{"any sigma", is("first_name", IContains, "ςυφοσ"), []string{"ΣΊΣΥΦΟΣ"}},
		{"composed", is("username", IContains, "renée"), []string{"Rene\u0301e"}},
		{"decomposed", is("username", Exact, "Rene\u0301e"), []string{"Rene\u0301e"}},
		{"composed, exact", is("first_name", Exact, "Renée"), []string{"Rene\u0301e"}},
		{"composed, beginning", is("first_name", StartsWith, "René"), []string{"Rene\u0301e"}},
		{"without the accent", is("username", IContains, "renee"), nil},
		{"full width", is("username", IContains, "ｋｅｌ"), []string{"Kelvin"}},
		{"three characters of three bytes", is("last_name", Contains, "日本語"), []string{"Rene\u0301e"}},

		{"percent", is("username", IContains, "%"), nil},
		{"underscore", is("username", IContains, "_"), nil},
		{"percent is a character", is("last_name", IContains, "0% \""), []string{"Straße"}},
		{"underscore is a character", is("email", IContains, "s_t"), []string{"Straße"}},
		{"and no other", is("email", IContains, "s_s"), nil},
		{"double quote", is("last_name", IContains, `"OFF"`), []string{"Straße"}},
		{"double quotes only", is("last_name", IContains, `"""`), nil},
		{"single quote", is("last_name", Exact, "O'Neil"), []string{"Kelvin"}},
		{"three with a quote", is("last_name", IContains, "o'n"), []string{"Kelvin"}},
		{"backslash", is("last_name", IContains, `a\b`), []string{"İstanbul"}},
		{"search syntax", is("username", IContains, `ada" OR email : "kel`), nil},
		{"star", is("username", IContains, "ada*"), nil},
		{"NUL", is("username", IContains, "ada\x00"), nil},
		{"NUL at the end of a list", is("username", In, "Ada,\x00"), nil},
		{"NUL in an address", is("email", Exact, "ada@example.com\x00x"), nil},
		{"what marks the beginning", is("last_name", IStartsWith, "xyz"), nil},
		{"as a part", is("last_name", IContains, "xyz"), []string{"ΣΊΣΥΦΟΣ"}},
		{"not the mark itself", is("username", IContains, "\u0080a"), nil},
		{"nor before a part", is("last_name", IStartsWith, "\u0080xyz"), []string{"ΣΊΣΥΦΟΣ"}},
		{"a sign and the letter it is spelled as", is("username", IContains, "\u00c0da"), nil},

		{"email", is("email", Exact, "ADA@example.COM"), []string{"Ada"}},
		{"email whatever its case", is("email", IExact, "ada@example.com"), []string{"Ada"}},
		{"email, the secondary one", is("email", Exact, "countess@example.com"), nil},
		{"email in Unicode", is("email", Exact, "adamant@BÜCHER.example"), []string{"adamant"}},
		{"email in ASCII", is("email", Exact, "adamant@xn--bcher-kva.example"), []string{"adamant"}},
		{"no email", is("email", Exact, "ada"), nil},
		{"part of an email", is("email", Contains, "BÜCHER"), []string{"adamant"}},
		{"beginning of an email", is("email", StartsWith, "ADA@"), []string{"Ada"}},
		{"emails", is("email", In, "kelvin@example.com,ADA@example.com,ada"), []string{"Ada", "Kelvin"}},
		{"no emails", is("email", In, "ada"), nil},
		{"secondary email", is("status__secondary_email", Exact, "countess@EXAMPLE.com"), []string{"Ada"}},
		{"part of a secondary email", is("status__secondary_email", IContains, "count"), []string{"Ada"}},
		{"secondary emails", is("status__secondary_email", In, "countess@example.com"), []string{"Ada"}},

		{"inactive", is("is_active", Exact, false), []string{"Straße"}},
		{"staff", is("is_staff", Exact, true), []string{"Kelvin"}},
		{"verified", is("status__verified", Exact, true), []string{"Ada", "Rene\u0301e"}},
		{"archived", is("status__archived", Exact, true), []string{"adamant", "Rene\u0301e"}},
		{"two switches", append(is("status__archived", Exact, true), is("status__verified", Exact, false)...),
			[]string{"adamant"}},
		{"all switches", []Filter{
			{"is_active", Exact, true}, {"is_staff", Exact, false}, {"status__verified", Exact, true},
			{"status__archived", Exact, false},
		}, []string{"Ada"}},
		{"two parts", append(is("username", IContains, "ada"), is("email", IContains, "bücher")...),
			[]string{"adamant"}},
		{"a part and a switch", append(is("username", IContains, "ada"), is("status__verified", Exact, true)...),
			[]string{"Ada"}},
		{"a name and a part", append(is("last_name", IExact, "king"), is("username", IStartsWith, "ada")...),
			[]string{"Ada", "adamant"}},
		{"a name and a switch", append(is("last_name", IExact, "king"), is("status__archived", Exact, false)...),
			[]string{"Ada"}},
		{"a short part and a switch", append(is("username", IContains, "a"), is("status__archived", Exact, true)...),
			[]string{"adamant"}},
		{"one that fits, one that does not", append(is("username", Exact, "Ada"), is("email", Exact, "no")...), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := test.want
			if want == nil {
				want = []string{}
			}
			if diff := cmp.Diff(want, h.names(t, test.filters...)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("too many values", func(t *testing.T) {
		_, err := h.Users(t.Context(), UserQuery{Filters: is("username", In, strings.Repeat("a,", 100)), Limit: 100})
		if want := (&UsageError{"A filter by username takes at most 100 values, not 101."}); !cmp.Equal(err,
			error(want)) {
			t.Errorf("error %v, want %v", err, want)
		}
		if got := h.names(t, is("username", In, strings.Repeat("a,", 99)+"Ada")...); !slices.Equal(got,
			[]string{"Ada"}) {
			t.Errorf("100 values: got %q, want Ada only", got)
		}
	})
}

// TestFilterMistakes: a filter that the settings would have refused makes the query panic.
func TestFilterMistakes(t *testing.T) {
	t.Parallel()
	h := newHarness(t, searchable)
	for _, f := range []Filter{
		{"password", Exact, "x"}, {"is_active", IExact, true}, {"is_active", Exact, "true"}, {"username", Exact, true},
		{"username", "regex", "x"},
		{"hidden", Exact, "x"}, {"level", In, "1"}, {"level", Exact, "1"}, {"level", Exact, int64(1)},
		{"ratio", Exact, 1}, {"news", Exact, 1},
		{"born", Exact, "1970-01-01T00:00:00Z"}, {"about", Exact, 1}, {"about", Exact, nil},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("filter %v: got it accepted, want a panic", f)
				}
			}()
			_, _ = h.search([]Filter{f})
		}()
	}
}

// TestSearchFollows: every change of a user changes the results of filters, in the same transaction.
func TestSearchFollows(t *testing.T) {
	t.Parallel()
	h := seedNames(t)
	check := func(change string) {
		t.Helper()
		err := h.db.Read(t.Context(), func(tx *store.Tx) error {
			for _, query := range []string{
				`SELECT count(*) FROM (SELECT * FROM user_search EXCEPT SELECT * FROM user_search_source)`,
				`SELECT count(*) FROM (SELECT * FROM user_search_source EXCEPT SELECT * FROM user_search)`,
			} {
				var n int
				if err := tx.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
					return err
				}
				if n != 0 {
					t.Errorf("%s: got %d rows that differ, want none", change, n)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, column := range []string{"username", "email", "first_name", "last_name", "secondary_email"} {
			// With rank 1 SQLite also compares the index with the table.
			h.exec(t, fmt.Sprintf(`INSERT INTO search_%s (search_%[1]s, rank) VALUES ('integrity-check', 1)`, column))
		}
	}
	check("seed")
	ada := h.user(t, "Ada").ID
	for _, change := range []struct{ column, value string }{
		{"username", "'Countess'"}, {"first_name", "'Augusta'"}, {"last_name", "'Byron'"}, {"is_active", "0"},
		{"is_staff", "1"},
		{"username", "NULL"}, {"last_login", "1"}, {"password", "'x'"},
	} {
		h.exec(t, "UPDATE users SET "+change.column+" = "+change.value+" WHERE id = ?", ada)
		check(change.column)
	}
	h.exec(t, `UPDATE user_status SET verified = 0 WHERE user_id = ?`, ada)
	check("verified")
	h.exec(t, `UPDATE user_status SET archived = 1 WHERE user_id = ?`, ada)
	check("archived")
	h.exec(t,
		`UPDATE users SET email = 'countess@example.com' WHERE id = ?;
		UPDATE user_status SET secondary_email = 'ada@example.com' WHERE user_id = ?`, ada, ada)
	check("swap")
	if got := h.names(t, Filter{"status__secondary_email", IStartsWith, "ada@"}); !slices.Equal(got,
		[]string{"Augusta"}) {
		t.Errorf("the secondary address after the swap: got %q, want Augusta only", got)
	}
	if got := h.names(t, Filter{"username", Exact, "Countess@example.com"}); !slices.Equal(got, []string{"Augusta"}) {
		t.Errorf("the address as username after the swap: got %q, want Augusta only", got)
	}
	h.exec(t, `UPDATE addresses SET address = 'COUNTESS@example.com' WHERE canonical = 'countess@example.com'`)
	check("address")
	h.exec(t,
		`UPDATE user_status SET secondary_email = NULL WHERE user_id = ?;
		DELETE FROM addresses WHERE canonical = 'ada@example.com'`, ada)
	check("removal")
	h.move(t, ada, "new@example.com")
	check("move")
	h.exec(t, `DELETE FROM users WHERE id = ?`, ada)
	check("deletion")
	if got := h.names(t, Filter{"email", IContains, "new"}); len(got) != 0 {
		t.Errorf("after the deletion: got %q, want nothing", got)
	}
	if n := h.count(t, `SELECT count(*) FROM user_search WHERE first_name = 'augusta'`) +
		h.count(t, `SELECT count(*) FROM search_first_name WHERE search_first_name MATCH '"aug"'`); n != 0 {
		t.Errorf("the deleted user is found %d times, want 0", n)
	}
	failure := errors.New("failure")
	err := h.db.Write(t.Context(), func(tx *store.Tx) error {
		const change = `UPDATE users SET first_name = 'Changed', username = 'changed' || id`
		if _, err := tx.ExecContext(t.Context(), change); err != nil {
			return err
		}
		return failure
	})
	if !errors.Is(err, failure) || len(h.names(t, Filter{"username", IContains, "changed"})) != 0 {
		t.Errorf("a change that was rolled back: got %v or the change found, want %v and nothing", err, failure)
	}
	check("rollback")
}

// crowd makes so many users at once, crowd1 the first.
func (h *harness) crowd(t *testing.T, n int) {
	t.Helper()
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("crowd%d", i+1)
	}
	h.insert(t, names)
}

// insert makes users with these usernames at once.
func (h *harness) insert(t *testing.T, names []string) {
	t.Helper()
	err := h.db.Write(t.Context(), func(tx *store.Tx) error {
		for _, name := range names {
			if _, err := insertUser(t.Context(), tx, named(name), nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDeadline: a search that would go on for ever ends with its context, and leaves the service as it was.
func TestDeadline(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.ada(t)
	h.add(t, AddUserInput{Username: "bob", Email: "bob@example.com", NoPassword: true})
	h.exec(t, `ALTER TABLE user_search RENAME TO finite; CREATE VIEW user_search AS
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
		SELECT i AS user_id, iif(i = 1, 'ada', '') AS first_name FROM n`)
	for name, q := range map[string]UserQuery{"page": {}, "offset": {Offset: ptr(2)}} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		q.Limit, q.Filters = 10, []Filter{{"first_name", IExact, "ada"}}
		if page, err := h.Users(ctx, q); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v, %v, want the deadline exceeded", name, page, err)
		}
		cancel()
	}
	h.exec(t, `DROP VIEW user_search; ALTER TABLE finite RENAME TO user_search`)
	if got := h.names(t); len(got) != 2 {
		t.Errorf("afterwards there are %q, want two users", got)
	}
}
