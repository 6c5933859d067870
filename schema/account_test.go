package schema_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"accountd/accounts"
	"accountd/tokens"
)

const (
	done            = `{"success":true,"errors":null}`
	unauthenticated = `{"nonFieldErrors":[{"message":"Unauthenticated.","code":"unauthenticated"}]}`
	notVerified     = `{"nonFieldErrors":[{"message":"Please verify your account.","code":"not_verified"}]}`
	noSecondary     = `{"nonFieldErrors":[{"message":"You need to setup a secondary email to proceed.",` +
		`"code":"secondary_email_required"}]}`
	wrongPassword = `[{"message":"Invalid password.","code":"invalid_password"}]`
	emailInUse    = `[{"message":"A user with that email already exists.","code":"unique"}]`
	otherPassword = "staple battery horse"
)

func failed(errors string) string { return `{"success":false,"errors":` + errors + `}` }

// add creates an account with goodPassword, and returns the header of a session.
func (s *site) add(tb testing.TB, f flavour, in accounts.AddUserInput) []string {
	tb.Helper()
	in.Email, in.Password = in.Username+"@acme.example", goodPassword
	if _, err := s.svc.AddUser(tb.Context(), in); err != nil {
		tb.Fatal(err)
	}
	return s.login(tb, f, in.Username, goodPassword)
}

func (s *site) login(tb testing.TB, f flavour, name, password string) []string {
	tb.Helper()
	out := s.session(tb, f, "tokenAuth", fmt.Sprintf("username: %q, password: %q", name, password))
	return []string{"Authorization", "JWT " + out.Token}
}

// me returns the username of a session, or "null".
func (s *site) me(tb testing.TB, header []string) string {
	tb.Helper()
	_, got := s.post(tb, flavours[0], "{ me { username } }", header...)
	return strings.NewReplacer(`{"data":{"me":`, "", `{"username":"`, "", `"}`, "", "}", "").Replace(got)
}

func (s *site) link(tb testing.TB, purpose tokens.Purpose, ref, address string) string {
	tb.Helper()
	link, err := s.svc.Link(tb.Context(), purpose, ref, address)
	if err != nil {
		tb.Fatal(err)
	}
	return link.Token
}

// guardedMutations have %q for the caller's password. Their other arguments are invalid, because guards are checked
// first.
var guardedMutations = []struct {
	name, args, field string
	secondary         bool
	outputs, null     string
}{
	{"passwordChange", `oldPassword: %q, newPassword1: "", newPassword2: "x"`, "oldPassword", false,
		" token refreshToken", `,"token":null,"refreshToken":null`},
	{"archiveAccount", `password: %q`, "password", false, "", ""},
	{"deleteAccount", `password: %q`, "password", false, "", ""},
	{"sendSecondaryEmailActivation", `password: %q, email: "nonsense"`, "password", false, "", ""},
	{"swapEmails", `password: %q`, "password", true, "", ""},
	{"removeSecondaryEmail", `password: %q`, "password", true, "", ""},
}

