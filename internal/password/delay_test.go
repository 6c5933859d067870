package password

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// stopwatch is a clock, and a timer that fires at once and remembers its times.
type stopwatch struct {
	at     time.Time
	waited []time.Duration
}

func (w *stopwatch) delay() *ResponseDelay {
	d := NewResponseDelay(func() time.Time { return w.at })
	d.Timer = w.timer
	d.Jitter = func() float64 { return 0 }
	return d
}

func (w *stopwatch) timer(d time.Duration) <-chan time.Time {
	w.waited = append(w.waited, d)
	rang := make(chan time.Time, 1)
	rang <- w.at
	return rang
}

// TestResponseDelay: a response is due at a whole number of steps after the beginning, at least one.
func TestResponseDelay(t *testing.T) {
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
			w.delay().Wait(t.Context(), w.at.Add(-test.took), test.step)
			if diff := cmp.Diff(test.want, w.waited); diff != "" {
				t.Errorf("waited (-want +got):\n%s", diff)
			}
		})
	}
}

// TestResponseDelayJitter: up to a tenth of a step is added at random, and nothing without a wait.
func TestResponseDelayJitter(t *testing.T) {
	w := &stopwatch{at: time.Unix(1_800_000_000, 0)}
	d := w.delay()
	for _, late := range []float64{0.5, 0.999} {
		d.Jitter = func() float64 { return late }
		d.Wait(t.Context(), w.at.Add(-30*time.Millisecond), 100*time.Millisecond)
		d.Wait(t.Context(), w.at, 0)
	}
	if diff := cmp.Diff([]time.Duration{75 * time.Millisecond, 79990 * time.Microsecond}, w.waited); diff != "" {
		t.Errorf("waited (-want +got):\n%s", diff)
	}
	d.Jitter = NewResponseDelay(time.Now).Jitter
	w.waited = nil
	for range 100 {
		d.Wait(t.Context(), w.at, time.Second)
	}
	seen := map[time.Duration]bool{}
	for _, waited := range w.waited {
		seen[waited] = true
		if waited < time.Second || waited > 1100*time.Millisecond {
			t.Errorf("got a delay of %v, want 1 s to 1.1 s", waited)
		}
	}
	if len(seen) < 50 {
		t.Errorf("got %d different delays, want at least 50", len(seen))
	}
}

// TestResponseDelayEnds: waits end with the request and with the server.
func TestResponseDelayEnds(t *testing.T) {
	timers := 0 // none ever fires
	t.Run("with the request", func(t *testing.T) {
		d := NewResponseDelay(time.Now)
		d.Timer = func(time.Duration) <-chan time.Time { timers++; return nil }
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		d.Wait(ctx, time.Now(), time.Hour)
		if timers != 1 {
			t.Errorf("%d timers, want 1", timers)
		}
	})
	timers = 0
	t.Run("with the server", func(t *testing.T) {
		d := NewResponseDelay(time.Now)
		d.Timer = func(time.Duration) <-chan time.Time {
			timers++
			d.Stop()
			return nil
		}
		for range 2 { // one that waits, one that comes later
			d.Wait(t.Context(), time.Now(), time.Hour)
		}
		d.Stop() // harmless
		if timers == 0 {
			t.Error("got no timer, want at least one")
		}
	})
}
