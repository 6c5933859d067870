package accounts

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"accountd/tokens"
)

var passwordAlreadySet = Errors{"nonFieldErrors": {{"Password already set for account.", "password_already_set"}}}

func notices(s *Settings, _ *tokens.Settings) { s.Notices = true }

func revealAll(s *Settings, _ *tokens.Settings) { s.Reveal = RevealAll }

func (h *harness) sendReset(t *testing.T, address string) func() error {
	return func() error {
		return h.SendPasswordResetEmail(t.Context(), EmailInput{address})
	}
}

func (h *harness) reset(t *testing.T, token, password string) func() error {
	return func() error { return h.ResetPassword(t.Context(), NewPasswordInput{token, password, password}) }
}

func (h *harness) setFirst(t *testing.T, token, password string) func() error {
	return func() error { return h.SetPassword(t.Context(), NewPasswordInput{token, password, password}) }
}

// sent takes the mails from the spool and gives the token of the only one that has one.
func (h *harness) sent(t *testing.T, want ...sentMail) (token string) {
	t.Helper()
	got := h.mails(t)
	byRecipient := func(a, b sentMail) int {
		return cmp.Or(strings.Compare(a.To, b.To), strings.Compare(a.Subject, b.Subject))
	}
	slices.SortFunc(got, byRecipient)
	slices.SortFunc(want, byRecipient)
	if len(got) != len(want) {
		t.Fatalf("mails %+v, want %+v", got, want)
	}
	for i := range want {
		if want[i].Link != "" {
			want[i].Token, token = got[i].Token, got[i].Token
		}
		if got[i] != want[i] {
			t.Errorf("mail %+v, want %+v", got[i], want[i])
		}
	}
	return token
}

func resetMail(to string) sentMail {
	return sentMail{To: "<" + to + ">", Subject: "Reset your password on Acme",
		Link: "https://acme.example/password-reset"}
}

func notice(to, subject string) sentMail { return sentMail{To: "<" + to + ">", Subject: subject} }

const passwordNotice = "Your password on Acme has been changed"

// live is how many sessions of a user have not ended.
func (h *harness) live(t *testing.T, id int64) int {
	t.Helper()
	return h.count(t, `SELECT count(*) FROM sessions WHERE user_id = ? AND ended_at IS NULL`, id)
}

// dead checks that neither token of a session is good any more.
func (h *harness) dead(t *testing.T, s *Session) {
	t.Helper()
	if u, err := h.Caller(s.Token).User(t.Context()); u != nil || err != nil {
		t.Errorf("caller %+v, %v, want an anonymous one", u, err)
	}
	if _, err := h.VerifyToken(t.Context(), AccessTokenInput{s.Token}); !equalErrors(err, invalidToken) {
		t.Errorf("verifyToken: error %v, want %v", err, invalidToken)
	}
	if _, err := h.RefreshToken(t.Context(), RefreshTokenInput{s.RefreshToken}); !equalErrors(err, invalidToken) {
		t.Errorf("refreshToken: error %v, want %v", err, invalidToken)
	}
}

