package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestAccountFields: the invalid values of the lists of fields, each with its reason and remedy.
func TestAccountFields(t *testing.T) {
	const phone = "\n[[accounts.fields]]\nname = \"phone\"\ntype = \"String\"\n"
	for _, test := range []struct {
		name, accounts string
		want           []string // parts of the problems, in their order; none: nothing is wrong
	}{
		{"email only", `register_fields = ["email"]`, nil},
		{"username optional", "register_fields = [\"email\"]\nregister_optional_fields = [\"username\"]", nil},
		{"everything", "register_fields = [\"phone\", \"email\", \"last_name\"]\nregister_optional_fields = " +
			"[\"username\", \"first_name\"]\n" +
			`update_fields = ["username", "phone", "first_name", "last_name"]` + phone, nil},
		{"nothing to update", `update_fields = []`, nil},
		{"no email", `register_fields = ["username"]`,
			[]string{`f:2: accounts.register_fields = ["username"] lacks "email": add it`}},
		{"nothing", `register_fields = []`, []string{`lacks "email"`}},
		{"email optional", "register_fields = [\"email\", \"username\"]\nregister_optional_fields = [\"email\"]",
			[]string{`accounts.register_optional_fields = ["email"] has "email": remove it`}},
		{"unknown", `register_fields = ["email", "usernme"]`,
			[]string{`has "usernme", which is no field: did you mean username?`}},
		{"unknown, nothing like it", `update_fields = ["x"]`,
			[]string{`has "x", which is no field: possible are email, username, first_name, last_name`}},
		{"unknown, several", `update_fields = ["x", "fist_name", "last_name", "last_name"]`,
			[]string{`"x"`, `did you mean first_name?`, `has "last_name" twice: remove one of them`}},
		{"configured, misspelt", "register_optional_fields = [\"fone\"]" + phone,
			[]string{`has "fone", which is no field: did you mean phone?`}},
		{"twice", `register_fields = ["email", "username", "email"]`, []string{`has "email" twice`}},
		{"in both lists", `register_optional_fields = ["username"]`,
			[]string{`has "username", which accounts.register_fields has as well: leave it in one of the two`}},
		{"register: password", `register_fields = ["email", "password"]`,
			[]string{`has "password", which is asked for twice by register itself`}},
		{"register: staff", `register_optional_fields = ["is_staff", "is_superuser", "is_active"]`, []string{
			`has "is_staff", which would let users make themselves staff`, `has "is_superuser"`, `has "is_active"`}},
		{"update: email", `update_fields = ["email"]`,
			[]string{`has "email", which could be changed without a proof that the new address is its owner's: ` +
				`remove it; sendSecondaryEmailActivation and swapEmails`}},
		{"update: password and staff", `update_fields = ["password", "is_staff", "is_superuser", "is_active"]`,
			[]string{
				`has "password", which could be changed without knowing the old one`, `has "is_staff"`,
				`has "is_superuser"`, `has "is_active"`}},

		{"login by nothing", `login_fields = []`,
			[]string{`f:2: accounts.login_fields = [] is empty: use ["email", "username"], or one of them`}},
		{"login by phone", "login_fields = [\"email\", \"phone\"]" + phone,
			[]string{`has "phone", which is no field: possible are email, username`}},
		{"login twice", `login_fields = ["email", "email"]`, []string{`has "email" twice`}},
		{"login by username", `login_fields = ["username"]`, nil},
		{"login by username that nobody has", "login_fields = [\"username\"]\nregister_fields = [\"email\"]", []string{
			`accounts.login_fields = ["username"] lacks "email", while accounts.register_fields lacks "username": ` +
				`accounts without a username could never log in`}},
		{"login by username that some have",
			"login_fields = [\"username\"]\nregister_fields = [\"email\"]\nregister_optional_fields = [\"username\"]",
			[]string{`could never log in`}},

		{"hidden, and shown to everybody", "reveal_accounts = \"nothing\"\n[queries]\nusers = \"public\"", []string{
			`f:2: accounts.reveal_accounts = "nothing" hides which addresses have an account, while ` +
				`queries.users = "public" lists all accounts`}},
		{"hidden", `reveal_accounts = "nothing"`, nil},
		{"passwordless", "passwordless_registration = true\nsend_password_set_email = true", nil},
	} {
		t.Run(test.name, func(t *testing.T) { holds(t, problems(t, "[accounts]\n"+test.accounts), test.want) })
	}
}

