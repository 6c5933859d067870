package usersearch

import (
	"strings"
	"testing"
)

// TestPlans: each filter uses the index that is meant for it, and no page is sorted.
func TestPlans(t *testing.T) {
	t.Parallel()
	f := open(t)
	const (
		byID        = "SEARCH f USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"
		bySubstring = "SCAN x VIRTUAL TABLE INDEX"
	)
	for _, test := range []struct {
		name       string
		conditions []Condition
		want       string
		sorts      bool // a handful of rows
	}{
		{name: "all", want: byID},
		{name: "username", conditions: []Condition{{Username, Exact, "ada"}},
			want: "USING COVERING INDEX user_search_username (username=? AND rowid>? AND rowid<?)"},
		{name: "any case", conditions: []Condition{{Username, IExact, "ada"}},
			want: "USING COVERING INDEX user_search_username (username=? AND rowid>? AND rowid<?)"},
		{name: "first name", conditions: []Condition{{FirstName, IExact, "ada"}},
			want: "USING COVERING INDEX user_search_first_name"},
		{name: "last name", conditions: []Condition{{LastName, Exact, "ada"}},
			want: "USING COVERING INDEX user_search_last_name"},
		{name: "one of several", conditions: []Condition{{Username, In, []string{"a", "b"}}},
			want: "user_search_username (username=? AND rowid>? AND rowid<?)", sorts: true},
		{name: "email", conditions: []Condition{{Email, In, []string{"a@b.example"}}},
			want: "sqlite_autoindex_users_2 (email=?)"},
		{name: "emails", conditions: []Condition{{Email, In, []string{"a@b.example"}}},
			want: "sqlite_autoindex_users_2 (email=?)"},
		{name: "secondary email", conditions: []Condition{{SecondaryEmail, In, []string{"a@b.example"}}},
			want: "(secondary_email=?)"},
		{name: "three letters", conditions: []Condition{{Username, IContains, "ada"}}, want: bySubstring},
		{name: "beginning", conditions: []Condition{{Username, IStartsWith, "a"}},
			want: "SEARCH k USING COVERING INDEX user_search_username (username>? AND username<?)", sorts: true},
		{name: "beginning of a name", conditions: []Condition{{LastName, StartsWith, "a"}},
			want: "SEARCH k USING COVERING INDEX user_search_last_name (last_name>? AND last_name<?)", sorts: true},
		{name: "beginning of an address", conditions: []Condition{{Email, StartsWith, "a"}},
			want: "SEARCH k USING COVERING INDEX sqlite_autoindex_users_2 (email>? AND email<?)", sorts: true},
		{name: "beginning of a secondary address", conditions: []Condition{{SecondaryEmail, StartsWith, "a"}},
			want: "(secondary_email>? AND secondary_email<?)", sorts: true},
		{name: "parts of two", conditions: []Condition{{Username, IContains, "ada"}, {Email, Contains, "ada"}},
			want: bySubstring},
		{name: "one letter", conditions: []Condition{{Username, IContains, "a"}}, want: byID},
		{name: "two letters", conditions: []Condition{{Username, IContains, "ad"}}, want: byID},
		{name: "active", conditions: []Condition{{Active, Exact, true}}, want: byID},
		{name: "inactive", conditions: []Condition{{Active, Exact, false}},
			want: "user_search_inactive (is_active=? AND rowid>? AND rowid<?)"},
		{name: "staff", conditions: []Condition{{Staff, Exact, true}},
			want: "user_search_staff (is_staff=? AND rowid>? AND rowid<?)"},
		{name: "archived", conditions: []Condition{{Archived, Exact, true}},
			want: "user_search_archived (archived=? AND rowid>? AND rowid<?)"},
		{name: "verified", conditions: []Condition{{Verified, Exact, true}},
			want: "user_search_verified (verified=? AND rowid>? AND rowid<?)"},
		{name: "first names", conditions: []Condition{{FirstName, In, []string{"a", "b"}}},
			want: "user_search_first_name (first_name=? AND rowid>? AND rowid<?)", sorts: true},
		{name: "the rarer switch", conditions: []Condition{{Active, Exact, true}, {Verified, Exact, false}},
			want: "user_search_verified (verified=? AND rowid>? AND rowid<?)"},
		{name: "a name before a switch", conditions: []Condition{{Staff, Exact, true}, {Username, IExact, "ada"}},
			want: "user_search_username"},
		{name: "a name before a part", conditions: []Condition{{Email, IContains, "ada"}, {Username, IExact, "ada"}},
			want: "user_search_username"},
		{name: "a part before a usual switch", conditions: []Condition{{Active, Exact, true}, {Username, IContains,
			"ada"}}, want: bySubstring},
	} {
		for _, descending := range []bool{false, true} {
			plan := f.plan(t, test.conditions, descending)
			if !strings.Contains(plan, test.want) || strings.Contains(plan, "TEMP B-TREE") != test.sorts {
				t.Errorf("%s, descending %t:\n%s\nwant %s, sorted %t", test.name, descending, plan, test.want,
					test.sorts)
			}
		}
	}
}