func TestSendPasswordResetEmail(t *testing.T) {
	t.Parallel()
	for _, reveal := range []Reveal{RevealNothing, RevealRegister, RevealAll} {
		t.Run(string(reveal), func(t *testing.T) {
			h := newHarness(t, func(s *Settings, _ *tokens.Settings) { s.Reveal = reveal })
			ada := h.add(t, AddUserInput{Username: "ada", Email: "Ada@bücher.example",
				SecondaryEmail: "Ada2@example.com", Verified: true, Archived: true})
			h.add(t, AddUserInput{Username: "new", Email: "New@example.com", SecondaryEmail: "new2@example.com"})
			h.add(t, AddUserInput{Username: "gone", Email: "gone@example.com", Inactive: true, Verified: true})
			h.add(t, AddUserInput{Username: "gone2", Email: "gone2@example.com", Inactive: true})
			known := []string{"ada@bücher.example", "ADA2@example.com", "new@example.com"}
			silent := []string{"nobody@example.com", "gone@example.com", "gone2@example.com", "ada@example.com"}
			form := map[string]Errors{
				"": {"email": {required}}, " ": {"email": {required}}, "ada": {"email": {badEmail}},
				"a\x00@example.com":    {"email": {badEmail, nullChars}},
				"ad\u0131@example.com": {"email": {badEmail}}, // no fold of an address that is there
			}
			h.fillOutbox(t)
			for typed, want := range form {
				h.refused(t, want, h.sendReset(t, typed))
			}
			for _, address := range append(silent, known...) {
				h.refused(t, emailFail, h.sendReset(t, address))
			}
			h.emptyOutbox(t)
			for _, address := range silent {
				h.refused(t, nil, h.sendReset(t, address))
			}
			before := h.dump(t)
			for address, want := range map[string]tokens.Action{
				"Ada@XN--BCHER-KVA.example": {Address: "ada@xn--bcher-kva.example"},
				" ADA2@Example.com ":        {Address: "ada2@example.com"},
			} {
				if err := h.sendReset(t, address)(); err != nil {
					t.Fatal(err)
				}
				to := map[string]string{"ada2@example.com": "Ada2@example.com",
					"ada@xn--bcher-kva.example": "Ada@xn--bcher-kva.example"}[want.Address]
				token := h.sent(t, resetMail(to))
				want.Purpose, want.User, want.IssuedAt = tokens.PasswordReset, ada.ID, h.now().Unix()
				want = h.ofNow(t, want)
				if got, err := h.tokens.VerifyAction(token, tokens.PasswordReset); err != nil || got != want {
					t.Errorf("%s: %+v, %v; want %+v", address, got, err, want)
				}
			}
			for _, address := range []string{"new@example.com", "new2@example.com"} {
				err := h.sendReset(t, address)()
				want := map[Reveal]error{RevealAll: Errors{"email": {{"Verify your account. A new verification " +
					"email was sent.", "not_verified"}}}}[reveal]
				if !equalErrors(err, want) {
					t.Errorf("%s: %#v, want %#v", address, err, want)
				}
				token := h.activation(t, "New@example.com") // the primary one: that is what it verifies
				if _, err := h.tokens.VerifyAction(token, tokens.Activation); err != nil {
					t.Error(err)
				}
			}
			after := h.dump(t)
			delete(after, "outbox") // published, and perhaps not settled yet
			same(t, before, after)
			h.happened(t)
		})
	}
}

func TestResendRevealsUnderAll(t *testing.T) {
	t.Parallel()
	h := newHarness(t, revealAll)
	h.ada(t)
	h.add(t, AddUserInput{Username: "gone", Email: "gone@example.com", Inactive: true, Verified: true})
	resend := func(address string) func() error {
		return func() error { return h.ResendActivationEmail(t.Context(), EmailInput{address}) }
	}
	for _, address := range []string{"ada@example.com", "ADA2@example.com"} {
		h.refused(t, Errors{"email": {{"Account already verified.", "already_verified"}}}, resend(address))
	}
	for _, address := range []string{"nobody@example.com", "gone@example.com"} {
		h.refused(t, nil, resend(address))
	}
	h.fillOutbox(t)
	h.refused(t, emailFail, resend("ada@example.com"))
}

// TestResetPassword: the effects of a reset, by either address.
func TestResetPassword(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"ada@example.com", "ada2@example.com"} {
		t.Run(address, func(t *testing.T) {
			h := newHarness(t, notices)
			ada := h.ada(t)
			first, second := h.login(t), h.login(t)
			h.set(t, ada.ID, "archived", 1)
			if err := h.sendReset(t, address)(); err != nil {
				t.Fatal(err)
			}
			token := h.mails(t)[0].Token
			h.events(t)
			h.fillOutbox(t) // notices are exempt
			before := h.user(t, "ada")
			h.advance(4 * time.Minute)
			if err := h.reset(t, token, newPassword)(); err != nil {
				t.Fatal(err)
			}
			h.happened(t, "password_reset 1")
			h.sent(t, notice("Ada@example.com", passwordNotice), notice("Ada2@example.com", passwordNotice))
			after := h.user(t, "ada")
			before.password = after.password
			leapt(t, before, after, true, true)
			sameUser(t, before, after)
			h.dead(t, first)
			h.dead(t, second)
			if n := h.count(t, `SELECT count(*) FROM sessions WHERE end_reason = 'password reset'`); n != 2 {
				t.Errorf("%d sessions ended by it, want 2", n)
			}
			h.refused(t, invalidToken, h.reset(t, token, password))
			h.refused(t, invalidCredentials, h.tryLogin(t, byUsername("ada", password)))
			if out, err := h.Login(t.Context(), byUsername("ada", newPassword)); err != nil || !out.Unarchived {
				t.Errorf("session %+v, error %v, want the account unarchived", out, err)
			}
		})
	}
}