// TestPrologue calls each mutation as every kind of caller. Its errors have the order of the contract.
func TestPrologue(t *testing.T) {
	t.Parallel()
	for _, f := range flavours {
		s := newSite(t)
		unverified := s.add(t, f, accounts.AddUserInput{Username: "unverified"})
		single := s.add(t, f, accounts.AddUserInput{Username: "single", Verified: true})
		ada := s.add(t, f, accounts.AddUserInput{Username: "ada", Verified: true, SecondaryEmail: "ada2@acme.example"})
		for _, m := range guardedMutations {
			wrong := `{"` + m.field + `":` + wrongPassword + `}`
			noSecond := wrong
			if m.secondary {
				noSecond = noSecondary
			}
			for _, test := range []struct {
				caller   string
				header   []string
				password string
				errors   string
			}{
				{"anonymous", nil, goodPassword, unauthenticated},
				{"with a bad token", []string{"Authorization", "JWT x.y.z"}, "wrong", unauthenticated},
				{"unverified", unverified, "wrong", notVerified},
				{"unverified", unverified, goodPassword, notVerified},
				{"without a secondary address", single, "wrong", noSecond},
				{"with a wrong password", ada, "wrong", wrong},
				{"with a blank password", ada, "", wrong},
				{"with a padded password", ada, goodPassword + " ", wrong},
			} {
				t.Run(f.name+" "+m.name+" "+test.caller, func(t *testing.T) {
					got := s.run(t, f, m.name, fmt.Sprintf(m.args, test.password), "success errors"+m.outputs,
						test.header...)
					if want := `{"success":false,"errors":` + test.errors + m.null + `}`; got != want {
						t.Errorf("\n got %s\nwant %s", got, want)
					}
				})
			}
		}
		for name, header := range map[string][]string{"unverified": unverified, "single": single, "ada": ada} {
			if who := s.me(t, header); who != name {
				t.Errorf("got the session of %s, want %s", who, name)
			}
		}
	}
}

