package usersearch

import (
	"strings"
	"testing"
)

// Configured fields, of which the first is unique.
var (
	phone = ConfiguredText("phone_number")
	plan  = ConfiguredText("plan")
	about = ConfiguredText("about")
	level = ConfiguredValue("level", "integer")
	ratio = ConfiguredValue("ratio", "real", "integer")
	news  = ConfiguredValue("news", "integer")
	born  = ConfiguredValue("born", "integer")
)

// TestFieldPlans: whole values are looked up in the index of the field, in the order of ids; parts are looked for
// user by user, in that order, too.
func TestFieldPlans(t *testing.T) {
	t.Parallel()
	f := open(t)
	f.crowd(t, 2*few)
	f.exec(t, `INSERT INTO user_fields (user_id, name, value) SELECT id, 'news', 1 FROM users`)
	f.exec(t, `INSERT INTO user_fields (user_id, name, value) SELECT id, 'plan', 'free' FROM users`)
	const (
		byID     = "SEARCH f USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"
		byText   = "SEARCH v USING INDEX user_fields_folded (name=? AND folded=? AND user_id>? AND user_id<?)"
		byValue  = "SEARCH v USING COVERING INDEX user_fields_value (name=? AND value=? AND user_id>? AND user_id<?)"
		byFolded = "SEARCH v USING COVERING INDEX user_fields_folded (name=? AND folded=? AND user_id>? AND user_id<?)"
	)
	for _, test := range []struct {
		name       string
		conditions []Condition
		want       string
		sorts      bool
	}{
		{name: "text", conditions: []Condition{{phone, Exact, "1"}}, want: byText},
		{name: "any case", conditions: []Condition{{about, IExact, "a"}}, want: byFolded},
		{name: "choice", conditions: []Condition{{plan, Exact, "free"}}, want: byText},
		{name: "one of several", conditions: []Condition{{about, In, []string{"a", "b"}}},
			want: "SEARCH v USING INDEX user_fields_folded (name=? AND folded=?)", sorts: true},
		{name: "one of several that many have", conditions: []Condition{{plan, In, []string{"free", "paid"}}},
			want: byID},
		{name: "Int", conditions: []Condition{{level, Exact, int64(1)}}, want: byValue},
		{name: "Float", conditions: []Condition{{ratio, Exact, 1.5}}, want: byValue},
		{name: "Boolean", conditions: []Condition{{news, Exact, true}}, want: byValue},
		{name: "DateTime", conditions: []Condition{{born, Exact, int64(1)}}, want: byValue},
		{name: "part", conditions: []Condition{{about, IContains, "abcdef"}}, want: byID},
		{name: "beginning", conditions: []Condition{{about, StartsWith, "a"}}, want: byID},
		{name: "a whole text before a Boolean", conditions: []Condition{{news, Exact, true}, {about, IExact, "a"}},
			want: byFolded},
		{name: "two Booleans' worth", conditions: []Condition{{news, Exact, true}, {plan, Exact, "free"}},
			want: byValue},
		{name: "a usual switch", conditions: []Condition{{Active, Exact, true}, {news, Exact, true}}, want: byValue},
		{name: "a rare switch before a Boolean", conditions: []Condition{{Staff, Exact, true}, {news, Exact, true}},
			want: "user_search_staff (is_staff=? AND rowid>? AND rowid<?)"},
		{name: "a text before a rare switch", conditions: []Condition{{phone, Exact, "1"}, {Staff, Exact, true}},
			want: byText},
		{name: "the part of a name before a Boolean", conditions: []Condition{{news, Exact, true}, {Username,
			IContains, "ada"}}, want: "SCAN x VIRTUAL TABLE INDEX"},
		{name: "a text before the part of a name", conditions: []Condition{{phone, Exact, "1"}, {Username, IContains,
			"ada"}}, want: byText},
		{name: "a username before a text", conditions: []Condition{{phone, Exact, "1"}, {Username, IExact, "ada"}},
			want: "USING COVERING INDEX user_search_username"},
	} {
		for _, descending := range []bool{false, true} {
			plan := f.plan(t, test.conditions, descending)
			if steps := strings.Split(plan, "\n"); !strings.Contains(steps[1], test.want) || strings.Contains(plan,
				"TEMP B-TREE") != test.sorts {
				t.Errorf("%s, descending %t:\n%s\nwant %s, sorted %t", test.name, descending, plan, test.want,
					test.sorts)
			}
		}
	}
}
