package schema_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"accountd/accounts"
	"accountd/schema"
)

// account creates an account without a password.
func (s *site) account(tb testing.TB, in accounts.AddUserInput) {
	tb.Helper()
	in.NoPassword = true
	if _, err := s.svc.AddUser(tb.Context(), in); err != nil {
		tb.Fatal(err)
	}
}

func publicSite(tb testing.TB, change ...func(*schema.Settings)) *site {
	return newSite(tb, func(o *options) {
		o.schema = func(s *schema.Settings) {
			s.Users = "public"
			for _, fn := range change {
				fn(s)
			}
		}
	})
}

// TestWhoMayAsk queries as every kind of caller under every policy.
func TestWhoMayAsk(t *testing.T) {
	t.Parallel()
	callers := []string{"anonymous", "garbage", "unverified", "verified", "archived", "inactive", "superuser", "staff"}
	for policy, allowed := range map[string]string{
		"staff":         "staff",
		"verified":      "verified archived staff",
		"authenticated": "unverified verified archived superuser staff",
		"public":        strings.Join(callers, " "),
	} {
		s := newSite(t, func(o *options) { o.schema = func(s *schema.Settings) { s.Users = policy } })
		headers := map[string][]string{"garbage": {"Authorization", "JWT a.b.c"}}
		for _, in := range []accounts.AddUserInput{
			{Username: "unverified"}, {Username: "verified", Verified: true}, {Username: "archived", Verified: true},
			{Username: "inactive", Verified: true},
			{Username: "superuser", Superuser: true}, {Username: "staff", Staff: true},
		} {
			headers[in.Username] = s.add(t, flavours[0], in)
		}
		s.exec(t, `UPDATE user_status SET archived = 1 WHERE user_id = (SELECT id FROM users WHERE username = `+
			`'archived')`)
		s.exec(t, `UPDATE users SET is_active = 0 WHERE username = 'inactive'`)
		for _, caller := range callers {
			for _, f := range flavours {
				for _, query := range []string{
					`users(first: 1) { edges { node { username } } }`,
					`user(id: "VXNlck5vZGU6MQ==") { username }`, // UserNode:1
					`user(id: "nobody") { username }`,
				} {
					field, _, _ := strings.Cut(query, "(")
					status, got := s.post(t, f, "{ "+query+" }", headers[caller]...)
					want := fmt.Sprintf(`{"errors":[{"message":"You do not have permission to perform this action",`+
						`"locations":[{"line":1,"column":3}],"path":[%q],`+
						`"extensions":{"code":"permission_denied"}}],"data":{%q:null}}`, field, field)
					if slices.Contains(strings.Fields(allowed), caller) {
						want = map[bool]string{
							true:  `{"data":{"users":{"edges":[{"node":{"username":"unverified"}}]}}}`,
							false: `{"data":{"user":{"username":"unverified"}}}`,
						}[field == "users"]
						if strings.Contains(query, "nobody") {
							want = `{"data":{"user":null}}`
						}
					}
					if status != 200 || got != want {
						t.Errorf("%s, %s asks %s: %d %s\nwant %s", policy, caller, query, status, got, want)
					}
				}
			}
		}
	}
}

// TestRefusedBesideGranted: a refused field does not remove other fields from the answer.
func TestRefusedBesideGranted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	header := s.add(t, flavours[0], accounts.AddUserInput{Username: "ada"})
	_, got := s.post(t, flavours[0], "{ users { edges { cursor } } me { username } }", header...)
	if !strings.HasSuffix(got, `"data":{"users":null,"me":{"username":"ada"}}}`) ||
		strings.Count(got, "permission_denied") != 1 {
		t.Errorf("got %s, want me and one error permission_denied", got)
	}
}

