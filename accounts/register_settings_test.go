package accounts

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"accountd/internal/store"
	"accountd/tokens"
)

func passwordless(s *Settings, _ *tokens.Settings)  { s.PasswordlessRegistration = true }
func setByMail(s *Settings, _ *tokens.Settings)     { s.SendPasswordSetEmail = true }
func revealNothing(s *Settings, _ *tokens.Settings) { s.Reveal = RevealNothing }

// TestPasswordless: no password, no session, and the mails that the settings want.
func TestPasswordless(t *testing.T) {
	t.Parallel()
	activate := sentMail{"<ada@example.com>", "Activate your account on Acme", "https://acme.example/activate", ""}
	set := sentMail{"<ada@example.com>", "Set your password on Acme", "https://acme.example/password-set", ""}
	for name, test := range map[string]struct {
		settings []func(*Settings, *tokens.Settings)
		want     []sentMail
	}{
		"both mails":      {[]func(*Settings, *tokens.Settings){passwordless, setByMail}, []sentMail{activate, set}},
		"activation only": {[]func(*Settings, *tokens.Settings){passwordless}, []sentMail{activate}},
		"set only": {[]func(*Settings, *tokens.Settings){passwordless, setByMail, noActivationMail},
			[]sentMail{set}},
		"neither": {[]func(*Settings, *tokens.Settings){passwordless, noActivationMail}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, test.settings...)
			out, err := h.Register(t.Context(), registration("ada@example.com", "ada", "not", "looked at"))
			if err != nil || *out != (Session{}) {
				t.Fatalf("%+v, %v; want no tokens", out, err)
			}
			h.happened(t, "user_registered 1")
			sent := h.mails(t)
			for i, m := range sent {
				if strings.HasSuffix(m.Link, "password-set") {
					action, err := h.tokens.VerifyAction(m.Token, tokens.PasswordSet)
					if want := h.ofNow(t, tokens.Action{Purpose: tokens.PasswordSet, User: 1,
						Address: "ada@example.com", IssuedAt: h.now().Unix()}); err != nil || action != want {
						t.Errorf("token of %+v, %v, want %+v", action, err, want)
					}
				}
				sent[i].Token = ""
			}
			if len(sent) == 2 && sent[0] != activate {
				sent[0], sent[1] = sent[1], sent[0] // of one microsecond: in any order
			}
			if diff := cmp.Diff(test.want, sent); diff != "" {
				t.Errorf("mails (-want +got):\n%s", diff)
			}
			if u := h.user(t, "ada"); u.password != "" || h.count(t, `SELECT count(*) FROM sessions`) != 0 {
				t.Errorf("password %q, want none and no session", u.password)
			}
			h.refused(t, invalidCredentials, func() error {
				_,
					err := h.Login(t.Context(), byUsername("ada", ""))
				return err
			})
			h.fillOutbox(t)
			refused := h.register(t, registration("bob@example.com", "bob", "", ""))
			if test.want == nil {
				if err := refused(); err != nil {
					t.Errorf("no mail is needed: error %v, want none", err)
				}
				return
			}
			h.refused(t, emailFail, refused)
		})
	}
	h := newHarness(t, passwordless)
	h.refused(t, Errors{"email": {badEmail}, "username": {required}}, h.register(t, registration("a", "", "", "")))
}

// TestRevealNothing: register answers the same for a free address and a claimed one, and costs the same.
func TestRevealNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(t, revealNothing, oneHashAtATime)
	h.add(t, AddUserInput{Username: "ada", Email: "Ada@bücher.example", SecondaryEmail: "Ada2@example.com",
		Verified: true})
	h.add(t, AddUserInput{Username: "gone", Email: "gone@example.com", Inactive: true})
	notice := func(to string) []sentMail {
		return []sentMail{{To: "<" + to + ">", Subject: "You already have an account on Acme"}}
	}
	for i, test := range []struct {
		address string
		want    []sentMail
		event   string
	}{
		{"new@example.com", []sentMail{{"<new@example.com>", "Activate your account on Acme",
			"https://acme.example/activate", ""}}, "user_registered 3"},
		{"ADA@bücher.example", notice("Ada@xn--bcher-kva.example"), "registration_of_claimed_address 1"},
		{"ada2@example.com", notice("Ada2@example.com"), "registration_of_claimed_address 1"},
		{"gone@example.com", nil, "registration_of_claimed_address 2"},
	} {
		t.Run(test.address, func(t *testing.T) {
			before := h.dump(t)
			hashes := 0
			// waits for a place: there was a hash to compute
			errs := h.whileHashing(t, func() { hashes++ }, func() error {
				out, err := h.Register(t.Context(), registration(test.address, fmt.Sprint("bob", i), password,
					password))
				if err == nil && *out != (Session{}) {
					t.Errorf("session %+v, want an empty one", out)
				}
				return err
			})
			if errs[0] != nil || hashes != 1 {
				t.Errorf("error %v after %d hashes, want none after 1", errs[0], hashes)
			}
			sent := h.mails(t)
			for i := range sent {
				sent[i].Token = ""
			}
			if diff := cmp.Diff(test.want, sent); diff != "" {
				t.Errorf("mails (-want +got):\n%s", diff)
			}
			h.happened(t, test.event)
			after := h.dump(t)
			if strings.HasPrefix(test.event, "user_registered") {
				if n := h.count(t, `SELECT count(*) FROM sessions`); n != 0 {
					t.Errorf("%d sessions, want 0", n)
				}
				h.exec(t, `DELETE FROM users WHERE id = 3`)
				return
			}
			for _, table := range []string{"outbox", "held_values"} { // a published mail may still have its row
				delete(before, table)
				delete(after, table)
			}
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("the database changed (-want +got):\n%s", diff)
			}
		})
	}
	// Other problems are reported as usual: forms, usernames, and a full outbox for every address.
	h.refused(t, usernameInUse, h.register(t, registration("ada2@example.com", "ADA", password, password)))
	h.refused(t, Errors{"password2": {mismatch}}, h.register(t, registration("ada2@example.com", "bob", password, "1")))
	h.fillOutbox(t)
	for _, address := range []string{"ada2@example.com", "free@example.com"} {
		h.refused(t, emailFail, h.register(t, registration(address, "bob", password, password)))
	}
	t.Run("without activation mails", func(t *testing.T) {
		h := newHarness(t, revealNothing, noActivationMail)
		h.ada(t)
		if _, err := h.Register(t.Context(), registration("ada@example.com", "bob", password, password)); err != nil ||
			len(h.mails(t)) != 1 {
			t.Errorf("error %v, want none and a mail to the owner", err)
		}
		h.fillOutbox(t)
		h.refused(t, emailFail, h.register(t, registration("free@example.com", "eve", password, password)))
	})
	t.Run("claimed while hashing", func(t *testing.T) {
		h := newHarness(t, revealNothing, oneHashAtATime)
		errs := h.whileHashing(t, func() {
			h.add(t, AddUserInput{Username: "ada", Email: "ada@example.com", NoPassword: true})
		}, h.register(t, registration("ada@example.com", "bob", password, password)))
		if errs[0] != nil || h.count(t, `SELECT count(*) FROM users`) != 1 {
			t.Errorf("errors %v, want none and one user", errs)
		}
	})
}

