package api_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// queryRow is one query and its expected results.
type queryRow struct {
	query string
	staff string // the data for who may ask; "": $me, which is the caller's own
}

// queryRows are the queries by root field; TestSecurityQueries fails for a missing field. They come in pairs, one
// that would find an account and one that would not, because a refusal must not differ between the two.
var queryRows = map[string][]queryRow{
	"me": {{query: `me { username }`}},
	"user": {
		{`user(id: "$grace") { username }`, `{"user":{"username":"grace"}}`},
		{`user(id: "$nobody") { username }`, `{"user":null}`},
		{`user(id: "$own") { username }`, `{"user":{"username":"$user"}}`},
		{`user(id: "garbage") { username }`, `{"user":null}`},
	},
	"users": slices.Concat(
		[]queryRow{{`users(first: 1) { edges { node { username } } }`, foundGrace}},
		pair(`email: "grace@example.com"`, `email: "nobody@example.com"`),
		pair(`username: "grace"`, `username: "nobody"`),
		pair(`username_Icontains: "GRAC"`, `username_Icontains: "nobo"`),
		pair(`username_Istartswith: "Gra"`, `username_Istartswith: "race"`),
		pair(`status_SecondaryEmail: "hopper@example.com"`, `status_SecondaryEmail: "nobody@example.com"`),
		pair(`username: "grace", isActive: true`, `username: "grace", isActive: false`),
		pair(`username: "grace", status_Verified: true`, `username: "grace", status_Verified: false`),
		pair(`username: "grace", status_Archived: false`, `username: "grace", status_Archived: true`),
		[]queryRow{{`users(first: 1, email: "grace@example.com", after: "garbage") { edges { node { username } } }`,
			"error wrong_usage"}},
	),
}

const foundGrace = `{"users":{"edges":[{"node":{"username":"grace"}}]}}`

func pair(hit, miss string) []queryRow {
	return []queryRow{
		{`users(first: 1, ` + hit + `) { edges { node { username } } }`, foundGrace},
		{`users(first: 1, ` + miss + `) { edges { node { username } } }`, `{"users":{"edges":[]}}`},
	}
}

// TestSecurityQueries sends every query as every caller. Only staff see other users. For all others the refusal is
// the same to the byte, whether or not the account exists.
func TestSecurityQueries(t *testing.T) {
	t.Parallel()
	s := newScript(t, false)
	defer func() { s.stop() }()
	s.where = "preparation"
	s.command(strings.Fields("user add --username grace --email grace@example.com --secondary-email "+
		"hopper@example.com --verified --no-password"), nil)
	var schema struct {
		Schema struct {
			QueryType struct {
				Fields []struct {
					Name string
					Args []struct{ Name string }
				}
			}
		} `json:"__schema"`
	}
	answer := s.post(`{__schema{queryType{fields{name args{name}}}}}`)
	if err := json.Unmarshal(answer.Data, &schema); err != nil {
		t.Fatal(err)
	}
	var fields []string
	for _, f := range schema.Schema.QueryType.Fields {
		fields = append(fields, f.Name)
		for _, arg := range f.Args {
			used := slices.ContainsFunc(queryRows[f.Name], func(r queryRow) bool {
				return strings.Contains(r.query, arg.Name+
					":")
			})
			// places in a list that is refused
			if !used && !slices.Contains([]string{"last", "before", "offset"}, arg.Name) {
				t.Errorf("got no row that asks %s by %s, want one for each argument", f.Name, arg.Name)
			}
		}
	}
	slices.Sort(fields)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(queryRows)), fields); diff != "" {
		t.Fatalf("every query has a row (-rows +queries):\n%s", diff)
	}
	id := func(pk string) string { return base64.StdEncoding.EncodeToString([]byte("UserNode:" + pk)) }
	s.vars["grace"], s.vars["nobody"] = id("1"), id("4711")
	for i, c := range callers {
		s.caller(t, c, fmt.Sprintf("caller%d", i), id)
	}
}

// caller sends all queries as one caller; user names the caller's account.
func (s *script) caller(t *testing.T, c caller, user string, id func(pk string) string) {
	t.Helper()
	s.vars["user"], s.as, s.where = user, "", c.name
	s.vars["own"] = id("0")
	if c.name != "anonymous" {
		add := "user add --username $user --email $user@example.com --password-stdin --json " + c.flags
		s.command(strings.Fields(s.expand(add)), []string{"< quiet-otter-42", `$ id "id":(\d+)`})
		s.vars["own"] = id(s.vars["id"])
		s.mutation(`tokenAuth(username: "$user", password: "quiet-otter-42")`, []string{`-> ok {"token":"$caller"}`})
		s.as = "caller"
		defer delete(s.vars, "caller")
	}
	if c.then != "" {
		s.command(strings.Fields(s.expand(c.then)), nil)
	}
	if c.row != "" {
		s.update(c.row, s.vars["id"])
	}
	login, staff := strings.Contains(c.has, "login"), strings.Contains(c.flags, "--staff")
	for _, field := range slices.Sorted(maps.Keys(queryRows)) {
		for _, r := range queryRows[field] {
			answer := s.post("{ " + s.expand(r.query) + " }")
			got := string(answer.Data)
			if len(answer.Errors) > 0 {
				got = fmt.Sprintf("error %s", answer.Errors[0].Extensions["code"])
			}
			want := "error permission_denied"
			switch {
			case field == "me" && login:
				want = s.expand(`{"me":{"username":"$user"}}`)
			case field == "me":
				want = `{"me":null}`
			case login && staff:
				want = s.expand(r.staff)
			}
			if got != want {
				t.Errorf("%s asks %s: %s, want %s", c.name, r.query, got, want)
			}
			if want == "error permission_denied" {
				whole, err := json.Marshal(answer)
				if refusal := s.vars["refusal "+field]; refusal == "" {
					s.vars["refusal "+field] = string(whole)
				} else if err != nil || refusal != string(whole) {
					t.Errorf("%s asks %s: got %s, want the same as elsewhere, %s, %v", c.name, r.query, whole, refusal,
						err)
				}
			}
		}
	}
}