func TestUser(t *testing.T) {
	t.Parallel()
	s := publicSite(t)
	s.account(t, accounts.AddUserInput{Username: "ada", Email: "ada@acme.example"})
	s.account(t, accounts.AddUserInput{Username: "gone", Email: "gone@acme.example", Inactive: true})
	encode := func(id string) string { return base64.StdEncoding.EncodeToString([]byte(id)) }
	for id, want := range map[string]string{
		encode("UserNode:1"): `{"pk":1,"username":"ada","isActive":true}`,
		encode("UserNode:2"): `{"pk":2,"username":"gone","isActive":false}`,
	} {
		for _, f := range flavours {
			if _, got := s.post(t, f, fmt.Sprintf("{ user(id: %q) { pk username isActive } }",
				id)); got != `{"data":{"user":`+want+`}}` {
				t.Errorf("%s: got %s, want %s", id, got, `{"data":{"user":`+want+`}}`)
			}
		}
	}
	for _, id := range []string{
		"", "1", "garbage", "UserNode:1", encode("UserNode:3"), encode("UserNode:0"), encode("UserNode:-1"),
		encode("UserNode:01"), encode("UserNode: 1"),
		encode("GroupNode:1"), encode("1"), encode("UserNode:1") + "=", encode("UserNode:9223372036854775808"),
		"VXNlck5vZGU6MQ", "\x00", encode("UserNode:1\x00"),
	} {
		quoted, err := json.Marshal(id)
		if err != nil {
			t.Fatal(err)
		}
		if _, got := s.post(t, flavours[0], fmt.Sprintf("{ user(id: %s) { pk } }",
			quoted)); got != `{"data":{"user":null}}` {
			t.Errorf("%q: got %s, want %s", id, got, `{"data":{"user":null}}`)
		}
	}
	if _, got := s.post(t, flavours[0], "{ user(id: 1) { pk } }"); got != `{"data":{"user":null}}` {
		t.Errorf("a number: got %s, want %s", got, `{"data":{"user":null}}`)
	}
}

// TestUsersAnswer compares a page with all its fields, in both flavours.
func TestUsersAnswer(t *testing.T) {
	t.Parallel()
	s := publicSite(t)
	for _, name := range []string{"ada", "bob", "cleo"} {
		s.account(t, accounts.AddUserInput{Username: name, Email: name + "@acme.example"})
	}
	const query = `{ users(first: 1, offset: 1) { __typename
		pageInfo { __typename hasNextPage hasPreviousPage startCursor endCursor }
		edges { __typename cursor node { __typename id pk username firstName secondaryEmail verified } } } }`
	const want = `{"data":{"users":{"__typename":"UserNodeConnection","pageInfo":{"__typename":"PageInfo",` +
		`"hasNextPage":true,"hasPreviousPage":true,` +
		`"startCursor":"dXNlcnMxOjI","endCursor":"dXNlcnMxOjI"},"edges":[{"__typename":"UserNodeEdge",` +
		`"cursor":"dXNlcnMxOjI","node":{"__typename":"UserNode",` +
		`"id":"VXNlck5vZGU6Mg==","pk":2,"username":"bob","firstName":"","secondaryEmail":null,"verified":false}}]}}}`
	const none = `{"data":{"users":{"pageInfo":{"hasNextPage":true,"hasPreviousPage":false,"startCursor":null,` +
		`"endCursor":null},"edges":[]}}}`
	for _, f := range flavours {
		if status, got := s.post(t, f, query); status != 200 || got != want {
			t.Errorf("%s: %d %s\nwant %s", f.name, status, got, want)
		}
		if _, got := s.post(t, f, "{ users(first: 0) { pageInfo { hasNextPage hasPreviousPage startCursor endCursor "+
			"} edges { cursor } } }"); got != none {
			t.Errorf("%s: got %s\nwant %s", f.name, got, none)
		}
	}
}

