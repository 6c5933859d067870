package schema_test

import (
	"strings"
	"testing"

	"accountd/accounts"
	"accountd/schema"
)

// TestUsersFieldFilters filters by configured fields of every type and lookup.
func TestUsersFieldFilters(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *options) {
		everyField(&o.accounts)
		o.schema = func(s *schema.Settings) {
			s.Users, s.FilterFields = "public", fieldFilters()
		}
	})
	at, ok := accounts.ParseDateTime("1815-12-10T00:00:00Z")
	if !ok {
		t.Fatal("got no time, want 1815")
	}
	s.account(t, accounts.AddUserInput{Username: "ada", Email: "ada@acme.example",
		Fields: accounts.Values{"phone_number": "+123", "level": 1, "ratio": 0.5, "news": true, "born": at}})
	s.account(t, accounts.AddUserInput{Username: "bob", Email: "bob@acme.example",
		Fields: accounts.Values{"phone_number": "124", "level": 2, "ratio": 2.0, "news": false}})
	s.account(t, accounts.AddUserInput{Username: "cleo", Email: "cleo@acme.example"})
	s.exec(t, `INSERT INTO user_fields (user_id, name, value) VALUES (3, 'phone_number', 123), (3, 'level', '1'), `+
		`(3, 'ratio', 'x'), (3, 'news', 1.0), (3, 'born', 0.5)`)
	for args, want := range map[string]string{
		`(phoneNumber: " +123\n")`:              "ada",
		`(phoneNumber: "123")`:                  "",
		`(phoneNumber: "１２４")`:                  "bob",
		`(phoneNumber: "")`:                     "ada bob cleo",
		`(phoneNumber: null, level: null)`:      "ada bob cleo",
		`(ratio: null, news: null, born: null)`: "ada bob cleo",
		`(phoneNumber_Iexact: "+123")`:          "ada",
		`(phoneNumber_Contains: "12")`:          "ada bob",
		`(phoneNumber_Icontains: "23")`:         "ada",
		`(phoneNumber_Startswith: "12")`:        "bob",
		`(phoneNumber_Istartswith: "+")`:        "ada",
		`(phoneNumber_In: "+123, 124, 9")`:      "ada bob",
		`(phoneNumber_Contains: "%")`:           "",
		`(phoneNumber_Contains: "\u0000")`:      "",
		`(level: 1)`:                            "ada",
		`(level: 0)`:                            "",
		`(ratio: 0.5)`:                          "ada",
		`(ratio: 2)`:                            "bob",
		`(news: true)`:                          "ada",
		`(news: false)`:                         "bob",
		`(born: "1815-12-10T01:00:00+01:00")`:   "ada",
		`(born: "1815-12-10T00:00:01Z")`:        "",
		`(level: 1, news: true, username: "ada", born: "1815-12-10T00:00:00.9Z")`: "ada",
		`(level: 1, news: false)`:              "",
		`(news: true, last: 1)`:                "ada",
		`(phoneNumber_Contains: "2", last: 1)`: "bob",
	} {
		for _, f := range flavours {
			s.finds(t, f, args, want)
		}
	}
	for _, args := range []string{`level: "1"`, `level: 1.5`, `level: 2147483648`, `ratio: "x"`, `ratio: 1e999`,
		`news: 1`, `born: "yesterday"`, `born: ""`, `born: 5`, `level_In: "1"`, `hidden: "x"`} {
		for _, f := range flavours {
			if _, got := s.post(t, f, "{ users("+args+") { edges { cursor } } }"); !strings.Contains(got,
				`"code":"validation"`) && !strings.Contains(got, `"code":"variables"`) {
				t.Errorf("%s, %s: got %s, want %s in it", f.name, args, got, `"code":"validation"`)
			}
		}
	}
	if text := s.log.String(); strings.Contains(text, "internal") {
		t.Errorf("got the log %s, want no internal error", text)
	}
}

// fieldFilters are all possible filters by the fields of everyField.
func fieldFilters() map[string][]string {
	return map[string][]string{
		"phone_number": {"exact", "iexact", "contains", "icontains", "startswith", "istartswith", "in"},
		"level":        {"exact"}, "ratio": {"exact"}, "news": {"exact"}, "born": {"exact"}, "username": {"exact"},
	}
}

// TestNoSuchFilter: New refuses every filter that a field does not have.
func TestNoSuchFilter(t *testing.T) {
	t.Parallel()
	var s schema.Settings
	everyField(&s.Accounts)
	for name, lookup := range map[string]string{"nick": "exact", "hidden": "exact", "level": "in",
		"is_active": "iexact", "born": "startswith", "email": "regex"} {
		s.FilterFields = map[string][]string{name: {lookup}}
		if _, err := schema.New(nil, s); err == nil || !strings.Contains(err.Error(), "queries.filter_fields has "+
			lookup+" of "+name) {
			t.Errorf("%s of %s: got error %v, want one that names both", lookup, name, err)
		}
	}
}