// TestAccountRefusals has every other error of these mutations.
func TestAccountRefusals(t *testing.T) {
	t.Parallel()
	tooShort := `[{"message":"This password is too short. It must contain at least 8 characters.",` +
		`"code":"password_too_short"}]`
	mismatch := `[{"message":"The two password fields didn’t match.","code":"password_mismatch"}]`
	for _, f := range flavours {
		s := newSite(t)
		ada := s.add(t, f, accounts.AddUserInput{Username: "ada", Verified: true, SecondaryEmail: "ada2@acme.example"})
		s.add(t, f, accounts.AddUserInput{Username: "bob"})
		old := map[tokens.Purpose]string{}
		purposes := map[tokens.Purpose]string{tokens.PasswordReset: "passwordReset", tokens.PasswordSet: "passwordSet",
			tokens.SecondaryEmail: "verifySecondaryEmail"}
		for purpose := range purposes {
			old[purpose] = s.link(t, purpose, "ada", "new@acme.example")
		}
		stale := s.link(t, tokens.PasswordReset, "ada", "")
		s.pass(time.Hour + time.Second)
		ada = s.login(t, f, "ada", goodPassword)
		reset, set := s.link(t, tokens.PasswordReset, "ada", ""), s.link(t, tokens.PasswordSet, "ada", "")
		new1 := func(token, p1, p2 string) string {
			return fmt.Sprintf("token: %q, newPassword1: %q, newPassword2: %q", token, p1, p2)
		}
		tests := []struct{ name, args, errors string }{
			{"sendPasswordResetEmail", `email: ""`, `{"email":` + required + `}`},
			{"sendPasswordResetEmail", `email: "a@b@c"`, `{"email":` + invalidEmail + `}`},
			{"passwordReset", new1("nonsense", "", ""), invalidToken},
			{"passwordReset", new1(old[tokens.PasswordReset], "", ""), expiredToken},
			{"passwordReset", new1(stale, "", ""), expiredToken},
			{"passwordReset", new1(set, "", ""), invalidToken},
			{"passwordReset", new1(reset, "", ""), `{"newPassword1":` + required + `,"newPassword2":` + required + `}`},
			{"passwordReset", new1(reset, "", "short"), `{"newPassword1":` + required + `,"newPassword2":` + tooShort +
				`}`},
			{"passwordReset", new1(reset, "a", "b"), `{"newPassword2":` + mismatch + `}`},
			{"passwordReset", new1(reset, "ada@acme.example", "ada@acme.example"),
				`{"newPassword2":[{"message":"The password is too similar to the email address.",` +
					`"code":"password_too_similar"}]}`},
			{"passwordSet", new1("", "", ""), invalidToken},
			{"passwordSet", new1(old[tokens.PasswordSet], "", ""), expiredToken},
			{"passwordSet", new1(reset, "", ""), invalidToken},
			{"passwordSet", new1(set, "short", "short"), `{"newPassword2":` + tooShort + `}`},
			{"passwordSet", new1(set, otherPassword, otherPassword),
				`{"nonFieldErrors":[{"message":"Password already set for account.","code":"password_already_set"}]}`},
			{"verifySecondaryEmail", `token: "nonsense"`, invalidToken},
			{"verifySecondaryEmail", `token: "` + old[tokens.SecondaryEmail] + `"`, expiredToken},
			{"verifySecondaryEmail", `token: "` + reset + `"`, invalidToken},
			{"verifySecondaryEmail", `token: "` + s.link(t, tokens.SecondaryEmail, "ada", "BOB@acme.example") + `"`,
				`{"nonFieldErrors":` + emailInUse + `}`},
			{"verifySecondaryEmail", `token: "` + s.link(t, tokens.SecondaryEmail, "ada", "ada2@acme.example") + `"`,
				`{"nonFieldErrors":` + emailInUse + `}`},
			{"passwordChange", fmt.Sprintf("oldPassword: %q, newPassword1: %q, newPassword2: %q", goodPassword, "",
				"short"), `{"newPassword1":` + required + `,"newPassword2":` + tooShort + `}`},
			{"passwordChange", fmt.Sprintf("oldPassword: %q, newPassword1: %q, newPassword2: %q", goodPassword, "a",
				"b"), `{"newPassword2":` + mismatch + `}`},
			{"sendSecondaryEmailActivation", fmt.Sprintf("email: %q, password: %q", " ", goodPassword), `{"email":` +
				required + `}`},
			{"sendSecondaryEmailActivation", fmt.Sprintf("email: %q, password: %q", "nonsense", goodPassword),
				`{"email":` + invalidEmail + `}`},
			{"sendSecondaryEmailActivation", fmt.Sprintf("email: %q, password: %q", "Bob@acme.example", goodPassword),
				`{"email":` + emailInUse + `}`},
			{"sendSecondaryEmailActivation", fmt.Sprintf("email: %q, password: %q", "ada@acme.example", goodPassword),
				`{"email":` + emailInUse + `}`},
			{"sendSecondaryEmailActivation", fmt.Sprintf("email: %q, password: %q", "ada2@acme.example", goodPassword),
				`{"email":` + emailInUse + `}`},
		}
		for _, test := range tests {
			t.Run(f.name+" "+test.name+" "+clip(test.args), func(t *testing.T) {
				if got := s.run(t, f, test.name, test.args, "success errors", ada...); got != failed(test.errors) {
					t.Errorf("\n got %s\nwant %s", got, failed(test.errors))
				}
			})
		}
		if sent := s.mails(t); len(sent) != 0 {
			t.Errorf("got %d mails from refusals, want 0", len(sent))
		}
		if who := s.me(t, ada); who != "ada" {
			t.Errorf("got the session of %s, want ada", who)
		}
	}
}

var tokenPattern = regexp.MustCompile(`https://acme\.example/([a-z-]+)/([A-Za-z0-9_-]+)`)

// newest returns path and token of the link in the newest mail, which must be to that address.
func (s *site) newest(tb testing.TB, to string) (path, token string) {
	tb.Helper()
	sent := s.mails(tb)
	if len(sent) == 0 || !strings.Contains(sent[len(sent)-1], "To: <"+to+">") {
		tb.Fatalf("got no new mail to %s, want one", to)
	}
	found := tokenPattern.FindStringSubmatch(sent[len(sent)-1])
	return found[1], found[2]
}