// finds compares the usernames of a users query with want, which has spaces between them.
func (s *site) finds(t *testing.T, f flavour, args, want string) {
	t.Helper()
	status, body := s.post(t, f, "{ users"+args+" { edges { node { username } } } }")
	var answer struct {
		Data struct {
			Users struct {
				Edges []struct{ Node struct{ Username string } }
			}
		}
		Errors []any
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range answer.Data.Users.Edges {
		names = append(names, e.Node.Username)
	}
	if got := strings.Join(names, " "); status != 200 || got != want || answer.Errors != nil {
		t.Errorf("%s: users%s finds %q, want %q (%d %s)", f.name, args, got, want, status, body)
	}
}

// TestUsersArguments: filters and page arguments may have any order, and null and "" filter nothing.
func TestUsersArguments(t *testing.T) {
	t.Parallel()
	s := publicSite(t, func(s *schema.Settings) {
		s.FilterFields = map[string][]string{
			"email": {"exact", "in"}, "username": {"exact", "icontains", "istartswith"}, "first_name": {"icontains"},
			"is_active": {"exact"}, "is_staff": {"exact"},
			"status__archived": {"exact"}, "status__verified": {"exact"}, "status__secondary_email": {"exact",
				"istartswith"},
		}
	})
	s.account(t, accounts.AddUserInput{Username: "ada", Email: "ada@acme.example",
		SecondaryEmail: "countess@acme.example", Verified: true, FirstName: "Ada"})
	s.account(t, accounts.AddUserInput{Username: "Adamant", Email: "adamant@acme.example", Archived: true, Staff: true,
		FirstName: "A%d"})
	s.account(t, accounts.AddUserInput{Username: "bob", Email: "bob@acme.example", Inactive: true})
	for args, want := range map[string]string{
		``:                                                          "ada Adamant bob",
		`(email: "ADA@acme.example")`:                               "ada",
		`(username: "ada")`:                                         "ada",
		`(username: "ADA")`:                                         "",
		`(username: " bob\n")`:                                      "bob",
		`(username_Icontains: "ADA")`:                               "ada Adamant",
		`(username_Icontains: "%")`:                                 "",
		`(username_Icontains: "_")`:                                 "",
		`(username_Icontains: "\u0000")`:                            "",
		`(firstName_Icontains: "%")`:                                "Adamant",
		`(username_Istartswith: "B")`:                               "bob",
		`(isActive: false)`:                                         "bob",
		`(isActive: null)`:                                          "ada Adamant bob",
		`(isStaff: true)`:                                           "Adamant",
		`(status_Archived: true)`:                                   "Adamant",
		`(status_Verified: false, isActive: true)`:                  "Adamant",
		`(status_SecondaryEmail: "Countess@acme.example")`:          "ada",
		`(status_SecondaryEmail_Istartswith: "Coun")`:               "ada",
		`(email_In: "bob@acme.example, ada@acme.example")`:          "ada bob",
		`(email: "", username: "  ", username_Icontains: null)`:     "ada Adamant bob",
		`(first: null, last: null, before: null, after: null)`:      "ada Adamant bob",
		`(last: 1, isActive: true)`:                                 "Adamant",
		`(isActive: true, last: 1)`:                                 "Adamant",
		`(after: "dXNlcnMxOjE")`:                                    "Adamant bob",
		`(before: "dXNlcnMxOjM", last: 1)`:                          "Adamant",
		`(offset: 2)`:                                               "bob",
		`(offset: 3)`:                                               "",
		`(offset: 1, after: "dXNlcnMxOjE", first: 5)`:               "bob",
		`(first: 2, last: 1)`:                                       "Adamant",
		`(username_Icontains: "a' OR 1=1 --")`:                      "",
		`(username_Icontains: "ada\" OR username : \"bob")`:         "",
		`(email: "nonsense")`:                                       "",
		`(username: "bob", email: "ada@acme.example")`:              "",
		`(username_Istartswith: "a", username_Icontains: "daMAnt")`: "Adamant",
	} {
		for _, f := range flavours {
			s.finds(t, f, args, want)
		}
	}
}

func TestUsersErrors(t *testing.T) {
	t.Parallel()
	s := publicSite(t)
	for args, want := range map[string]string{
		`first: 101`: "Requesting 101 records on the `users` connection exceeds the `first` limit of " +
			"100 records.",
		`last: 2147483647`: "Requesting 2147483647 records on the `users` connection exceeds the `last` limit " +
			"of 100 records.",
		`first: -1`:              "Argument first must not be negative.",
		`last: -1`:               "Argument last must not be negative.",
		`offset: -1`:             "Argument offset must not be negative.",
		`after: "x"`:             "Argument after is not a valid cursor: send one that an edge, or pageInfo, had.",
		`first: 1, before: ""`:   "Argument before is not a valid cursor: send one that an edge, or pageInfo, had.",
		`before: "YXJyYXk6MA=="`: "Argument before is not a valid cursor: send one that an edge, or pageInfo, had.",
	} {
		for _, f := range flavours {
			status, got := s.post(t, f, "{ users("+args+") { edges { cursor } } }")
			quoted, err := json.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			whole := fmt.Sprintf(`{"errors":[{"message":%s,"locations":[{"line":1,"column":3}],"path":["users"],`+
				`"extensions":{"code":"wrong_usage"}}],"data":{"users":null}}`, quoted)
			if status != 200 || got != whole {
				t.Errorf("%s: %s: got %d %s\nwant 200 %s", f.name, args, status, got, whole)
			}
		}
	}
	for _, args := range []string{`nothing: 1`, `isActive: "true"`, `first: "1"`, `username_Contains: "a"`} {
		if status, got := s.post(t, flavours[0], "{ users("+args+") { edges { cursor } } }"); status != 400 ||
			!strings.Contains(got, `"code":"validation"`) {
			t.Errorf("%s: got status %d and %s, want %s in it", args, status, got, `"code":"validation"`)
		}
	}
	if text := s.log.String(); strings.Contains(text, "internal") {
		t.Errorf("got the log %s, want no internal error", text)
	}
}

// TestUsersPage: limits.page is the size of a page and its default.
func TestUsersPage(t *testing.T) {
	t.Parallel()
	s := publicSite(t, func(s *schema.Settings) { s.Page = 2 })
	for _, name := range []string{"ada", "bob", "cleo"} {
		s.account(t, accounts.AddUserInput{Username: name, Email: name + "@acme.example"})
	}
	for args, want := range map[string]string{
		"": `{"data":{"users":{"edges":[{"node":{"pk":1}},{"node":{"pk":2}}],` +
			`"pageInfo":{"hasNextPage":true}}}}`,
		"(last: 2)": `{"data":{"users":{"edges":[{"node":{"pk":2}},{"node":{"pk":3}}],` +
			`"pageInfo":{"hasNextPage":false}}}}`,
		"(first: 2)": `{"data":{"users":{"edges":[{"node":{"pk":1}},{"node":{"pk":2}}],` +
			`"pageInfo":{"hasNextPage":true}}}}`,
	} {
		if _, got := s.post(t, flavours[0], "{ users"+args+
			" { edges { node { pk } } pageInfo { hasNextPage } } }"); got != want {
			t.Errorf("%s: got %s, want %s", args, got, want)
		}
	}
	if _, got := s.post(t, flavours[0], "{ users(first: 3) { edges { cursor } } }"); !strings.Contains(got,
		"exceeds the `first` limit of 2 records.") {
		t.Errorf("got %s, want an error about the limit of 2", got)
	}
}

// TestUsersBusy: a search that exceeds the timeout of the request is answered as busy.
func TestUsersBusy(t *testing.T) {
	t.Parallel()
	s := publicSite(t, func(s *schema.Settings) { s.Limits.Timeout = time.Nanosecond })
	status, got := s.post(t, flavours[0], `{ users(username_Icontains: "a") { edges { cursor } } }`)
	if status != 503 || !strings.Contains(got, `"code":"busy"`) || !strings.Contains(got, `"data":{"users":null}`) {
		t.Errorf("got status %d and %s, want %s in it", status, got, `"code":"busy"`)
	}
}

// TestQueryShapes: exclude_fields and filter_fields change the schema.
func TestQueryShapes(t *testing.T) {
	t.Parallel()
	shape := func(t *testing.T, s *site, flavour schema.Flavour) string {
		t.Helper()
		parsed := gqlparser.MustLoadSchema(&ast.Source{Name: "ours", Input: s.api.SDL(flavour)})
		var out strings.Builder
		for _, f := range parsed.Types["UserNode"].Fields {
			fmt.Fprintf(&out, "%s: %s\n", f.Name, f.Type)
		}
		for _, a := range parsed.Types["Query"].Fields.ForName("users").Arguments {
			fmt.Fprintf(&out, "(%s: %s)\n", a.Name, a.Type)
		}
		return out.String()
	}
	const pages = "(after: String)\n(before: String)\n"
	for _, test := range []struct {
		name    string
		exclude []string
		filters map[string][]string
		want    string
	}{
		{"everything but the id", accounts.Settings{}.FieldNames()[1:], nil, "id: ID!\n" + pages +
			"(first: Int)\n(last: Int)\n(offset: Int)\n"},
		{"some", []string{"last_login", "date_joined", "is_staff", "secondary_email", "first_name", "last_name",
			"archived", "pk"}, map[string][]string{
			"first_name": {"exact", "icontains"}, "is_staff": {"exact"}, "email": {"in"},
			"status__secondary_email": {"exact", "iexact", "contains", "icontains", "startswith", "istartswith", "in"},
		}, "email: String!\nid: ID!\nisActive: Boolean!\nusername: String!\nverified: Boolean\n" + pages +
			"(email_In: String)\n(first: Int)\n(firstName: String)\n(firstName_Icontains: String)\n(isStaff: " +
			"Boolean)\n(last: Int)\n(offset: Int)\n" +
			"(status_SecondaryEmail: String)\n(status_SecondaryEmail_Contains: " +
			"String)\n(status_SecondaryEmail_Icontains: String)\n(status_SecondaryEmail_Iexact: String)\n" +
			"(status_SecondaryEmail_In: String)\n(status_SecondaryEmail_Istartswith: " +
			"String)\n(status_SecondaryEmail_Startswith: String)\n"},
	} {
		s := publicSite(t, func(s *schema.Settings) { s.ExcludeFields, s.FilterFields = test.exclude, test.filters })
		for _, flavour := range []schema.Flavour{schema.Plain, schema.Relay} {
			if diff := cmp.Diff(test.want, shape(t, s, flavour)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.name, diff)
			}
		}
	}
	if _, got := publicSite(t, func(s *schema.Settings) { s.ExcludeFields = []string{"email"} }).post(t, flavours[0],
		"{ users { edges { node { email } } } }"); !strings.Contains(got, "validation") {
		t.Errorf("an excluded field answers got %s, want %s in it", got, "validation")
	}
}

