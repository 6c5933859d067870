package accounts

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	passwords "accountd/internal/password"
	"accountd/internal/store"
	"accountd/tokens"
)

// stopwatch is a clock and a timer that passes the time at once, and remembers how much.
type stopwatch struct {
	at     time.Time
	waited []time.Duration
	during func() // nil: nothing
}

func (w *stopwatch) delay() *passwords.ResponseDelay {
	d := passwords.NewResponseDelay(func() time.Time { return w.at })
	d.Timer = w.timer
	d.Jitter = func() float64 { return 0 }
	return d
}

func (w *stopwatch) timer(d time.Duration) <-chan time.Time {
	w.waited = append(w.waited, d)
	if w.during != nil {
		w.during()
	}
	rang := make(chan time.Time, 1)
	rang <- w.at
	return rang
}

// TestUniformTimeEnds: operations do not wait any more once the server ends.
func TestUniformTimeEnds(t *testing.T) {
	t.Parallel()
	h := newHarness(t, uniform)
	h.delay.Timer = func(time.Duration) <-chan time.Time {
		h.Drain()
		return nil
	}
	for range 2 { // one that waits, one that comes later
		if err := h.ResendActivationEmail(t.Context(), EmailInput{"ada@example.com"}); err != nil {
			t.Error(err)
		}
	}
	h.Drain() // harmless
}

func uniform(s *Settings, _ *tokens.Settings) { s.UniformTime = 100 * time.Millisecond }

// TestEvenAnswers: an operation that may send a mail waits for every outcome. It holds neither a transaction nor a
// place for a hash during the wait.
func TestEvenAnswers(t *testing.T) {
	t.Parallel()
	h := newHarness(t, uniform, oneHashAtATime, revealNothing)
	h.ada(t)
	bob := h.add(t, AddUserInput{Username: "bob", Email: "bob@example.com"})
	h.add(t, AddUserInput{Username: "gone", Email: "gone@example.com", Verified: true, Inactive: true})
	h.add(t, AddUserInput{Username: "away", Email: "away@example.com", Verified: true, Archived: true})
	caller := h.login(t)
	w := &stopwatch{at: h.now()}
	h.delay.Timer = w.timer
	w.during = func() {
		h.set(t, bob.ID, "first_name", "Bob") // the only writer is free
		for range 8 {                         // and so are all readers
			if err := h.db.Read(t.Context(), func(*store.Tx) error { return nil }); err != nil {
				t.Error(err)
			}
		}
		if running := h.hasher.Usage().Running; running != 0 {
			t.Errorf("%d places for hashes are taken, want none", running)
		}
	}
	waits := func(t *testing.T, op func() error) {
		t.Helper()
		w.waited = nil
		_ = op() // other tests know what it answers
		if diff := cmp.Diff([]time.Duration{100 * time.Millisecond}, w.waited); diff != "" {
			t.Errorf("waited (-want +got):\n%s", diff)
		}
	}
	for _, address := range []string{
		"nobody@example.com", "bob@example.com", "ada@example.com", "ada2@example.com", "gone@example.com",
		"away@example.com", "no address", "",
	} {
		t.Run("resend "+address, func(t *testing.T) {
			waits(t, func() error { return h.ResendActivationEmail(t.Context(), EmailInput{address}) })
		})
		t.Run("reset "+address, func(t *testing.T) { waits(t, h.sendReset(t, address)) })
		t.Run("secondary "+address, func(t *testing.T) { waits(t, h.request(t, caller.Token, address, password)) })
		t.Run("register "+address, func(t *testing.T) {
			waits(t, func() error {
				_, err := h.Register(t.Context(), registration(address, "new", password, password))
				return err
			})
		})
	}
	h.fillOutbox(t)
	t.Run("no room for mails", func(t *testing.T) { waits(t, h.sendReset(t, "ada@example.com")) })
}

// TestOnlyEvenAnswersWait: if registration may reveal accounts, it does not wait, nor does adding an address. A login
// never waits.
func TestOnlyEvenAnswersWait(t *testing.T) {
	t.Parallel()
	h := newHarness(t, uniform, func(s *Settings, _ *tokens.Settings) { s.Reveal = RevealRegister })
	h.delay.Timer = func(time.Duration) <-chan time.Time {
		t.Error("got a delayed answer, want one at once")
		return time.After(0)
	}
	h.ada(t)
	caller := h.login(t)
	h.refused(t, invalidCredentials, h.tryLogin(t, byUsername("nobody", password)))
	h.refused(t, emailInUse, h.request(t, caller.Token, "ada2@example.com", password))
	if _, err := h.Register(t.Context(), registration("new@example.com", "new", password, password)); err != nil {
		t.Error(err)
	}
}