// TestWeigh: of several ways, the first one with few users is taken, or else the one with the fewest users, estimated
// by its first users.
func TestWeigh(t *testing.T) {
	t.Parallel()
	f := open(t)
	const users = 2 * few
	f.crowd(t, users)
	f.exec(t, `UPDATE users SET is_active = 0`)                                          // all
	f.exec(t, `UPDATE users SET last_name = 'Half' WHERE id % 2 = 0`)                    // many, but not so many
	f.exec(t, `UPDATE user_status SET archived = 1 WHERE user_id > 20 AND user_id < 30`) // few
	f.exec(t, `UPDATE users SET is_staff = 1 WHERE id % 100 = 0`)                        // few
	const byName, byRange = "search_username x\nSCAN x VIRTUAL TABLE INDEX",
		"SEARCH k USING COVERING INDEX user_search_username"
	part, inactive := Condition{Username, IContains, "crowd"}, Condition{Active, Exact, false}
	half := Condition{LastName, IContains, "half"}
	archived, staff := Condition{Archived, Exact, true}, Condition{Staff, Exact, true}
	for _, test := range []struct {
		name       string
		conditions []Condition
		want       string
		users      int
	}{
		{"a part", []Condition{part}, byName, users},
		{"a part, and what many are", []Condition{part, inactive}, byName, users},
		{"what many are, and a part", []Condition{inactive, part}, "user_search_inactive", users},
		{"a part, and one of fewer", []Condition{part, half}, "search_last_name x\nSCAN x VIRTUAL TABLE INDEX",
			users / 2},
		{"a part, and what few are", []Condition{part, archived}, "user_search_archived", 9},
		{"what many and few are", []Condition{inactive, archived}, "user_search_archived", 9},
		{"what few and many are", []Condition{archived, inactive}, "user_search_archived", 9},
		{"what few are, twice", []Condition{archived, {Verified, Exact, false}, staff}, "user_search_archived", 0},
		{"a name, and what few are", []Condition{{Username, IExact, "crowd20"}, archived}, "user_search_username", 0},
		{"a beginning that many have", []Condition{{Username, IStartsWith, "crowd"}}, byName, users},
		{"a beginning that few have", []Condition{{Username, IStartsWith, "crowd100"}}, byRange, 11},
		{"a beginning that few have, and a part", []Condition{part, {Username, IStartsWith, "crowd99"}}, byRange, 11},
		{"a beginning that many have, and what few are", []Condition{{Username, IStartsWith, "crowd"}, staff},
			"user_search_staff", users / 100},
	} {
		plan := f.plan(t, test.conditions, false)
		if !strings.Contains(plan, test.want) || strings.Contains(plan, "TEMP B-TREE") != (test.want == byRange) {
			t.Errorf("%s:\n%s\nwant %s", test.name, plan, test.want)
		}
		if got := f.find(t, test.conditions); len(got) != test.users {
			t.Errorf("%s finds %d users, want %d", test.name, len(got), test.users)
		}
	}
}
