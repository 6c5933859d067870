package accounts

import (
	"slices"
	"strings"
	"testing"

	"accountd/internal/store"
	"accountd/tokens"
)

// bounded is steps that read from one end or sort, and do not grow with the file.
var bounded = []string{
	"SCAN CONSTANT ROW",   // SELECT EXISTS
	"VIRTUAL TABLE INDEX", // of trigrams, until a page is full; of a list that a client sent
	"SCAN page",           // of users
	"SCAN outbox",         // mails that wait: they have a limit
}

// exceptions are statements that may read or sort more, by a text that only they have.
var exceptions = []string{
	"SELECT created_at FROM sessions ORDER BY id DESC LIMIT 1", // from the end, and one
	// Users with one of at most a hundred names come by name, to be sorted by id.
	"f.username <> '' AND f.username IN (SELECT value FROM json_each(?)) ",
	"_name IN (SELECT value FROM json_each(?)) ", "v.folded IN (SELECT value FROM json_each(?)) ",
	// and few, with a beginning
	"SELECT f.user_id FROM user_search k ", "SELECT f.user_id FROM users k ", "SELECT f.user_id FROM user_status k ",
	"SELECT group_concat(value, ' AND ') ",                           // of at most 16 trigrams
	"FROM user_fields WHERE name = ? GROUP BY value HAVING count(*)", // once, beside requests
}

// TestNothingGrowsWithTheFile: no statement of the operations that requests cause looks at every user, session, token
// or address, or sorts them. They are the ones that the operations themselves have prepared.
func TestNothingGrowsWithTheFile(t *testing.T) {
	t.Parallel()
	h := newHarness(t, standard, func(s *Settings, _ *tokens.Settings) {
		s.Fields = []Field{{Name: "phone", Type: String, Public: true, Unique: true},
			{Name: "level", Type: Int, Public: true}}
	})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ada := h.ada(t)
	session := h.login(t)
	_, err := h.Login(t.Context(), byEmail("ada@example.com", password))
	must(err)
	if _, err := h.Login(t.Context(), byEmail("nobody@example.com", password)); err == nil {
		t.Fatal("an unknown user: got a login, want an error")
	}
	if _, err := h.Login(t.Context(), byUsername("ada", "wrong")); err == nil {
		t.Fatal("a wrong password: got a login, want an error")
	}
	_, err = h.Caller(session.Token).User(t.Context())
	must(err)
	_, err = h.VerifyToken(t.Context(), AccessTokenInput{session.Token})
	must(err)
	next := h.refresh(t, session.RefreshToken)
	h.refresh(t, session.RefreshToken) // again, as a second tab would
	_, err = h.Register(from(t, "192.0.2.9"), registration("eve@example.com", "eve", password, password))
	must(err)
	must(h.VerifyAccount(t.Context(), TokenInput{h.activation(t, "eve@example.com")}))
	must(h.SendPasswordResetEmail(t.Context(), EmailInput{"ada@example.com"}))
	_, err = h.RevokeToken(t.Context(), RefreshTokenInput{next.RefreshToken})
	must(err)
	_, err = h.UserByID(t.Context(), ada.ID)
	must(err)
	must(h.MeasureHashes(t.Context()))
	must(h.CheckFields(t.Context()))
	h.checkClock(t.Context())
	h.set(t, ada.ID, "archived", 0)
	h.crowd(t, 1100) // more than few

	pages := []UserQuery{
		{}, {First: ptr(1)}, {Last: ptr(1)}, {After: ptr(cursor(1))}, {Before: ptr(cursor(2)), Last: ptr(1)},
		{Offset: ptr(1)},
	}
	filters := [][]Filter{nil}
	for name, field := range h.filters {
		for _, lookup := range field.Lookups() {
			if name == "phone" && !slices.Contains([]Lookup{Exact, IExact, In}, lookup) {
				continue // parts of configured fields are looked for row by row
			}
			// nobody, many and few
			for _, value := range map[FieldType][]any{String: {"adamant", "crowd", "crowd7"}, Boolean: {true, false},
				Int: {1}}[field.Type] {
				filters = append(filters, []Filter{{name, lookup, value}})
			}
		}
	}
	for _, page := range pages {
		for _, page.Filters = range filters {
			page.Limit = 100
			_, err := h.Users(t.Context(), page)
			must(err)
		}
	}

	var statements []string
	collect := func(tx *store.Tx) error {
		statements = append(statements, tx.Prepared()...)
		return nil
	}
	must(h.db.Read(t.Context(), collect))
	must(h.db.Write(t.Context(), collect))
	slices.Sort(statements)
	statements = slices.Compact(statements)
	looked := 0
	for _, statement := range statements {
		verb, _, _ := strings.Cut(strings.TrimSpace(statement), " ")
		if !slices.Contains([]string{"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}, verb) {
			continue
		}
		looked++
		if slices.ContainsFunc(exceptions, func(what string) bool { return strings.Contains(statement, what) }) {
			continue
		}
		for _, step := range h.steps(t, statement) {
			scans := strings.HasPrefix(step, "SCAN") || strings.Contains(step, "TEMP B-TREE") ||
				strings.Contains(step, "AUTOMATIC")
			if scans && !slices.ContainsFunc(bounded, func(what string) bool { return strings.Contains(step, what) }) {
				t.Errorf("got step %s, want no scan\n\t%s", step, strings.Join(strings.Fields(statement), " "))
			}
		}
	}
	if looked < 100 {
		t.Errorf("looked at %d statements, want at least 100: %q", looked, statements)
	}
}

// steps is how SQLite runs a statement.
func (h *harness) steps(t *testing.T, statement string) (steps []string) {
	t.Helper()
	err := h.db.Read(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+statement,
			make([]any, strings.Count(statement, "?"))...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id, parent, unused int
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				return err
			}
			steps = append(steps, step)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatalf("%s: error %v, want none", statement, err)
	}
	return steps
}
