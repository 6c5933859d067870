//go:build unix

package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"accountd/internal/servertest"
)

// hostileTexts are metacharacters of SQL, LIKE, GLOB, full-text search, shells, templates and JSON.
var hostileTexts = []string{
	`'`, `"`, "`", `\`, `' OR '1'='1`, `" OR ""="`, `'; DROP TABLE users; --`, `'); DELETE FROM users; --`, `%`, `_`,
	`%%`,
	`a%`, `%a`, `_d_`, `[a-z]*`, `*`, `?`, `a*`, `^a`, `a OR b`, `NEAR(a b)`,
	`" OR username:"a`, `username : a`, `ada" "`, `-ada`, `$1`, `?1`, `:a`, `@a`, `{{7*7}}`, "\x00", "ada\x00",
	"\x00ada",
	"a\x00da", `\u0000`, "\n", "a\r\nb", "\u2028", `');`, `/* */`, `--`, `#`, `0x41`, `NULL`,
	`1 UNION SELECT password FROM users`,
	`char(97)`, `${7*7}`, "\ufeffada", "a\u200dda", strings.Repeat("%", 500), strings.Repeat("a%", 100),
}

// TestSecurityInjection sends hostileTexts as every text of the API, as literals and as variables. Each is an
// ordinary value: no response is an internal error, and no other account changes.
func TestSecurityInjection(t *testing.T) {
	t.Parallel()
	server := servertest.New(t, "ACCOUNTD_QUERIES_USERS=public", "ACCOUNTD_TOKENS_COOKIES_ENABLED=true")
	session, err := server.Register(http.DefaultClient, "ada", "quiet-otter-42")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.Register(http.DefaultClient, "bob", "quiet-otter-42"); err != nil {
		t.Fatal(err)
	}
	db := server.Open(t)
	before := accountRows(t, db)
	for _, text := range hostileTexts {
		value, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		for name, r := range prologues {
			for _, arg := range strings.Split(r.args, ", ") {
				argument, _, _ := strings.Cut(arg, ":")
				if argument == "" || name == "updateAccount" || argument == "username" && name == "register" { // below
					continue
				}
				rest := ""
				for _, other := range strings.Split(r.args, ", ") {
					if other != arg {
						rest += ", " + strings.NewReplacer("$password", "wrong-"+`\"'%`, "$name@", "nobody@", "$name",
							"nobody").Replace(other)
					}
				}
				selection := "{ success errors }"
				got := server.Post(t, "/graphql", "mutation($v: String!) { "+name+"("+argument+": $v"+rest+") "+
					selection+" }",
					`{"v":`+string(value)+`}`, "Authorization", "JWT "+session.Token)
				if got.Has("internal") || strings.Contains(got.Body, `"success":true`) && argument != "email" ||
					got.Status != 200 && !got.Has("bad_string") {
					t.Errorf("%s of %s is %q: got status %d, %s; want a refusal", argument, name, text, got.Status,
						got.Body)
				}
			}
		}
		for _, name := range []string{"JWT", "JWT-refresh-token"} {
			got := server.Post(t, "/graphql", "mutation { verifyToken { success } }", "", "Cookie", name+"="+
				strings.Trim(strings.Map(printable, text), " "))
			if got.Has("internal") || strings.Contains(got.Body, `"success":true`) {
				t.Errorf("the cookie %s is %q: got %s, want a refusal", name, text, got.Body)
			}
		}
	}
	if after := accountRows(t, db); after != before {
		t.Errorf("the accounts: got\n%s\nwant\n%s", after, before)
	}
}

// printable drops characters that net/http refuses in a header.
func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return -1
	}
	return r
}

// TestSecurityNamesToTheLetter: a name is stored and returned byte for byte. Only NUL and too many characters are
// refused.
func TestSecurityNamesToTheLetter(t *testing.T) {
	t.Parallel()
	server := servertest.New(t, "ACCOUNTD_QUERIES_USERS=public")
	session, err := server.Register(http.DefaultClient, "ada", "quiet-otter-42")
	if err != nil {
		t.Fatal(err)
	}
	server.Exec(t, `UPDATE user_status SET verified = 1`)
	for _, text := range hostileTexts {
		value, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		got := server.Post(t, "/graphql", "mutation($v: String) { updateAccount(firstName: $v) { success errors } }",
			`{"v":`+
				string(value)+`}`, "Authorization", "JWT "+session.Token)
		stored := strings.Contains(got.Body, `"success":true`)
		if refuse := strings.Contains(text, "\x00") || len(text) > 150; stored == refuse || got.Has("internal") {
			t.Errorf("%q: got %s, want a refusal %t", text, got.Body, refuse)
		}
		if !stored {
			continue
		}
		var answer struct {
			Data struct{ Me struct{ FirstName string } }
		}
		me := server.Post(t, "/graphql", "{ me { firstName } }", "", "Authorization", "JWT "+session.Token)
		if err := json.Unmarshal([]byte(me.Body), &answer); err != nil ||
			answer.Data.Me.FirstName != strings.TrimSpace(text) {
			t.Errorf("got %q, %v; want %q", answer.Data.Me.FirstName, err, strings.TrimSpace(text))
		}
	}
}

