package accounts

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"accountd/internal/ratelimit"
	"accountd/tokens"
)

// TestMailsPerRecipient: three mails of a kind an hour and ten a day, for every spelling of the address and every
// client. Beyond the limit the answer is the same.
func TestMailsPerRecipient(t *testing.T) {
	t.Parallel()
	h := newHarness(t, standard)
	h.add(t, AddUserInput{Username: "ada", Email: "Ada@example.com"})
	resend := func(n int) (sent int) {
		t.Helper()
		for i := range n {
			typed := []string{"ada@example.com", "ADA@example.com", " Ada@EXAMPLE.com ", "ada@EXAMPLE.COM"}[i%4]
			if err := h.ResendActivationEmail(from(t, fmt.Sprint("192.0.2.", i)),
				EmailInput{typed}); err != nil {
				t.Fatal(err)
			}
		}
		return len(h.mails(t))
	}
	h.log.Reset()
	if sent := resend(50); sent != 3 {
		t.Errorf("%d mails for 50 requests, want 3", sent)
	}
	if got := h.events(t); len(got) != 47 || got[0] != "mail_throttled 1" {
		t.Errorf("%d events %v, want 47 of throttled mails", len(got), got)
	}
	h.advance(time.Hour - time.Second)
	if sent := resend(1); sent != 0 {
		t.Errorf("%d mails before the hour is over, want none", sent)
	}
	h.advance(time.Second)
	for hour, want := range []int{3, 3, 1, 0, 0} {
		if sent := resend(5); sent != want {
			t.Errorf("%d mails in hour %d, want %d", sent, hour, want)
		}
		h.advance(time.Hour)
	}
	h.advance(18 * time.Hour)
	if sent := resend(5); sent != 3 {
		t.Errorf("%d mails on the next day, want 3", sent)
	}
}

// TestMailsOfEveryKind: each mutation that sends a mail to a typed address has its own limit. Notices have none.
func TestMailsOfEveryKind(t *testing.T) {
	t.Parallel()
	h := newHarness(t, standard, func(s *Settings, _ *tokens.Settings) { s.Reveal = RevealNothing })
	h.ada(t)
	h.add(t, AddUserInput{Username: "bob", Email: "bob@example.com"})
	token := h.login(t).Token
	requests := []struct {
		name string
		ask  func(i int) error
		want int
	}{
		{"reset", func(int) error {
			return h.SendPasswordResetEmail(t.Context(), EmailInput{"ada@example.com"})
		}, 3},
		{"reset at the secondary address", func(int) error {
			return h.SendPasswordResetEmail(t.Context(), EmailInput{"ADA2@example.com"})
		}, 3},
		{"reset of an unverified account", func(int) error {
			return h.SendPasswordResetEmail(t.Context(), EmailInput{"bob@example.com"})
		}, 3},
		{"resend after that", func(int) error {
			return h.ResendActivationEmail(t.Context(), EmailInput{"bob@example.com"})
		}, 0},
		{"secondary address", func(i int) error {
			return h.request(t, token, []string{"new@example.com", "NEW@example.com", "new@EXAMPLE.com",
				"nEw@example.com", "neW@example.com"}[i], password)()
		}, 3},
		{"secondary address of somebody else", func(int) error {
			return h.request(t, token, "Bob@example.com",
				password)()
		}, 3},
		{"registration of a claimed address", func(i int) error {
			_, err := h.Register(t.Context(), registration("bob@Example.com", fmt.Sprint("carol", i), password,
				password))
			return err
		}, 0}, // the kind of mail is that of the request before
		{"registration", func(i int) error {
			_, err := h.Register(t.Context(), registration("dora@example.com", fmt.Sprint("dora", i), password,
				password))
			if _, gone := h.DeleteUser(t.Context(), fmt.Sprint("dora", i), true); gone != nil {
				return gone
			}
			return err
		}, 3},
	}
	for _, request := range requests {
		for i := range 5 {
			if err := request.ask(i); err != nil {
				t.Fatalf("%s: error %v, want none", request.name, err)
			}
		}
		if sent := h.mails(t); len(sent) != request.want {
			t.Errorf("%s: %d mails, want %d: %v", request.name, len(sent), request.want, sent)
		}
	}
	h.Service.settings.Notices = true
	for range 5 {
		h.succeed(t, "ChangePassword", h.login(t).Token)
		if _, err := h.SetUserPassword(t.Context(), "ada", password); err != nil {
			t.Fatal(err)
		}
	}
	if sent := h.mails(t); len(sent) != 10 {
		t.Errorf("%d notices, want 10", len(sent))
	}
}