// TestHeldValues: values held for a registration of a claimed address stay for as long as an unverified account would.
// Then they are free at once, in the order of the registrations.
func TestHeldValues(t *testing.T) {
	t.Parallel()
	const month = 30 * 24 * time.Hour
	h := newHarness(t, everyField, revealNothing, func(s *Settings, _ *tokens.Settings) {
		s.RegisterFields, s.RegisterOptionalFields = []string{"email", "username"}, []string{"phone_number"}
		s.AllowLoginNotVerified, s.PurgeUnverified = false, month
	})
	h.ada(t)
	register := func(email, username, phone string) error {
		values := Values{"email": email, "username": username, "phone_number": phone}
		_, err := h.Register(t.Context(), RegisterInput{values, password, password})
		return err
	}
	taken := Errors{"username": usernameInUse["username"], "phoneNumber": {phoneUsed}}
	for _, step := range []struct {
		email, username, phone string
		want                   error
	}{
		{"ada@example.com", "held", "1", nil},
		{"new@example.com", "made", "2", nil},
		{"ada2@example.com", "held", "1", taken},
		{"new2@example.com", "he1d", "1", taken},
		{"new2@example.com", "made", "2", taken},
		{"ada@example.com", "none", "", nil},
	} {
		if err := register(step.email, step.username, step.phone); !cmp.Equal(err, step.want) {
			t.Errorf("%+v: error %v, want %v", step, err, step.want)
		}
	}
	if n := h.count(t, `SELECT count(*) FROM users`); n != 2 {
		t.Errorf("%d users, want 2", n)
	}
	run := func() { h.clearOld(t.Context(), h.now().Add(-clearInterval)) }
	h.advance(month - time.Second)
	run()
	for _, name := range []string{"held", "made"} {
		if err := register("new2@example.com", name, ""); !cmp.Equal(err, usernameInUse) {
			t.Errorf("%s a second too early: error %v, want %v", name, err, usernameInUse)
		}
	}
	h.advance(time.Second)
	var found []int64
	err := h.db.Read(t.Context(), func(tx *store.Tx) (err error) {
		found, err = unverified(t.Context(), tx, tx.Now.Add(-month), 0, 3)
		return err
	})
	if diff := cmp.Diff([]int64{2, 3, 4}, found); diff != "" || err != nil {
		t.Errorf("%v, what is over (-want +got):\n%s", err, diff)
	}
	run()
	for i, name := range []string{"held", "made"} {
		if err := register(fmt.Sprintf("new%d@example.com", i), name, fmt.Sprint(i+1)); err != nil {
			t.Errorf("%s when it is free again: error %v, want none", name, err)
		}
	}
}

// TestHeldValuesOfOperators: an operator may give a held value away, which releases it.
func TestHeldValuesOfOperators(t *testing.T) {
	t.Parallel()
	h := newHarness(t, revealNothing)
	h.ada(t)
	for _, name := range []string{"one", "two"} {
		if _, err := h.Register(t.Context(), registration("ada@example.com", name, password, password)); err != nil {
			t.Fatal(err)
		}
	}
	h.add(t, AddUserInput{Username: "One", Email: "bob@example.com"})
	two := "two"
	if _, err := h.SetUser(t.Context(), "ada", SetUserInput{Username: &two}); err != nil {
		t.Error(err)
	}
	h.mails(t)
	if n := h.count(t, `SELECT count(*) FROM held_values`); n != 0 {
		t.Errorf("%d values are still held, want 0", n)
	}
	if _, err := h.Register(t.Context(), registration("ada@example.com", "paypal", password, password)); err != nil {
		t.Fatal(err)
	}
	h.add(t, AddUserInput{Username: "paypaI", Email: "cy@example.com"}) // looks like what is held
	h.mails(t)
	taken := AddUserInput{Username: "ONE", Email: "eve@example.com", NoPassword: true}
	h.refused(t, usernameInUse, func() error { _, err := h.AddUser(t.Context(), taken); return err })
}