// TestResetVerifies: a link that came to the primary address proves it; one that came to the secondary does not.
func TestResetVerifies(t *testing.T) {
	t.Parallel()
	for address, verifies := range map[string]bool{"ada@example.com": true, "ada2@example.com": false} {
		h := newHarness(t, verifiedLoginsOnly)
		h.unverified(t)
		token := h.action(t, tokens.Action{Purpose: tokens.PasswordReset, User: 1, Address: address})
		if err := h.reset(t, token, newPassword)(); err != nil {
			t.Fatal(err)
		}
		events := map[bool][]string{true: {"password_reset 1", "user_verified 1"},
			false: {"password_reset 1"}}[verifies]
		h.happened(t, events...)
		if u := h.user(t, "ada"); u.Verified != verifies {
			t.Errorf("%s: verified %t, want %t", address, u.Verified, verifies)
		}
		if sent := h.mails(t); len(sent) != 0 {
			t.Errorf("got the notices %+v, want none", sent)
		}
	}
}

func TestSetPassword(t *testing.T) {
	t.Parallel()
	for _, none := range []string{"", "!as-Django-stores-none"} {
		h := newHarness(t, notices)
		u := h.add(t, AddUserInput{Username: "ada", Email: "Ada@example.com", NoPassword: true})
		h.set(t, u.ID, "password", none)
		action := tokens.Action{Purpose: tokens.PasswordSet, User: u.ID, Address: "ada@example.com"}
		token, another := h.action(t, action), h.action(t, action)
		h.advance(time.Hour)
		if err := h.setFirst(t, token, password)(); err != nil {
			t.Fatal(err)
		}
		h.happened(t, "password_set 1", "user_verified 1")
		h.sent(t, notice("Ada@example.com", passwordNotice))
		if after := h.user(t, "ada"); !after.Verified || after.credentialEpoch <= u.credentialEpoch {
			t.Errorf("user %+v after %+v, want it verified with another epoch", after, u)
		}
		h.login(t)
		h.events(t)
		for _, used := range []string{token, another} {
			h.refused(t, passwordAlreadySet, h.setFirst(t, used, newPassword))
		}
		h.refused(t, Errors{"newPassword2": {tooShort}}, h.setFirst(t, token, "kx9#q")) // the form comes first
		h.advance(time.Second)
		h.refused(t, expiredToken, h.setFirst(t, token, "kx9#q"))
	}
}

// TestNewPasswordRefusals: both operations that take a token, each wrong in all the ways that come later, too.
func TestNewPasswordRefusals(t *testing.T) {
	t.Parallel()
	good := tokens.Action{User: 1, Address: "ada@example.com"}
	long := strings.Repeat("p", 1025)
	form := Errors{"newPassword2": {tooShort}}
	tests := []struct {
		name       string
		make       func(t *testing.T, h *harness, a tokens.Action) string
		p1, p2     string
		reset, set error
	}{
		{"garbage", func(*testing.T, *harness, tokens.Action) string { return "garbage" }, "", "", invalidToken,
			invalidToken},
		{"blank", func(*testing.T, *harness, tokens.Action) string { return "" }, "", "", invalidToken, invalidToken},
		{"altered and old", func(t *testing.T, h *harness, a tokens.Action) string {
			token := h.action(t, a)
			h.advance(time.Hour + time.Second)
			return "B" + token[1:]
		}, "", "", invalidToken, invalidToken},
		{"old, of nobody", func(t *testing.T, h *harness, a tokens.Action) string {
			a.User = 99
			token := h.action(t, a)
			h.advance(time.Hour + time.Second)
			return token
		}, "", "", expiredToken, expiredToken},
		{"for something else", func(t *testing.T, h *harness, a tokens.Action) string {
			a.Purpose = tokens.Activation
			return h.action(t, a)
		}, "", "", invalidToken, invalidToken},
		{"of nobody", func(t *testing.T, h *harness, a tokens.Action) string { a.User = 99; return h.action(t, a) }, "",
			"", invalidToken, invalidToken},
		{"inactive", func(t *testing.T, h *harness, a tokens.Action) string {
			h.set(t, 1, "is_active", 0)
			return h.action(t, a)
		}, "", "", invalidToken, invalidToken},
		{"stale", func(t *testing.T, h *harness, a tokens.Action) string { a.Epoch = 7; return h.action(t, a) },
			"short", "short", invalidToken, form},
		{"stale, clean form", func(t *testing.T, h *harness,
			a tokens.Action) string {
			a.Epoch = 7
			return h.action(t, a)
		}, newPassword, newPassword, invalidToken,
			invalidToken},
		{"sent to another address", func(t *testing.T, h *harness, a tokens.Action) string {
			token := h.action(t, a)
			h.move(t, 1, "new@example.com")
			return token
		}, newPassword, newPassword, invalidToken, invalidToken},
		{"blank passwords", func(t *testing.T, h *harness, a tokens.Action) string { return h.action(t, a) }, "", "",
			Errors{"newPassword1": {required}, "newPassword2": {required}},
			Errors{"newPassword1": {required}, "newPassword2": {required}}},
		{"blank first", func(t *testing.T, h *harness, a tokens.Action) string { return h.action(t, a) }, "", "short",
			Errors{"newPassword1": {required}, "newPassword2": {tooShort}},
			Errors{"newPassword1": {required}, "newPassword2": {tooShort}}},
		{"mismatch", func(t *testing.T, h *harness, a tokens.Action) string { return h.action(t, a) }, "1", "2",
			Errors{"newPassword2": {mismatch}}, Errors{"newPassword2": {mismatch}}},
		{"too long", func(t *testing.T, h *harness, a tokens.Action) string { return h.action(t, a) }, long, long,
			Errors{"newPassword2": {tooLongBytes}}, Errors{"newPassword2": {tooLongBytes}}},
		{"similar to the last name", func(t *testing.T, h *harness, a tokens.Action) string { return h.action(t, a) },
			"lovelace1", "lovelace1",
			Errors{"newPassword2": {similar("last name")}}, Errors{"newPassword2": {similar("last name")}}},
		{"similar to the address", func(t *testing.T, h *harness, a tokens.Action) string { return h.action(t, a) },
			"ada@example.com", "ada@example.com",
			Errors{"newPassword2": {similar("email address")}}, Errors{"newPassword2": {similar("email address")}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for purpose, want := range map[tokens.Purpose]error{tokens.PasswordReset: test.reset,
				tokens.PasswordSet: test.set} {
				h := newHarness(t, notices)
				h.add(t, AddUserInput{Username: "xyz", Email: "Ada@example.com", LastName: "Lovelace", Verified: true,
					NoPassword: true})
				a := good
				a.Purpose = purpose
				token := test.make(t, h, a)
				h.refused(t, want, func() error {
					in := NewPasswordInput{token, test.p1, test.p2}
					if purpose == tokens.PasswordSet {
						return h.SetPassword(t.Context(), NewPasswordInput(in))
					}
					return h.ResetPassword(t.Context(), in)
				})
			}
		})
	}
}

