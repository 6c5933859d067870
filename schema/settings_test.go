package schema_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"accountd/accounts"
	"accountd/schema"
)

// shapes are settings that change the schema.
var shapes = map[string]func(*accounts.Settings){
	"fields": everyField,
	"email_only": func(s *accounts.Settings) {
		s.RegisterFields, s.LoginFields = []string{"email"},
			[]string{"email"}
	},
	"passwordless":             func(s *accounts.Settings) { s.PasswordlessRegistration = true },
	"login_by_username":        func(s *accounts.Settings) { s.LoginFields = []string{"username"} },
	"no_update_fields":         func(s *accounts.Settings) { s.UpdateFields = nil },
	"login_of_verified_only":   func(s *accounts.Settings) { s.AllowLoginNotVerified = false },
	"update_of_the_username":   func(s *accounts.Settings) { s.UpdateFields = []string{"username", "first_name"} },
	"register_optional_fields": func(s *accounts.Settings) { s.RegisterOptionalFields = []string{"last_name"} },
}

func everyField(s *accounts.Settings) {
	s.Fields = []accounts.Field{
		{Name: "phone_number", Type: accounts.String, MaxLength: 10, Pattern: `\+?[0-9]+`, Unique: true, Public: true},
		{Name: "level", Type: accounts.Int, Choices: []any{int64(1), int64(2)}, Public: true},
		{Name: "ratio", Type: accounts.Float, Public: true},
		{Name: "news", Type: accounts.Boolean, Public: true},
		{Name: "born", Type: accounts.DateTime, Public: true},
		{Name: "hidden", Type: accounts.String},
	}
	s.RegisterFields = []string{"phone_number", "email", "username", "level"}
	s.RegisterOptionalFields = []string{"ratio", "news", "born", "first_name", "hidden"}
	s.UpdateFields = []string{"level", "ratio", "news", "born", "phone_number", "hidden", "last_name"}
}

// TestShapes compares what each of these settings changes in both schemas with testdata/sdl. `go test ./schema
// -update` writes it. A line with a minus is one of the default settings.
func TestShapes(t *testing.T) {
	t.Parallel()
	changes := map[string]func(*options){
		"no_refresh_tokens":   withoutRefreshTokens,
		"hidden_token_fields": inCookies(func(c *schema.Cookies) { c.HideTokenFields = true }),
		"token_argument": func(o *options) {
			o.schema = func(s *schema.Settings) { s.AllowArgument, s.ArgumentName = true, "accessToken" }
		},
		"exclude_fields": func(o *options) {
			o.schema = func(s *schema.Settings) {
				s.ExcludeFields = []string{"email",
					"pk"}
			}
		},
		"queries_of_fields": func(o *options) {
			everyField(&o.accounts)
			o.schema = func(s *schema.Settings) {
				s.FilterFields, s.ExcludeFields = fieldFilters(), []string{"born", "phone_number", "last_login"}
			}
		},
	}
	for name, change := range shapes {
		changes[name] = func(o *options) { change(&o.accounts) }
	}
	usual := newSite(t).api
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			api := newSite(t, change).api
			var got strings.Builder
			for _, flavour := range []schema.Flavour{schema.Plain, schema.Relay} {
				fmt.Fprintf(&got, "# %s\n%s", map[schema.Flavour]string{schema.Plain: "plain",
					schema.Relay: "relay"}[flavour], changed(usual.SDL(flavour), api.SDL(flavour)))
			}
			path := filepath.Join("..", "testdata", "sdl", name+".diff")
			if *update {
				if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("-want (%s) +got:\n%s", path, diff)
			}
		})
	}
}

// changed returns the lines by which two schemas differ, under the names of their types and without descriptions.
func changed(before, after string) string {
	lines := func(sdl string) (list []string) {
		typ, text, field := "", false, "" // field: one whose arguments have lines of their own, as far as it was read
		for line := range strings.Lines(sdl) {
			line = strings.TrimRight(line, "\n")
			switch trimmed := strings.TrimSpace(line); {
			case trimmed == `"""`:
				text = !text
			case text, trimmed == "", trimmed == "}":
			case line[0] != ' ':
				typ = strings.Fields(line)[1]
				list = append(list, strings.TrimSuffix(line, " {"))
			case field != "" && trimmed[0] == ')':
				list = append(list, strings.TrimSuffix(field, ", ")+trimmed)
				field = ""
			case field != "":
				field += trimmed + ", "
			case strings.HasSuffix(trimmed, "("):
				field = typ + "." + trimmed
			default:
				list = append(list, typ+"."+trimmed)
			}
		}
		return list
	}
	was, is := map[string]bool{}, map[string]bool{}
	for _, line := range lines(before) {
		was[line] = true
	}
	var out strings.Builder
	for _, line := range lines(after) {
		if is[line] = true; !was[line] {
			out.WriteString("+ " + line + "\n")
		}
	}
	for _, line := range lines(before) {
		if !is[line] {
			out.WriteString("- " + line + "\n")
		}
	}
	return out.String()
}

