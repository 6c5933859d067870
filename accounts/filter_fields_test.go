package accounts

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"accountd/internal/store"
	"accountd/tokens"
)

// searchable configures fields to filter by, one of them hidden.
func searchable(s *Settings, _ *tokens.Settings) {
	s.Fields = []Field{
		{Name: "phone_number", Type: String, Unique: true, Public: true},
		{Name: "plan", Type: String, Choices: []any{"free", "paid"}, Public: true},
		{Name: "about", Type: String, Public: true},
		{Name: "level", Type: Int, Public: true},
		{Name: "ratio", Type: Float, Public: true},
		{Name: "news", Type: Boolean, Public: true},
		{Name: "born", Type: DateTime, Public: true},
		{Name: "hidden", Type: String},
	}
}

// seedFields makes one account for each case that filters by configured fields have to distinguish.
func seedFields(t *testing.T) *harness {
	h := newHarness(t, searchable)
	for _, u := range []struct {
		name   string
		fields Values
	}{
		{"ada", Values{"phone_number": "+49 123", "plan": "paid", "about": `50% "off"_`, "level": 1, "ratio": 0.5,
			"news": true, "born": born("1815-12-10T00:00:00Z")}},
		{"bob", Values{"phone_number": "+49 124", "plan": "free", "about": "Straße", "level": -1, "ratio": 2.0,
			"news": false, "born": born("1970-01-01T00:00:01Z")}},
		{"cleo", Values{"plan": "free", "about": "Rene\u0301e, ｋｅｌｖｉｎ", "level": 0, "ratio": 0.0}},
		{"dan", nil},
	} {
		h.add(t, AddUserInput{FirstName: u.name, Username: u.name, Email: u.name + "@example.com", NoPassword: true,
			Fields: u.fields})
	}
	own := h.add(t, AddUserInput{FirstName: "own", Username: "temporary", Email: "own@example.com", NoPassword: true,
		Fields: Values{"about": "STRASSE", "level": 7, "news": true}})
	h.exec(t, `UPDATE users SET username = NULL, username_key = NULL WHERE id = ?`, own.ID)

	// What was stored when the fields had other types: each value looks like one of the others to SQLite.
	other := h.add(t, AddUserInput{FirstName: "other", Username: "other", Email: "other@example.com", NoPassword: true})
	for name, value := range map[string]any{
		"phone_number": 49, "plan": 1.5, "about": []byte("Straße"), "level": 1.0, "ratio": int64(2), "news": 1.0,
		"born": 1.0,
	} {
		h.exec(t, `INSERT INTO user_fields (user_id, name, value) VALUES (?, ?, ?)`, other.ID, name, value)
	}
	want := map[string]any{"phone_number": nil, "plan": nil, "about": nil, "level": nil, "ratio": 2.0, "news": nil,
		"born": nil, "hidden": nil}
	if got := h.user(t, "other").Fields; !cmp.Equal(got, want) {
		t.Fatalf("got the stored values %v, want %v", got, want)
	}
	more := h.add(t, AddUserInput{FirstName: "more", Username: "more", Email: "more@example.com", NoPassword: true})
	for name, value := range map[string]any{"phone_number": "124", "level": "1", "ratio": "0.5", "news": 2, "born": "1",
		"about": 50} {
		h.exec(t, `INSERT INTO user_fields (user_id, name, value) VALUES (?, ?, ?)`, more.ID, name, value)
	}
	return h
}

