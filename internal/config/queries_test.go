package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"accountd/accounts"
)

func TestQueryProblems(t *testing.T) {
	got := problems(t, "[queries]\nexclude_fields = [\"id\", \"pk\", \"nick\"]\nusers = "+
		"\"staff\"\n[queries.filter_fields]\nnick = [\"exact\"]\nemail = [\"exact\", \"regex\", \"gt\"]\n")
	var short []string
	for _, p := range got {
		_, p, _ = strings.Cut(p, "queries.filter_fields has ")
		p, _, _ = strings.Cut(p, ",")
		short = append(short, p)
	}
	want := []string{"", "", `the lookup "regex" of email`, `the lookup "gt" of email`, `"nick"`}
	if diff := cmp.Diff(want, short); diff != "" {
		t.Errorf("problems %q (-want +got):\n%s", got, diff)
	}
}

// configured are fields of one's own, one of them hidden.
const configured = `
[[accounts.fields]]
name = "phone_number"
type = "String"
[[accounts.fields]]
name = "level"
type = "Int"
[[accounts.fields]]
name = "born"
type = "DateTime"
[[accounts.fields]]
name = "ratio"
type = "Float"
[[accounts.fields]]
name = "news"
type = "Boolean"
[[accounts.fields]]
name = "note"
type = "String"
public = false
`

const everyLookup = `["exact", "iexact", "contains", "icontains", "startswith", "istartswith", "in"]`

// TestConfiguredQueryFields: valid and invalid names of configured and other fields.
func TestConfiguredQueryFields(t *testing.T) {
	for _, test := range []struct {
		name, queries string
		want          []string
	}{
		{"everything", "exclude_fields = [\"phone_number\", \"level\", \"born\", \"ratio\", \"news\", " +
			"\"pk\"]\n[queries.filter_fields]\nphone_number = " + everyLookup +
			"\nlevel = [\"exact\"]\nborn = [\"exact\"]\nratio = [\"exact\"]\nnews = [\"exact\"]", nil},
		{"nearly", `exclude_fields = ["phone_numbr"]`,
			[]string{`has "phone_numbr", which UserNode does not have: did you mean phone_number?`}},
		{"nothing like it", `exclude_fields = ["zzz"]`,
			[]string{`has "zzz", which UserNode does not have: use some of pk, username,`}},
		{"hidden anyway", `exclude_fields = ["note"]`, []string{`has "note", which is not public: leave it out`}},
		{"filter, nearly", `filter_fields = { levle = ["exact"] }`,
			[]string{`has "levle", by which users cannot be filtered: did you mean level?`}},
		{"filter, built in", `filter_fields = { is_staf = ["exact"] }`, []string{`did you mean is_staff?`}},
		{"filter, nothing like it", `filter_fields = { zzz = ["exact"] }`,
			[]string{`use some of born, email, first_name,`}},
		{"filter by what is hidden", `filter_fields = { note = ["exact"] }`, []string{
			`has "note", which is not public: a filter would tell what is hidden: leave it out, or make the ` +
				`field public`}},
		{"lookups that do not fit",
			`filter_fields = { level = ["in", "iexact"], born = ["contains"], ratio = ["gt"], news = ["in"], ` +
				`phone_number = ["regex"] }`, []string{
				`has the lookup "contains" of born, which does not fit a DateTime: use some of exact`,
				`has the lookup "in" of level, which does not fit an Int: use some of exact`,
				`has the lookup "iexact" of level, which does not fit an Int: did you mean exact?`,
				`has the lookup "in" of news, which does not fit a Boolean`,
				`has the lookup "regex" of phone_number, which does not fit a String`,
				`has the lookup "gt" of ratio, which does not fit a Float`}},
		{"twice", `filter_fields = { level = ["exact", "exact"], email = ["in", "exact", "in"] }`, []string{
			`has the lookup "in" of email twice: remove one of them`, `has the lookup "exact" of level twice`}},
		{"the token's argument",
			"filter_fields = { phone_number = [\"icontains\"] }\n[tokens]\nallow_argument = true\nargument_name = " +
				"\"phoneNumber_Icontains\"", []string{
				`tokens.argument_name = "phoneNumber_Icontains" is an argument of the queries user and users ` +
					`already: choose another name`}},
		{"the token's argument, which there is not",
			"filter_fields = { phone_number = [\"icontains\"] }\n[tokens]\nargument_name = \"phoneNumber_Icontains\"",
			nil},
		{"the token's argument, a page's", "[tokens]\nallow_argument = true\nargument_name = \"after\"",
			[]string{`tokens.argument_name = "after" is an argument`}},
		{"the token's argument, user's", "[tokens]\nallow_argument = true\nargument_name = \"id\"",
			[]string{`tokens.argument_name = "id" is an argument`}},
	} {
		t.Run(test.name, func(t *testing.T) { holds(t, problems(t, "[queries]\n"+test.queries+configured), test.want) })
	}
	t.Run("bad fields", func(t *testing.T) {
		holds(t, problems(t, "[accounts]\nfields = [{name=\"phone\", type=\"Text\"}]\n[queries]\nexclude_fields = "+
			"[\"phone\", \"id\"]\nfilter_fields = { phone = [\"regex\"], email = [\"gt\"] }"),
			[]string{`type "Text"`, "has id, by which", `has the lookup "gt" of email`})
	})
}

