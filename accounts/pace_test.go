package accounts

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"accountd/internal/store"
	"accountd/tokens"
)

// stopwatch is a clock and a timer that passes the time at once, and remembers how much.
type stopwatch struct {
	at     time.Time
	waited []time.Duration
	during func() // nil: nothing
}

func (w *stopwatch) pace() *pace {
	p := newPace(func() time.Time { return w.at })
	p.timer = w.timer
	p.late = func() float64 { return 0 }
	return p
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

// TestPace: an answer is due at a whole number of steps after the beginning, at least one.
func TestPace(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		name       string
		step, took time.Duration
		want       []time.Duration
	}{
		{"at once", 100 * ms, 0, []time.Duration{100 * ms}},
		{"soon", 100 * ms, 30 * ms, []time.Duration{70 * ms}},
		{"just in time", 100 * ms, 100*ms - 1, []time.Duration{1}},
		{"to the moment", 100 * ms, 100 * ms, nil},
		{"too late", 100 * ms, 100*ms + 1, []time.Duration{100*ms - 1}},
		{"far too late", 100 * ms, 730 * ms, []time.Duration{70 * ms}},
		{"a clock that went back", 100 * ms, -time.Hour, []time.Duration{100 * ms}},
		{"off", 0, 30 * ms, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := &stopwatch{at: time.Unix(1_800_000_000, 0)}
			w.pace().wait(t.Context(), w.at.Add(-test.took), test.step)
			if diff := cmp.Diff(test.want, w.waited); diff != "" {
				t.Errorf("waited (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPaceIsLate: by chance, up to a tenth of a step, and never where nobody waits.
func TestPaceIsLate(t *testing.T) {
	w := &stopwatch{at: time.Unix(1_800_000_000, 0)}
	p := w.pace()
	for _, late := range []float64{0.5, 0.999} {
		p.late = func() float64 { return late }
		p.wait(t.Context(), w.at.Add(-30*time.Millisecond), 100*time.Millisecond)
		p.wait(t.Context(), w.at, 0)
	}
	if diff := cmp.Diff([]time.Duration{75 * time.Millisecond, 79990 * time.Microsecond}, w.waited); diff != "" {
		t.Errorf("waited (-want +got):\n%s", diff)
	}
	p.late = newPace(time.Now).late
	w.waited = nil
	for range 100 {
		p.wait(t.Context(), w.at, time.Second)
	}
	seen := map[time.Duration]bool{}
	for _, waited := range w.waited {
		seen[waited] = true
		if waited < time.Second || waited > 1100*time.Millisecond {
			t.Errorf("waited %v", waited)
		}
	}
	if len(seen) < 50 {
		t.Errorf("only %d different times", len(seen))
	}
}

// TestPaceEnds: nobody waits for a time that nobody is interested in.
func TestPaceEnds(t *testing.T) {
	never := func(time.Duration) <-chan time.Time { return nil }
	t.Run("with the request", func(t *testing.T) {
		p := newPace(time.Now)
		p.timer = never
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		p.wait(ctx, time.Now(), time.Hour)
	})
	t.Run("with the server", func(t *testing.T) {
		h := newHarness(t, uniform)
		h.pace.timer = func(time.Duration) <-chan time.Time {
			h.Drain()
			return nil
		}
		for range 2 { // one that waits, one that comes later
			if err := h.ResendActivationEmail(t.Context(), ResendActivationEmailInput{"ada@example.com"}); err != nil {
				t.Error(err)
			}
		}
		h.Drain() // harmless
	})
}

func uniform(s *Settings, _ *tokens.Settings) { s.UniformTime = 100 * time.Millisecond }

// TestEvenAnswers: every answer of an operation that mails somebody or nobody waits, whatever it was, and then neither
// holds a transaction nor a place for a hash.
func TestEvenAnswers(t *testing.T) {
	h := newHarness(t, uniform, oneHashAtATime, revealNothing)
	h.ada(t)
	bob := h.add(t, AddUserInput{Username: "bob", Email: "bob@example.com"})
	h.add(t, AddUserInput{Username: "gone", Email: "gone@example.com", Verified: true, Inactive: true})
	h.add(t, AddUserInput{Username: "away", Email: "away@example.com", Verified: true, Archived: true})
	caller := h.login(t)
	w := &stopwatch{at: h.now()}
	h.pace.timer = w.timer
	w.during = func() {
		h.set(t, bob.ID, "first_name", "Bob") // the only writer is free
		for range 8 {                         // and so are all readers
			if err := h.db.Read(t.Context(), func(*store.Tx) error { return nil }); err != nil {
				t.Error(err)
			}
		}
		h.hasher.gate.mu.Lock()
		defer h.hasher.gate.mu.Unlock()
		if h.hasher.gate.free != 1 {
			t.Error("a place for a hash is taken")
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
		"nobody@example.com", "bob@example.com", "ada@example.com", "ada2@example.com", "gone@example.com", "away@example.com", "no address", "",
	} {
		t.Run("resend "+address, func(t *testing.T) {
			waits(t, func() error { return h.ResendActivationEmail(t.Context(), ResendActivationEmailInput{address}) })
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

// TestOnlyEvenAnswersWait: a server that tells who has an account lets nobody wait who registers or adds an address, and none
// lets a login wait.
func TestOnlyEvenAnswersWait(t *testing.T) {
	h := newHarness(t, uniform, func(s *Settings, _ *tokens.Settings) { s.Reveal = RevealRegister })
	h.pace.timer = func(time.Duration) <-chan time.Time {
		t.Error("it waits")
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