func TestFieldFilters(t *testing.T) {
	t.Parallel()
	h := seedFields(t)
	all := []string{"ada", "bob", "cleo", "dan", "own", "other", "more"}
	is := func(field string, lookup Lookup, value any) []Filter { return []Filter{{field, lookup, value}} }
	and := func(lists ...[]Filter) (list []Filter) {
		for _, l := range lists {
			list = append(list, l...)
		}
		return list
	}
	for _, test := range []struct {
		name    string
		filters []Filter
		want    []string
	}{
		{"blank", is("about", Exact, " \u00a0 "), all},
		{"text", is("phone_number", Exact, "+49 123"), []string{"ada"}},
		{"text trimmed", is("phone_number", Exact, "\t+49 124\n"), []string{"bob"}},
		{"a part of it", is("phone_number", Exact, "+49"), nil},
		{"a number that looks like it", is("phone_number", Exact, "49"), nil},
		{"that as a part", is("phone_number", Contains, "49"), []string{"ada", "bob"}},
		{"value of another field", is("phone_number", Exact, "paid"), nil},
		{"value of nobody", is("about", Exact, "nobody"), nil},
		{"with case", is("about", Exact, "strasse"), nil},
		{"with case, the same", is("about", Exact, "Straße"), []string{"bob"}},
		{"whatever its case", is("about", IExact, "straẞe"), []string{"bob", "own"}},
		{"composed", is("about", Exact, "Renée, kelvin"), []string{"cleo"}},
		{"decomposed", is("about", Exact, "Rene\u0301e, kelvin"), []string{"cleo"}},
		{"compatible", is("about", IExact, "RENÉE, \u212aELVIN"), []string{"cleo"}},
		{"contains", is("about", Contains, "TRAS"), []string{"own"}},
		{"contains whatever its case", is("about", IContains, "TRASSE"), []string{"bob", "own"}},
		{"contains, composed", is("about", Contains, "née, k"), []string{"cleo"}},
		{"contains one letter", is("about", IContains, "k"), []string{"cleo"}},
		{"starts", is("about", StartsWith, "Str"), []string{"bob"}},
		{"starts whatever its case", is("about", IStartsWith, "str"), []string{"bob", "own"}},
		{"does not start", is("about", IStartsWith, "tr"), nil},
		{"one of several", is("about", In, "Straße, nobody,, STRASSE"), []string{"bob", "own"}},
		{"one of several, with case", is("about", In, "strasse"), nil},
		{"none of several", is("about", In, ","), nil},
		{"percent", is("about", IContains, "%"), []string{"ada"}},
		{"underscore", is("about", IContains, "_"), []string{"ada"}},
		{"quotes", is("about", Contains, `"off"`), []string{"ada"}},
		{"single quote", is("about", Contains, `' OR 1=1 --`), nil},
		{"NUL", is("about", IContains, "50\x00"), nil},
		{"very long", is("about", Exact, strings.Repeat("a", 70000)), nil},
		{"choice", is("plan", Exact, "free"), []string{"bob", "cleo"}},
		{"choices", is("plan", In, "free,paid"), []string{"ada", "bob", "cleo"}},

		{"Int", is("level", Exact, 1), []string{"ada"}},
		{"negative Int", is("level", Exact, -1), []string{"bob"}},
		{"no Int is not 0", is("level", Exact, 0), []string{"cleo"}},
		{"Int of nobody", is("level", Exact, 5), nil},
		{"Float", is("ratio", Exact, 0.5), []string{"ada"}},
		{"whole Float, stored as an Int too", is("ratio", Exact, 2.0), []string{"bob", "other"}},
		{"no Float is not 0", is("ratio", Exact, 0.0), []string{"cleo"}},
		{"true", is("news", Exact, true), []string{"ada", "own"}},
		{"false is not none", is("news", Exact, false), []string{"bob"}},
		{"DateTime", is("born", Exact, born("1815-12-10T01:00:00+01:00")), []string{"ada"}},
		{"DateTime within its second", is("born", Exact, time.Unix(1, 999)), []string{"bob"}},
		{"DateTime of nobody", is("born", Exact, born("1970-01-01T00:00:50Z")), nil},

		{"two fields", and(is("plan", Exact, "free"), is("about", IContains, "stras")), []string{"bob"}},
		{"two whole texts", and(is("plan", Exact, "free"), is("about", IExact, "strasse")), []string{"bob"}},
		{"one field in two ways", and(is("about", IStartsWith, "str"), is("about", Contains, "SSE")), []string{"own"}},
		{"three values", and(is("level", Exact, 1), is("ratio", Exact, 0.5), is("news", Exact, true)), []string{"ada"}},
		{"three, one does not fit", and(is("level", Exact, 1), is("ratio", Exact, 0.5), is("news", Exact, false)), nil},
		{"a field and a username", and(is("level", Exact, 1), is("username", Exact, "ada")), []string{"ada"}},
		{"a field and another's username", and(is("level", Exact, 1), is("username", Exact, "bob")), nil},
		{"a field and the part of a name", and(is("news", Exact, true), is("username", IContains, "own@")),
			[]string{"own"}},
		{"a field and an address", and(is("about", IContains, "strasse"), is("email", Exact, "own@example.com")),
			[]string{"own"}},
		{"a field and a switch", and(is("news", Exact, true), is("is_active", Exact, true)), []string{"ada", "own"}},
		{"a field and a rare switch", and(is("news", Exact, true), is("is_staff", Exact, true)), nil},
		{"a text and a rare switch", and(is("phone_number", Exact, "+49 123"), is("is_staff", Exact, true)), nil},
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
	_, err := h.Users(t.Context(), UserQuery{Filters: is("about", In, strings.Repeat("a,", 100)), Limit: 100})
	if want := (&UsageError{"A filter by about takes at most 100 values, not 101."}); !cmp.Equal(err, error(want)) {
		t.Errorf("error %v, want %v", err, want)
	}
}

// TestFilterFields: the fields for filters and for UserNode, with their types and lookups.
func TestFilterFields(t *testing.T) {
	t.Parallel()
	var s Settings
	built := s.FieldNames()
	searchable(&s, nil)
	if diff := cmp.Diff([]string{"phone_number", "plan", "about", "level", "ratio", "news", "born"},
		s.FieldNames()[len(built):]); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	types := map[string]FieldType{}
	for name, f := range s.FilterFields() {
		types[name] = f.Type
		if n, want := len(f.Lookups()), map[bool]int{true: 7, false: 1}[f.Type == String]; n != want {
			t.Errorf("%s has %d lookups, want %d", name, n, want)
		}
	}
	want := map[string]FieldType{
		"username": String, "first_name": String, "last_name": String, "email": String,
		"status__secondary_email": String,
		"is_active":               Boolean, "is_staff": Boolean, "status__verified": Boolean,
		"status__archived": Boolean,
		"phone_number":     String, "plan": String, "about": String, "level": Int, "ratio": Float, "news": Boolean,
		"born": DateTime,
	}
	if diff := cmp.Diff(want, types); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
	for _, test := range []struct {
		field  string
		lookup Lookup
		want   string
	}{
		{"phone_number", Exact, "phoneNumber"}, {"phone_number", IContains, "phoneNumber_Icontains"},
		{"status__secondary_email", In, "status_SecondaryEmail_In"}, {"level", Exact, "level"},
	} {
		if got := FilterArgument(test.field, test.lookup); got != test.want {
			t.Errorf("%s of %s is %s, want %s", test.lookup, test.field, got, test.want)
		}
	}
}

// TestFoldedFollows: the search text of a field is changed and deleted in the transaction that changes the field.
func TestFoldedFollows(t *testing.T) {
	t.Parallel()
	h := seedFields(t)
	const wrong = `
		SELECT count(*) FROM user_fields WHERE folded IS NOT CASE typeof(value) WHEN 'text' THEN fold(value) END`
	check := func(change, about string, want ...string) {
		t.Helper()
		if n := h.count(t, wrong); n != 0 {
			t.Errorf("%s: got %d wrongly folded values, want none", change, n)
		}
		if diff := cmp.Diff(append([]string{}, want...), h.names(t, Filter{"about", IExact, about})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", change, diff)
		}
	}
	check("seed", "strasse", "bob", "own")
	update := func(value any) {
		t.Helper()
		u := h.user(t, "bob")
		if err := h.db.Write(t.Context(), func(tx *store.Tx) error {
			return setFields(t.Context(), tx, u.ID, []fieldValue{{h.settings.Fields[2], value}})
		}); err != nil {
			t.Fatal(err)
		}
	}
	update("New")
	check("new value", "strasse", "own")
	check("new value", "NEW", "bob")
	update(nil)
	check("no value", "new")
	update("New")
	h.exec(t, `UPDATE user_fields SET value = 7 WHERE value = 'New'`)
	check("value of another type", "new")
	h.exec(t, `UPDATE user_fields SET value = 'nEw' WHERE name = 'about' AND value = 7`)
	check("text again", "new", "bob")
	failure := errors.New("failure")
	if err := h.db.Write(t.Context(), func(tx *store.Tx) error {
		if err := setFields(t.Context(), tx, 2, []fieldValue{{h.settings.Fields[2], "undone"}}); err != nil {
			return err
		}
		return failure
	}); !errors.Is(err, failure) {
		t.Fatal(err)
	}
	check("rolled back", "undone")
	h.exec(t, `DELETE FROM users WHERE id = 2`)
	check("deleted", "new")
}