// TestPasswordLinksAtOnce: of a hundred uses with different passwords one wins, and its password is the one.
func TestPasswordLinksAtOnce(t *testing.T) {
	t.Parallel()
	const n = 100
	tests := map[tokens.Purpose]struct {
		use  func(h *harness, t *testing.T, token, password string) func() error
		lost error
	}{
		tokens.PasswordReset: {(*harness).reset, invalidToken},
		tokens.PasswordSet:   {(*harness).setFirst, passwordAlreadySet},
	}
	for purpose, test := range tests {
		h := newHarness(t)
		h.add(t, AddUserInput{Username: "ada", Email: "ada@example.com", Verified: true, NoPassword: true})
		token := h.action(t, tokens.Action{Purpose: purpose, User: 1, Address: "ada@example.com"})
		nth := func(i int) string { return fmt.Sprintf("%s-%d", newPassword, i) }
		errs := atOnce(n, func(i int) error { return test.use(h, t, token, nth(i))() })
		if good, refused := verdicts(t, errs, test.lost); good != 1 || refused != n-1 {
			t.Errorf("%s: %d good, %d refused, want 1 and %d", purpose, good, refused, n-1)
		}
		for i, err := range errs {
			if err != nil {
				continue
			}
			if _, err := h.Login(t.Context(), byUsername("ada", nth(i))); err != nil {
				t.Errorf("%s: login with the password that won: error %v, want none", purpose, err)
			}
		}
	}
}

// TestResetMeetsChange: a link that dies while the password is hashed is dead.
func TestResetMeetsChange(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(t *testing.T, h *harness){
		"login": func(t *testing.T, h *harness) {
			h.exec(t,
				`UPDATE users SET credential_epoch = credential_epoch + 1`)
		},
		"deactivated": func(t *testing.T, h *harness) { h.set(t, 1, "is_active", 0) },
		"deleted":     func(t *testing.T, h *harness) { h.exec(t, `DELETE FROM users`) },
		"moved":       func(t *testing.T, h *harness) { h.move(t, 1, "new@example.com") },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, oneHashAtATime)
			h.ada(t)
			token := h.action(t, tokens.Action{Purpose: tokens.PasswordReset, User: 1, Address: "ada@example.com"})
			var changed map[string][]string
			err := h.whileHashing(t, func() { change(t, h); changed = h.dump(t) }, h.reset(t, token, newPassword))[0]
			if !equalErrors(err, invalidToken) {
				t.Errorf("error %#v, want %#v", err, invalidToken)
			}
			same(t, changed, h.dump(t))
		})
	}
}