// TestFilterArguments: for all names of fields, two filters never have the same argument.
func TestFilterArguments(t *testing.T) {
	text := "[queries.filter_fields]\n"
	fields := ""
	for _, name := range []string{"a", "a_b", "a_in", "a_iexact", "in", "b", "a_b_in", "statu", "status_archived",
		"email_in", "username_icontains", "first_name_exact"} {
		text += name + " = " + everyLookup + "\n"
		fields += "[[accounts.fields]]\nname = \"" + name + "\"\ntype = \"String\"\n"
	}
	for _, name := range []string{"email", "username", "first_name", "last_name", "status__secondary_email"} {
		text += name + " = " + everyLookup + "\n"
	}
	c := mustLoad(t, text+"status__archived = [\"exact\"]\nis_active = [\"exact\"]\n"+fields)
	whose := map[string]string{"first": "", "last": "", "before": "", "after": "", "offset": ""}
	for name, lookups := range c.Schema.FilterFields {
		for _, lookup := range lookups {
			argument := accounts.FilterArgument(name, accounts.Lookup(lookup))
			if other, taken := whose[argument]; taken {
				t.Errorf("%s of %s and %s: got the argument %s for both, want two", lookup, name, other, argument)
			}
			whose[argument] = lookup + " of " + name
		}
	}
	if len(whose) != 5+17*7+2 {
		t.Errorf("got %d arguments, want %d", len(whose), 5+17*7+2)
	}
}

func TestQueryWarnings(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"defaults", "", nil},
		{"public here", "[queries]\nusers = \"public\"", nil},
		{"public there", `
			queries.users = "public"
			server = { public_url = "https://a.example", trusted_proxies = ["127.0.0.1"] }`,
			[]string{"queries.users is public: anyone can list all accounts and their addresses"}},
		{"hidden from staff", "[queries]\nexclude_fields = [\"email\"]", nil},
		{"hidden", "[queries]\nusers = \"verified\"\nexclude_fields = [\"secondary_email\", \"last_login\"]", []string{
			"queries.filter_fields has status__secondary_email: a filter reveals what " +
				"queries.exclude_fields hides"}},
		{"configured, hidden", "[queries]\nusers = \"verified\"\nexclude_fields = [\"level\"]\nfilter_fields = { " +
			"level = [\"exact\"], news = [\"exact\"] }" + configured, []string{
			"queries.filter_fields has level: a filter reveals " +
				"what queries.exclude_fields hides"}},
		{"hidden well", "[queries]\nusers = \"verified\"\nexclude_fields = [\"email\"]\nfilter_fields = { email = [] }",
			nil},
	} {
		if diff := cmp.Diff(test.want, mustLoad(t, test.text).Warnings()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
