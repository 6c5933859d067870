package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"accountd/accounts"
	"accountd/email"
	"accountd/schema"
)

// TestTables: settings that are tables are read from every notation, replace their default as a whole, and are
// written by Redacted so that Load reads them back.
func TestTables(t *testing.T) {
	want := Config{
		Accounts: accounts.Settings{Fields: []accounts.Field{
			{Name: "phone", Type: "String", MaxLength: 20, Pattern: `\+[0-9]+`, Unique: true, Public: true},
			{Name: "plan", Type: "Int", Choices: []any{int64(1), int64(2)}},
		}},
		Schema: schema.Settings{FilterFields: map[string][]string{"email": {"exact", "in"}}},
		Email:  email.Settings{Variables: map[string]string{"help desk": "a \"b\"", "support": "x@example.com"}},
	}
	for name, c := range map[string]struct {
		text string
		env  []string
	}{
		"tables": {text: `
[[accounts.fields]]
name = "phone"
type = "String"
max_length = 20
pattern = '\+[0-9]+'
unique = true
[[accounts.fields]]
name = "plan"
type = "Int"
choices = [1, 2]
public = false
[queries.filter_fields]
email = ["exact", "in"]
[email.variables]
support = "x@example.com"
"help desk" = 'a "b"'
`},
		"inline": {text: `
[accounts]
fields = [{ name = "phone", type = "String", max_length = 20, pattern = '\+[0-9]+', unique = true }, { name = "plan", type = "Int", choices = [1, 2], public = false }]
[queries]
filter_fields = { email = ["exact", "in"] }
[email]
variables.support = "x@example.com"
variables."help desk" = 'a "b"'
`},
		"variables": {env: []string{
			`ACCOUNTD_ACCOUNTS_FIELDS=[{name="phone", type="String", max_length=20, pattern='\+[0-9]+', ` +
				`unique=true}, {name="plan", type="Int", choices=[1,2], public=false}]`,
			`ACCOUNTD_QUERIES_FILTER_FIELDS={email=["exact","in"]}`,
			`ACCOUNTD_EMAIL_VARIABLES={support="x@example.com", "help desk"='a "b"'}`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got := mustLoad(t, c.text, c.env...)
			again := mustLoad(t, got.Redacted())
			for _, c := range []*Config{got, again} {
				part := Config{
					Accounts: accounts.Settings{Fields: c.Accounts.Fields},
					Schema:   schema.Settings{FilterFields: c.Schema.FilterFields},
					Email:    email.Settings{Variables: c.Email.Variables},
				}
				if diff := cmp.Diff(want, part, cmp.AllowUnexported(Config{})); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			}
		})
	}
}

func TestTableProblems(t *testing.T) {
	for name, c := range map[string]struct{ text, env, want string }{
		"not a list":    {"[accounts]\nfields = 1", "", "f:2: accounts.fields = 1 is not a list of tables"},
		"item no table": {"[accounts]\nfields = [1]", "", "has an item that is no table"},
		"unknown key": {"[[accounts.fields]]\nname = \"a\"\ntyp = \"Int\"", "",
			`f:1: accounts.fields = [{…}] has an item "a" that has an unknown key "typ"; possible are choices,`},
		"wrong type": {"[[accounts.fields]]\nname = \"a\"\nunique = 1", "",
			`has an item "a" that has a unique that has the wrong type`},
		"choices": {"[[accounts.fields]]\nname = \"a\"\nchoices = 1", "", "has choices that are no list"},
		"variables": {"[email.variables]\na = 1", "",
			"f:1: email.variables = {…} has an item a that has the wrong type"},
		"control": {"[email.variables]\na = \"\\u0007\"", "", "has a control character"},
		"filters": {"[queries.filter_fields]\nemail = \"exact\"", "",
			"has an item email that has the wrong type"},
		"not a table":     {"[email]\nvariables = 3", "", "f:2: email.variables = 3 is not a table"},
		"array of tables": {"[[email.variables]]\na = \"b\"", "", "is not a table"},
		"variable": {"", "ACCOUNTD_EMAIL_VARIABLES=a=b",
			`is not a TOML value on one line: use a table of strings`},
		"two values": {"", "ACCOUNTD_EMAIL_VARIABLES={}\nx = 1", "is not a TOML value on one line"},
		"toggle": {"[graphql]\ngraphiql = 1", "",
			`graphql.graphiql = 1 has the wrong type: use "auto", true or false`},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeFile(t, "f", c.text)
			_, err := Load(path, []string{c.env}, Overrides{})
			if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), path, "f"), c.want) {
				t.Errorf("got %v\nwant %q in it", err, c.want)
			}
		})
	}
}

// TestEveryTableProblem: one wrong item does not hide another.
func TestEveryTableProblem(t *testing.T) {
	got := strings.Join(problems(t, `
[accounts]
fields = [{ name = "a", typ = "Int", unique = 1 }, { name = "b", choices = 1 }]
[queries.filter_fields]
email = 1
username = "exact"
`), "\n")
	for _, want := range []string{
		`"a" that has an unknown key "typ"`, `"a" that has a unique that has the wrong type`,
		`"b" that has choices that are no list`,
		"has an item email that", "has an item username that",
	} {
		if strings.Count(got, want) != 1 {
			t.Errorf("got %s\nwant %s once", got, want)
		}
	}
	if lines := strings.Count(got, "\n") + 1; lines != 5 {
		t.Errorf("%d problems, want 5:\n%s", lines, got)
	}
}

func TestToggles(t *testing.T) {
	for text, want := range map[string]Toggle{`true`: On, `false`: Off, `"on"`: On, `"off"`: Off, `"auto"`: Auto} {
		if got := mustLoad(t, "[graphql]\ngraphiql = "+text).Server.GraphiQL; got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
	if c := mustLoad(t, "", "ACCOUNTD_TOKENS_COOKIES_SECURE=true"); c.Server.SecureCookies != On {
		t.Errorf("the variable: got %s, want %s", c.Server.SecureCookies, On)
	}
}