// TestFields: fields of every type are arguments, and fields of UserNode.
func TestFields(t *testing.T) {
	t.Parallel()
	const shown = "phoneNumber level ratio news born firstName lastName"
	for _, f := range flavours {
		t.Run(f.name, func(t *testing.T) {
			s := newSite(t, func(o *options) { everyField(&o.accounts) })
			ada := registration("ada")
			out := s.session(t, f, "register", ada+
				`, phoneNumber: " +123 ", level: 2, ratio: 0.1, news: false, born: "1815-12-10T01:00:00+01:00", `+
				`hidden: "h", firstName: " Ada "`)
			me := func(want string) {
				t.Helper()
				if _, got := s.post(t, f, "{ me { "+shown+" } }", "Authorization", "JWT "+
					out.Token); got != `{"data":{"me":`+want+`}}` {
					t.Errorf("me is %s, want %s", got, want)
				}
			}
			me(`{"phoneNumber":"+123","level":2,"ratio":0.1,"news":false,"born":"1815-12-10T00:00:00+00:00",` +
				`"firstName":"Ada","lastName":""}`)

			// The keys of errors have the order of the arguments.
			got := s.run(t, f, "register", strings.Replace(registration("bob"), "bob@", "b b@", 1)+
				`, phoneNumber: "1x", level: 3, firstName: "`+strings.Repeat("a", 151)+`"`, "success errors token")
			want := `{"success":false,"errors":{"phoneNumber":[{"message":"Enter a valid value.","code":"invalid"}],` +
				`"email":[{"message":"Enter a valid email address.","code":"invalid"}],` +
				`"level":[{"message":"Select a valid choice. 3 is not one of the available choices.",` +
				`"code":"invalid_choice"}],` +
				`"firstName":[{"message":"Ensure this value has at most 150 characters (it has 151).",` +
				`"code":"max_length"}]},"token":null}`
			if got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}
			got = s.run(t, f, "register", registration("bob")+
				`, phoneNumber: "+123", level: 1, ratio: null, news: null, born: null, hidden: ""`, "success errors")
			if want = `{"success":false,"errors":{"phoneNumber":[{"message":"User with this Phone number already ` +
				`exists.","code":"unique"}]}}`; got != want {
				t.Errorf("\n got %s\nwant %s", got, want)
			}

			s.run(t, f, "verifyAccount", `token: "`+s.activationToken(t, "ada")+`"`, "success")
			update := func(args, want string) {
				t.Helper()
				status, got := s.post(t, f, f.mutation("updateAccount", args, "success errors"), "Authorization",
					"JWT "+out.Token)
				if got != `{"data":{"updateAccount":`+want+`}}` {
					t.Errorf("%s: got status %d and %s, want %s", args, status, got, `{"data":{"updateAccount":`+want+
						`}}`)
				}
			}
			const ok = `{"success":true,"errors":null}`
			update(`level: 1, ratio: -2, lastName: "King"`, ok)
			me(`{"phoneNumber":"+123","level":1,"ratio":-2,"news":false,"born":"1815-12-10T00:00:00+00:00",` +
				`"firstName":"Ada","lastName":"King"}`)
			update(`phoneNumber: "", lastName: "", born: null, level: null`, ok)
			if f.relay {
				me(`{"phoneNumber":null,"level":null,"ratio":-2,"news":false,"born":null,"firstName":"Ada",` +
					`"lastName":""}`)
			} else {
				me(`{"phoneNumber":null,"level":1,"ratio":-2,"news":false,"born":"1815-12-10T00:00:00+00:00",` +
					`"firstName":"Ada","lastName":""}`)
			}
			update(`phoneNumber: "x", level: 7, lastName: "Noel"`,
				`{"success":false,"errors":{"level":[{"message":"Select a valid choice. 7 is not one of the `+
					`available choices.","code":"invalid_choice"}],`+
					`"phoneNumber":[{"message":"Enter a valid value.","code":"invalid"}]}}`)

			for _, bad := range []string{`born: "yesterday"`, `born: "1815-12-10"`, `born: 5`, `level: "1"`,
				`level: 1.5`, `ratio: "1"`, `ratio: 1e999`, `news: "true"`, `news: 1`, `firstName: "a"`,
				`email: "a@example.com"`, `isStaff: true`} {
				if status, got := s.post(t, f, f.mutation("updateAccount", bad, "success"), "Authorization", "JWT "+
					out.Token); status != 400 && !strings.Contains(got, `"code":"variables"`) {
					t.Errorf("%s: got status %d and %s, want %s in it", bad, status, got, `"code":"variables"`)
				}
			}
			for _, missing := range []string{ada, ada + `, phoneNumber: null, level: 1`, ada + `, level: 1`} {
				if status, got := s.post(t, f, f.mutation("register", missing, "success")); status != 400 {
					t.Errorf("%s: got status %d and %s, want status 400", missing, status, got)
				}
			}
		})
	}
}