// TestArgumentsTwice: a filter cannot have the name of another argument.
func TestArgumentsTwice(t *testing.T) {
	t.Parallel()
	_, err := schema.New(nil, schema.Settings{FilterFields: map[string][]string{"email": {"exact", "exact"}}})
	if err == nil || !strings.Contains(err.Error(), "second argument email") {
		t.Errorf("got error %v, want second argument email", err)
	}
}

// TestFieldNames: settings can exclude the fields of UserNode.
func TestFieldNames(t *testing.T) {
	t.Parallel()
	parsed := gqlparser.MustLoadSchema(&ast.Source{Name: "ours", Input: newSite(t).api.SDL(schema.Plain)})
	if fields, names := parsed.Types["UserNode"].Fields, (accounts.Settings{}).FieldNames(); len(fields) != len(names) {
		t.Errorf("got %d fields of UserNode, want %d", len(fields), len(names))
	}
}

// TestUsersFields: a page has configured fields, and they can be excluded.
func TestUsersFields(t *testing.T) {
	t.Parallel()
	for _, exclude := range [][]string{nil, {"phone_number"}} {
		s := newSite(t, func(o *options) {
			o.accounts.Fields = []accounts.Field{{Name: "phone_number", Type: accounts.String, Public: true}}
			o.schema = func(s *schema.Settings) { s.Users, s.ExcludeFields = "public", exclude }
		})
		s.account(t, accounts.AddUserInput{Username: "ada", Email: "ada@acme.example",
			Fields: accounts.Values{"phone_number": "123"}})
		s.account(t, accounts.AddUserInput{Username: "bob", Email: "bob@acme.example"})
		want := `{"data":{"users":{"edges":[{"node":{"phoneNumber":"123"}},{"node":{"phoneNumber":null}}]}}}`
		for _, f := range flavours {
			status, got := s.post(t, f, "{ users { edges { node { phoneNumber } } } }")
			if exclude == nil && got != want || exclude != nil && status != 400 {
				t.Errorf("without %q: got status %d and %s, want %s", exclude, status, got, want)
			}
		}
	}
}

// TestUsersTokenArgument: the policy applies to the caller of the field's token argument.
func TestUsersTokenArgument(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *options) {
		o.schema = func(s *schema.Settings) { s.AllowArgument, s.ArgumentName = true, "token" }
	})
	token := strings.TrimPrefix(s.add(t, flavours[0], accounts.AddUserInput{Username: "ada", Staff: true})[1], "JWT ")
	for _, f := range flavours {
		_, got := s.post(t, f, fmt.Sprintf(`{ a: users(token: %q, first: 1) { edges { node { username } } } b: `+
			`users { edges { cursor } } c: user(token: %q, id: "VXNlck5vZGU6MQ==") { pk } }`, token, token))
		if !strings.HasSuffix(got, `"data":{"a":{"edges":[{"node":{"username":"ada"}}]},"b":null,"c":{"pk":1}}}`) ||
			strings.Count(got, "permission_denied") != 1 {
			t.Errorf("%s: got %s, want one permission_denied, for b", f.name, got)
		}
	}
}
