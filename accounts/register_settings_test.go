package accounts

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"accountd/tokens"
)

func passwordless(s *Settings, _ *tokens.Settings)  { s.PasswordlessRegistration = true }
func setByMail(s *Settings, _ *tokens.Settings)     { s.SendPasswordSetEmail = true }
func revealNothing(s *Settings, _ *tokens.Settings) { s.Reveal = RevealNothing }

// TestPasswordless: no password, no session, and the mails that the settings want.
func TestPasswordless(t *testing.T) {
	activate := sentMail{"<ada@example.com>", "Activate your account on Acme", "https://acme.example/activate", ""}
	set := sentMail{"<ada@example.com>", "Set your password on Acme", "https://acme.example/password-set", ""}
	for name, test := range map[string]struct {
		settings []func(*Settings, *tokens.Settings)
		want     []sentMail
	}{
		"both mails":      {[]func(*Settings, *tokens.Settings){passwordless, setByMail}, []sentMail{activate, set}},
		"activation only": {[]func(*Settings, *tokens.Settings){passwordless}, []sentMail{activate}},
		"set only":        {[]func(*Settings, *tokens.Settings){passwordless, setByMail, noActivationMail}, []sentMail{set}},
		"neither":         {[]func(*Settings, *tokens.Settings){passwordless, noActivationMail}, nil},
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
					if want := h.ofNow(t, tokens.Action{Purpose: tokens.PasswordSet, User: 1, Address: "ada@example.com", IssuedAt: h.now().Unix()}); err != nil || action != want {
						t.Errorf("the token stands for %+v, %v", action, err)
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
				t.Errorf("password %q, or a session", u.password)
			}
			h.refused(t, invalidCredentials, func() error { _, err := h.Login(t.Context(), byUsername("ada", "")); return err })
			h.fillOutbox(t)
			refused := h.register(t, registration("bob@example.com", "bob", "", ""))
			if test.want == nil {
				if err := refused(); err != nil {
					t.Errorf("no mail is needed, and yet: %v", err)
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
	h := newHarness(t, revealNothing, oneHashAtATime)
	h.add(t, AddUserInput{Username: "ada", Email: "Ada@bücher.example", SecondaryEmail: "Ada2@example.com", Verified: true})
	h.add(t, AddUserInput{Username: "gone", Email: "gone@example.com", Inactive: true})
	notice := func(to string) []sentMail {
		return []sentMail{{To: "<" + to + ">", Subject: "You already have an account on Acme"}}
	}
	for _, test := range []struct {
		address string
		want    []sentMail
		event   string
	}{
		{"new@example.com", []sentMail{{"<new@example.com>", "Activate your account on Acme", "https://acme.example/activate", ""}}, "user_registered 3"},
		{"ADA@bücher.example", notice("Ada@xn--bcher-kva.example"), "registration_of_claimed_address 1"},
		{"ada2@example.com", notice("Ada2@example.com"), "registration_of_claimed_address 1"},
		{"gone@example.com", nil, "registration_of_claimed_address 2"},
	} {
		t.Run(test.address, func(t *testing.T) {
			before := h.dump(t)
			hashes := 0
			errs := h.whileHashing(t, func() { hashes++ }, func() error { // waits for a place: there was a hash to compute
				out, err := h.Register(t.Context(), registration(test.address, "bob", password, password))
				if err == nil && *out != (Session{}) {
					t.Errorf("%+v", out)
				}
				return err
			})
			if errs[0] != nil || hashes != 1 {
				t.Errorf("%v after %d hashes", errs[0], hashes)
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
					t.Errorf("%d sessions", n)
				}
				h.exec(t, `DELETE FROM users WHERE id = 3`)
				return
			}
			delete(before, "outbox") // a published mail may still have its row
			delete(after, "outbox")
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("it changed (-before +after):\n%s", diff)
			}
		})
	}
	// Everything else is told as ever: forms, usernames, and a full outbox whoever asks.
	h.refused(t, usernameInUse, h.register(t, registration("ada2@example.com", "ADA", password, password)))
	h.refused(t, Errors{"password2": {mismatch}}, h.register(t, registration("ada2@example.com", "bob", password, "1")))
	h.fillOutbox(t)
	for _, address := range []string{"ada2@example.com", "free@example.com"} {
		h.refused(t, emailFail, h.register(t, registration(address, "bob", password, password)))
	}
	t.Run("without activation mails", func(t *testing.T) {
		h := newHarness(t, revealNothing, noActivationMail)
		h.ada(t)
		if _, err := h.Register(t.Context(), registration("ada@example.com", "bob", password, password)); err != nil || len(h.mails(t)) != 1 {
			t.Errorf("the owner is told in any case: %v", err)
		}
		h.fillOutbox(t)
		h.refused(t, emailFail, h.register(t, registration("free@example.com", "bob", password, password)))
	})
	t.Run("claimed while hashing", func(t *testing.T) {
		h := newHarness(t, revealNothing, oneHashAtATime)
		errs := h.whileHashing(t, func() {
			h.add(t, AddUserInput{Username: "ada", Email: "ada@example.com", NoPassword: true})
		}, h.register(t, registration("ada@example.com", "bob", password, password)))
		if errs[0] != nil || h.count(t, `SELECT count(*) FROM users`) != 1 {
			t.Errorf("%v", errs)
		}
	})
}