// TestSecurityFilters: in a filter every character stands for itself. Wildcards of LIKE, GLOB and full-text search
// match only themselves, and no argument sorts or selects by SQL.
func TestSecurityFilters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const config = `[queries.filter_fields]
username = ["exact", "iexact", "contains", "icontains", "startswith", "istartswith", "in"]
email = ["exact", "icontains", "istartswith", "in"]
first_name = ["exact", "icontains", "istartswith", "in"]
status__secondary_email = ["exact", "icontains"]
`
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	server := servertest.Cheap(t, filepath.Join(dir, "data"), "ACCOUNTD_QUERIES_USERS=public")
	for _, name := range []string{"ada", "bob", "a_d", "x-y", "a.b+c"} {
		if session, err := server.Register(http.DefaultClient, name, "quiet-otter-42"); err != nil || !session.Success {
			t.Fatalf("%s: got %+v, %v; want a registration", name, session, err)
		}
	}
	find := func(argument, text string) (string, servertest.Reply) {
		t.Helper()
		value, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		got := server.Post(t, "/graphql", "query($v: String) { users("+argument+
			": $v) { edges { node { username } } } }",
			`{"v":`+string(value)+`}`)
		var answer struct {
			Data struct {
				Users struct {
					Edges []struct{ Node struct{ Username string } }
				}
			}
		}
		if err := json.Unmarshal([]byte(got.Body), &answer); err != nil {
			t.Fatalf("got %s, want JSON: %v", got.Body, err)
		}
		names := ""
		for _, edge := range answer.Data.Users.Edges {
			names += edge.Node.Username + " "
		}
		return strings.TrimSpace(names), got
	}
	for _, test := range []struct{ argument, text, want string }{
		// something is found
		{"username", "ada", "ada"}, {"username_Icontains", "D", "ada a_d"}, {"username_Istartswith", "A",
			"ada a_d a.b+c"},
		{"username_In", "ada, bob", "ada bob"},
		{"username_Icontains", "_", "a_d"}, {"username_Contains", "_", "a_d"}, {"username_Istartswith", "a_", "a_d"},
		{"username_Startswith", "_", ""}, {"username_Icontains", "a_d", "a_d"},
		{"username_Icontains", "-", "x-y"}, {"username_Icontains", "x-y", "x-y"}, {"username_Icontains", ".b+",
			"a.b+c"},
		{"email_Icontains", "_", "a_d"}, {"email_Istartswith", "a_d@", "a_d"},
	} {
		if names, got := find(test.argument, test.text); names != test.want || got.Has("internal") {
			t.Errorf("%s: %q finds %q, want %q: %s", test.argument, test.text, names, test.want, got.Body)
		}
	}
	arguments := []string{"username", "username_Iexact", "username_Contains", "username_Icontains",
		"username_Startswith",
		"username_Istartswith", "username_In", "email", "email_Icontains",
		"email_Istartswith", "email_In", "firstName", "firstName_Icontains", "firstName_Istartswith", "firstName_In",
		"status_SecondaryEmail", "status_SecondaryEmail_Icontains"}
	for _, text := range hostileTexts {
		if text == "_" || strings.TrimSpace(text) == "" { // found above; nothing but space is no filter
			continue
		}
		for _, argument := range arguments {
			if names, got := find(argument, text); names != "" || got.Has("internal") {
				t.Errorf("%s: %q: got the users %q, want none: %s", argument, text, names, got.Body)
			}
		}
		for _, argument := range []string{"after", "before"} {
			if names, got := find(argument, text); names != "" || !got.Has("wrong_usage") {
				t.Errorf("%s: %q: got the users %q and %s, want wrong_usage", argument, text, names, got.Body)
			}
		}
		value, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := server.Post(t, "/graphql", "query($v: ID!) { user(id: $v) { username } }", `{"v":`+string(value)+
			`}`); got.Body != `{"data":{"user":null}}`+"\n" {
			t.Errorf("user: %q: got %s, want null", text, got.Body)
		}
	}
	for _, argument := range []string{"orderBy", "order_by", "sort", "where", "filter"} {
		if got := server.Post(t, "/graphql", fmt.Sprintf(`{ users(%s: "password") { edges { cursor } } }`, argument),
			""); !got.Has("validation") {
			t.Errorf("%s: got %s, want validation", argument, got.Body)
		}
	}
}