// TestAccountConversation runs all mutations, and checks session and account after each.
func TestAccountConversation(t *testing.T) {
	t.Parallel()
	for _, f := range flavours {
		t.Run(f.name, func(t *testing.T) {
			s := newSite(t, func(o *options) { o.outbox = 1000 })
			ok := func(name, args string, header ...string) {
				t.Helper()
				if got := s.run(t, f, name, args, "success errors", header...); got != done {
					t.Fatalf("%s: got %s, want %s", name, got, done)
				}
				s.pass(time.Second) // mails in order
			}
			state := func(header []string, want string) {
				t.Helper()
				_, got := s.post(t, f, "{ me { email secondaryEmail verified archived } }", header...)
				if got != `{"data":{"me":`+want+`}}` {
					t.Errorf("me is %s, want %s", got, want)
				}
			}
			first := s.add(t, f, accounts.AddUserInput{Username: "ada"})
			ok("sendPasswordResetEmail", `email: "nobody@acme.example"`)
			ok("sendPasswordResetEmail", `email: "ADA@acme.example"`)
			path, token := s.newest(t, "ada@acme.example")
			if path != "activate" {
				t.Errorf("mail to an unverified user: got the link %s, want activate", path)
			}
			ok("verifyAccount", `token: "`+token+`"`)
			ok("sendPasswordResetEmail", `email: "ADA@acme.example"`)
			if path, token = s.newest(t, "ada@acme.example"); path != "password-reset" {
				t.Errorf("reset mail: got the link %s, want password-reset", path)
			}
			reset := fmt.Sprintf("token: %q, newPassword1: %q, newPassword2: %q", token, otherPassword, otherPassword)
			ok("passwordReset", reset)
			if got := s.run(t, f, "passwordReset", reset, "success errors"); got != failed(invalidToken) {
				t.Errorf("used twice: got %s, want %s", got, failed(invalidToken))
			}
			state(first, "null")

			second, other := s.login(t, f, "ada", otherPassword), s.login(t, f, "ada", otherPassword)
			changed := s.session(t, f, "passwordChange",
				fmt.Sprintf("oldPassword: %q, newPassword1: %q, newPassword2: %q", otherPassword, goodPassword,
					goodPassword), second...)
			state(second, "null")
			state(other, "null")
			caller, password := []string{"Authorization", "JWT " + changed.Token}, fmt.Sprintf("password: %q",
				goodPassword)
			state(caller, `{"email":"ada@acme.example","secondaryEmail":null,"verified":true,"archived":false}`)
			s.session(t, f, "refreshToken", `refreshToken: "`+changed.RefreshToken+`"`)

			ok("sendSecondaryEmailActivation", `email: "Ada2@acme.example", `+password, caller...)
			state(caller, `{"email":"ada@acme.example","secondaryEmail":null,"verified":true,"archived":false}`)
			path, token = s.newest(t, "Ada2@acme.example")
			if path != "activate" {
				t.Errorf("mail to a secondary address: got the link %s, want activate", path)
			}
			ok("verifySecondaryEmail", `token: "`+token+`"`)
			state(caller, `{"email":"ada@acme.example","secondaryEmail":"Ada2@acme.example","verified":true,`+
				`"archived":false}`)
			ok("sendPasswordResetEmail", `email: "ada2@acme.example"`)
			if path, _ = s.newest(t, "Ada2@acme.example"); path != "password-reset" {
				t.Errorf("reset by the secondary address: got the link %s, want password-reset", path)
			}
			other = s.login(t, f, "ada", goodPassword)
			ok("swapEmails", password, caller...)
			state(caller, `{"email":"Ada2@acme.example","secondaryEmail":"ada@acme.example","verified":true,`+
				`"archived":false}`)
			state(other, "null")
			other = s.login(t, f, "ada", goodPassword)
			ok("removeSecondaryEmail", password, caller...)
			state(caller, `{"email":"Ada2@acme.example","secondaryEmail":null,"verified":true,"archived":false}`)
			state(other, "null")
			ok("archiveAccount", password, caller...)
			state(caller, "null")
			if got := s.run(t, f, "tokenAuth", `username: "ada", `+password,
				"success unarchiving user { archived }"); got != `{"success":true,"unarchiving":true,`+
				`"user":{"archived":false}}` {
				t.Errorf("got %s, want success with an account that is no longer archived", got)
			}
			caller = s.login(t, f, "ada", goodPassword)
			ok("deleteAccount", password, caller...)
			state(caller, "null")
			if got := s.run(t, f, "tokenAuth", `username: "ada", `+password, "success"); got != `{"success":false}` {
				t.Errorf("logs in to a deleted account: got %s, want %s", got, `{"success":false}`)
			}
			u, err := s.svc.FindUser(t.Context(), "ada")
			if err != nil || u.IsActive {
				t.Errorf("got %+v, %v, want an inactive user", u, err)
			}
		})
	}
}