func holds(t *testing.T, got, want []string) {
	t.Helper()
	ok := len(got) == len(want)
	for i := range min(len(got), len(want)) {
		ok = ok && strings.Contains(got[i], want[i])
	}
	if !ok {
		t.Errorf("problems\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestConfiguredFields(t *testing.T) {
	for _, test := range []struct {
		name, fields string
		want         []string
	}{
		{"one of each", `{name="phone", type="String", max_length=20, pattern='\+?[0-9]+', choices=["1","+2"], unique=true}, {name="level", type="Int", choices=[1, 2]},
			{name="ratio", type="Float", choices=[1, 0.5]}, {name="news", type="Boolean", public=false}, {name="born", type="DateTime", unique=true}`, nil},
		{"no name", `{type="Int"}`,
			[]string{`f:2: accounts.fields has a field "" whose name cannot be one: use at most 60`}},
		{"camel case", `{name="phoneNumber", type="Int"}`, []string{`"phoneNumber" whose name cannot be one`}},
		{"underscores", `{name="a__b", type="Int"}, {name="_a", type="Int"}, {name="a_", type="Int"}, {name="1a", ` +
			`type="Int"}`,
			[]string{`"a__b"`, `"_a"`, `"a_"`, `"1a"`}},
		{"long", `{name="` + strings.Repeat("a", 61) + `", type="Int"}`, []string{"whose name cannot be one"}},
		{"accountd's own", `{name="email", type="Int"}, {name="refresh_token", type="Int"}, ` +
			`{name="client_mutation_id", type="Int"}, {name="pk", type="Int"}, {name="password_1", type="Int"}`,
			[]string{`"email" whose name is taken: choose another: email is accountd's own`, `refreshToken is`,
				`clientMutationId is`, `pk is`, `password1 is`}},
		{"twice", `{name="a", type="Int"}, {name="a", type="Int"}`,
			[]string{`has a field "a" twice: remove one of them`}},
		{"alike", `{name="a1", type="Int"}, {name="a_1", type="Int"}`,
			[]string{`has a field "a_1" that the API cannot tell from "a1", both a1: rename one of them`}},
		{"no type", `{name="a"}`, []string{`of the type "": use "String", "Int"`}},
		{"another type", `{name="a", type="string"}`, []string{`of the type "string"`}},
		{"length of a number", `{name="a", type="Int", max_length=3}`,
			[]string{"with a max_length: remove it: only a String has a length"}},
		{"length", `{name="a", type="String", max_length=10001}, {name="b", type="String", max_length=-1}`,
			[]string{"with the max_length 10001: use 1 to 10000", "with the max_length -1"}},
		{"pattern and choices",
			`{name="a", type="Int", pattern="1", choices=["1"]}, {name="b", type="String", pattern="(", choices=[" "]}`,
			[]string{"with a pattern: remove it", `with the choice "1": use values of the type Int`,
				`whose pattern "(" is no`, `with the choice " ", which no form can give`}},
		{"pattern of a number", `{name="a", type="Float", pattern="1"}`, []string{"with a pattern: remove it"}},
		{"pattern", `{name="a", type="String", pattern="("}, {name="b", type="String", pattern="a)|(b"}, {name="c", ` +
			`type="String", pattern="(?=a)"}`,
			[]string{`whose pattern "(" is no regular expression: error parsing regexp: missing closing ): `,
				`"a)|(b" is no`, `"(?=a)" is no`}},
		{"long pattern", `{name="a", type="String", pattern="` + strings.Repeat("a", 1001) + `"}`,
			[]string{"whose pattern has 1001 bytes: use at most 1000"}},
		{"choices of another type",
			`{name="a", type="String", choices=[1]}, {name="b", type="Int", choices=["1", 1.5, 2147483648]}, ` +
				`{name="c", type="Float", choices=["1", nan]}`,
			[]string{`"a" with the choice 1: use values of the type String`,
				`the choice "1": use values of the type Int`, "the choice 1.5", "the choice 2147483648",
				`"c" with the choice "1"`, "the choice nan"}},
		{"choices of no type", `{name="a", type="String", choices=[[1], [1], {b=1}, 1979-05-27]}`,
			[]string{"the choice [1]", "twice", "the choice [1]", "the choice {…}", "the choice"}},
		{"choices where there are none",
			`{name="a", type="Boolean", choices=[true]}, {name="b", type="DateTime", choices=[1]}`,
			[]string{"a Boolean has none", "a DateTime has none"}},
		{"choices that no form can give", `{name="a", type="String", choices=["", " x"]}`,
			[]string{`the choice "", which no form can give`, `the choice " x"`}},
		{"choices that are too long", `{name="a", type="String", max_length=2, choices=["abc"]}`,
			[]string{`the choice "abc", which is longer than its max_length, 2`}},
		{"choices beside the pattern", `{name="a", type="String", pattern="b|c", choices=["b", "bc"]}`,
			[]string{`the choice "bc", which does not match its pattern, "b|c"`}},
		{"choices twice", `{name="a", type="Int", choices=[1, 1]}`, []string{`the choice 1 twice`}},
		{"unique Boolean", `{name="a", type="Boolean", unique=true}`,
			[]string{"that is unique: remove that: there would be two accounts"}},
		{"everything at once", `{name="a", type="Int", max_length=1, pattern="1"}, {name="b", type="c"}`,
			[]string{"max_length", "pattern", `type "c"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			holds(t, problems(t, "[accounts]\nfields = ["+strings.ReplaceAll(test.fields, "\n", "")+"]"), test.want)
		})
	}
	t.Run("too many", func(t *testing.T) {
		var fields, choices []string
		for i := range 1001 {
			choices = append(choices, fmt.Sprint(i))
			if i <= 100 {
				fields = append(fields, fmt.Sprintf(`{name="f%d", type="Int"}`, i))
			}
		}
		holds(t, problems(t, "[accounts]\nfields = ["+strings.Join(fields, ", ")+"]"),
			[]string{"accounts.fields has 101 fields: use at most 100"})
		holds(t, problems(t, "[accounts]\nfields = [{name=\"a\", type=\"Int\", choices=["+strings.Join(choices, ", ")+
			"]}]"), []string{"with 1001 choices: use at most 1000"})
	})
}

func TestAccountWarnings(t *testing.T) {
	for text, want := range map[string]string{
		"send_password_set_email = true": "accounts.send_password_set_email does " +
			"nothing without accounts.passwordless_registration",
		"passwordless_registration = true\nsend_activation_email = false": "register sends nothing that leads to a " +
			"password",
		"reveal_accounts = \"nothing\"": "tells by its tokens that the address was free",
		"reveal_accounts = \"nothing\"\nallow_login_not_verified = false": "tells by the answer not_verified that " +
			"the address was free",
		"reveal_accounts = \"nothing\"\npasswordless_registration = true":  "",
		"passwordless_registration = true\nsend_password_set_email = true": "",
	} {
		got := mustLoad(t, "[accounts]\n"+text).Warnings()
		if want == "" && len(got) > 0 || want != "" &&
			!slices.ContainsFunc(got, func(w string) bool { return strings.Contains(w, want) }) {
			t.Errorf("%s warns %q, want %q", text, got, want)
		}
	}
}