// TestResetMailsHaveNoDailyLimit: a user who has lost the password gets a reset mail, however many mails others have
// requested.
func TestResetMailsHaveNoDailyLimit(t *testing.T) {
	t.Parallel()
	h := newHarness(t, standard)
	h.ada(t)
	for hour := range 24 {
		for range 5 {
			if err := h.SendPasswordResetEmail(t.Context(),
				EmailInput{"ada@example.com"}); err != nil {
				t.Fatal(err)
			}
		}
		if sent := h.mails(t); len(sent) != 3 {
			t.Fatalf("%d mails in hour %d, want 3", len(sent), hour)
		}
		h.advance(time.Hour)
	}
}

// TestMailsPerNetwork: one network cannot mail everybody.
func TestMailsPerNetwork(t *testing.T) {
	t.Parallel()
	h := newHarness(t, standard, func(s *Settings, _ *tokens.Settings) {
		s.Throttle.MailsPerIP = []ratelimit.Rate{{Count: 4, Per: time.Hour}}
	})
	for i := range 8 {
		h.add(t, AddUserInput{Username: fmt.Sprint("user", i), Email: fmt.Sprintf("user%d@example.com", i)})
	}
	sent := func(addr string) int {
		for i := range 8 {
			if err := h.ResendActivationEmail(from(t, addr),
				EmailInput{fmt.Sprintf("user%d@example.com", i)}); err != nil {
				t.Fatal(err)
			}
		}
		return len(h.mails(t))
	}
	if first, second := sent("192.0.2.1"), sent("192.0.2.2"); first != 4 || second != 4 {
		t.Errorf("%d and %d mails, want 4 each", first, second)
	}
}

// TestRegistrationsPerNetwork: every valid form counts, one with a taken address too, so that registrations cannot be
// used to search for accounts.
func TestRegistrationsPerNetwork(t *testing.T) {
	t.Parallel()
	for _, reveal := range []Reveal{RevealNothing, RevealRegister, RevealAll} {
		t.Run(string(reveal), func(t *testing.T) {
			h := newHarness(t, standard, func(s *Settings, _ *tokens.Settings) {
				s.Reveal = reveal
				s.Throttle.RegistrationsPerIP = []ratelimit.Rate{{Count: 6, Per: time.Hour}}
			})
			h.ada(t)
			register := func(addr, email, username string) error {
				_, err := h.Register(from(t, addr), registration(email, username, password, password))
				return err
			}
			for i := range 3 {
				if err := register("192.0.2.1", fmt.Sprintf("user%d@example.com", i),
					fmt.Sprint("user", i)); err != nil {
					t.Fatal(err)
				}
				if err := register("192.0.2.1", "ada@example.com",
					fmt.Sprint("other", i)); (err != nil) != (reveal != RevealNothing) || isThrottled(err) {
					t.Fatal(err)
				}
				if err := register("192.0.2.1", "no address", fmt.Sprint("other", i)); isThrottled(err) {
					t.Fatal("a form with mistakes: got it counted, want it ignored")
				}
			}
			for _, email := range []string{"user4@example.com", "ada@example.com"} {
				before := h.dump(t)
				h.log.Reset()
				if err := register("192.0.2.1", email, "user4"); !cmp.Equal(err,
					error(&ThrottledError{RetryAfter: time.Hour})) {
					t.Errorf("%s: error %v, want %v", email, err, &ThrottledError{RetryAfter: time.Hour})
				}
				if diff := cmp.Diff(before, h.dump(t)); diff != "" {
					t.Errorf("the database changed (-want +got):\n%s", diff)
				}
				if !strings.Contains(h.log.String(), `"event":"registration_throttled"`) {
					t.Errorf("logged %s, want registration_throttled", h.log.String())
				}
			}
			if err := register("192.0.2.2", "user5@example.com", "user5"); err != nil {
				t.Errorf("another network: error %v, want none", err)
			}
			h.advance(time.Hour)
			if err := register("192.0.2.1", "user6@example.com", "user6"); err != nil {
				t.Errorf("an hour later: error %v, want none", err)
			}
		})
	}
}

// TestParallelRegistrations: registrations at once are no more than registrations in sequence.
func TestParallelRegistrations(t *testing.T) {
	t.Parallel()
	h := newHarness(t, standard, func(s *Settings, _ *tokens.Settings) {
		s.Throttle.RegistrationsPerIP = []ratelimit.Rate{{Count: 6, Per: time.Hour}}
	})
	errs := make(chan error)
	for i := range 20 {
		go func() {
			_, err := h.Register(from(t, "192.0.2.1"), registration(fmt.Sprintf("user%d@example.com", i),
				fmt.Sprint("user", i), password, password))
			errs <- err
		}()
	}
	made := 0
	for range 20 {
		switch err := <-errs; {
		case err == nil:
			made++
		case !isThrottled(err):
			t.Error(err)
		}
	}
	if users := h.count(t, `SELECT count(*) FROM users`); made != 6 || users != 6 {
		t.Errorf("%d were told that they have an account, there are %d, want 6", made, users)
	}
}