// TestPasswordSet sets the first password of an account without one.
func TestPasswordSet(t *testing.T) {
	t.Parallel()
	for _, f := range flavours {
		s := newSite(t)
		if _, err := s.svc.AddUser(t.Context(), accounts.AddUserInput{Username: "ada", Email: "ada@acme.example",
			NoPassword: true}); err != nil {
			t.Fatal(err)
		}
		args := fmt.Sprintf("token: %q, newPassword1: %q, newPassword2: %q", s.link(t, tokens.PasswordSet, "ada", ""),
			goodPassword, goodPassword)
		if got := s.run(t, f, "passwordSet", args, "success errors"); got != done {
			t.Errorf("%s: got %s, want %s", f.name, got, done)
		}
		s.login(t, f, "ada", goodPassword)
	}
}

// TestDeletePermanently: a deleted account is gone, and its names are free.
func TestDeletePermanently(t *testing.T) {
	t.Parallel()
	for _, f := range flavours {
		s := newSite(t, func(o *options) { o.accounts.DeletePermanently = true })
		ada := s.add(t, f, accounts.AddUserInput{Username: "ada", Verified: true})
		if got := s.run(t, f, "deleteAccount", fmt.Sprintf("password: %q", goodPassword), "success errors",
			ada...); got != done {
			t.Errorf("%s: got %s, want %s", f.name, got, done)
		}
		s.session(t, f, "register", registration("ada"))
		if who := s.me(t, ada); who != "null" {
			t.Errorf("%s: got %s for the old token, want null", f.name, who)
		}
	}
}

// TestRevealAll: with reveal = "all", reset and resend say whether an account exists.
func TestRevealAll(t *testing.T) {
	t.Parallel()
	for _, f := range flavours {
		s := newSite(t, func(o *options) { o.accounts.Reveal = accounts.RevealAll })
		s.add(t, f, accounts.AddUserInput{Username: "new"})
		s.add(t, f, accounts.AddUserInput{Username: "old", Verified: true})
		for _, test := range []struct {
			name, address, want string
			mails               int
		}{
			{"sendPasswordResetEmail", "nobody", done, 0},
			{"sendPasswordResetEmail", "new",
				failed(`{"email":[{"message":"Verify your account. A new verification email was sent.",` +
					`"code":"not_verified"}]}`), 1},
			{"sendPasswordResetEmail", "old", done, 1},
			{"resendActivationEmail", "nobody", done, 0},
			{"resendActivationEmail", "new", done, 1},
			{"resendActivationEmail", "old",
				failed(`{"email":[{"message":"Account already verified.","code":"already_verified"}]}`), 0},
		} {
			before := len(s.mails(t))
			if got := s.run(t, f, test.name, `email: "`+test.address+`@acme.example"`,
				"success errors"); got != test.want {
				t.Errorf("%s %s(%s): got %s, want %s", f.name, test.name, test.address, got, test.want)
			}
			if n := len(s.mails(t)) - before; n != test.mails {
				t.Errorf("%s %s(%s): got %d mails, want %d", f.name, test.name, test.address, n, test.mails)
			}
		}
	}
}