// TestUpdateAccountGuard: updateAccount needs a verified caller. A request may have several.
func TestUpdateAccountGuard(t *testing.T) {
	t.Parallel()
	for _, f := range flavours {
		s := newSite(t)
		token := s.session(t, f, "register", registration("ada")).Token
		call := func(want string, headers ...string) {
			t.Helper()
			if _, got := s.post(t, f, f.mutation("updateAccount", `firstName: "Ada"`, "success errors"),
				headers...); got != `{"data":{"updateAccount":`+want+`}}` {
				t.Errorf("%s: got %s, want %s", f.name, got, `{"data":{"updateAccount":`+want+`}}`)
			}
		}
		call(`{"success":false,"errors":{"nonFieldErrors":[{"message":"Unauthenticated.","code":"unauthenticated"}]}}`)
		call(`{"success":false,"errors":{"nonFieldErrors":[{"message":"Unauthenticated.","code":"unauthenticated"}]}}`,
			"Authorization", "JWT x")
		call(`{"success":false,"errors":{"nonFieldErrors":[{"message":"Please verify your account.",`+
			`"code":"not_verified"}]}}`, "Authorization", "JWT "+token)
		s.run(t, f, "verifyAccount", `token: "`+s.activationToken(t, "ada")+`"`, "success")
		call(`{"success":true,"errors":null}`, "Authorization", "JWT "+token)
		query := `mutation { a: updateAccount(firstName: "B") { success } b: updateAccount(lastName: "C") { success } }`
		if f.relay {
			query = `mutation { a: updateAccount(input: {firstName: "B"}) { success } b: updateAccount(input: ` +
				`{lastName: "C"}) { success } }`
		}
		if _, got := s.post(t, f, query, "Authorization", "JWT "+
			token); got != `{"data":{"a":{"success":true},"b":{"success":true}}}` {
			t.Errorf("%s: got %s, want %s", f.name, got, `{"data":{"a":{"success":true},"b":{"success":true}}}`)
		}
	}
}

// TestRegistrationSettings compares the payload of register under settings without tokens.
func TestRegistrationSettings(t *testing.T) {
	t.Parallel()
	const silent = `{"success":true,"errors":null,"token":null,"refreshToken":null}`
	for _, f := range flavours {
		s := newSite(t, func(o *options) { o.accounts.PasswordlessRegistration = true })
		if got := s.run(t, f, "register", `email: "ada@acme.example", username: "ada"`,
			"success errors token refreshToken"); got != silent {
			t.Errorf("passwordless, %s: got %s, want %s", f.name, got, silent)
		}
		s = newSite(t, func(o *options) { o.accounts.Reveal = accounts.RevealNothing })
		for range 2 {
			if got := s.run(t, f, "register", strings.Replace(registration("ada"), `"ada"`, fmt.Sprintf(`"ada%d"`,
				len(s.mails(t))), 1), "success errors token refreshToken"); got != silent {
				t.Errorf("nothing revealed, %s: got %s, want %s", f.name, got, silent)
			}
		}
		if mails := s.mails(t); len(mails) != 2 || !strings.Contains(mails[0]+mails[1],
			"Subject: You already have an account on Acme") {
			t.Errorf("got mails %q, want one to an existing account", mails)
		}
		s = newSite(t, func(o *options) {
			o.accounts.RegisterFields, o.accounts.LoginFields = []string{"email"}, []string{"email"}
		})
		out := s.session(t, f, "register", fmt.Sprintf(`email: "Ada@acme.example", password1: %q, password2: %q`,
			goodPassword, goodPassword))
		if _, got := s.post(t, f, "{ me { username email } }", "Authorization", "JWT "+
			out.Token); got != `{"data":{"me":{"username":"Ada@acme.example","email":"Ada@acme.example"}}}` {
			t.Errorf("email only, %s: got %s, want the address as username", f.name, got)
		}
		status, got := s.post(t, f, f.mutation("tokenAuth", `password: "x"`, "success"))
		if status != 200 || !strings.Contains(got,
			`"message":"Must login with password and one of the following fields ['email']."`) {
			t.Errorf("%s: got status %d and %s, want status 200", f.name, status, got)
		}
	}
}
