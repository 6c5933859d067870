package accounts

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"accountd/internal/store"
	"accountd/tokens"
)

// TestClearingLetsOthersIn: old sessions are deleted in batches, and after each batch the deletion pauses for as long
// as the batch took, so that others can write.
func TestClearingLetsOthersIn(t *testing.T) {
	t.Parallel()
	const old = 450
	for _, test := range []struct {
		name, fill, count string
		most              int // rows at once
		clear             func(*harness, context.Context) error
	}{
		{
			"expired sessions", `
			INSERT INTO sessions (id, user_id, created_at, clear_at) SELECT value + 100, 1, 0, 1 FROM generate_series;
			INSERT INTO refresh_tokens (session_id, generation, located, hash, issued_at, expires_at) SELECT value + 100, 1, 1, randomblob(32), 0, 1 FROM generate_series`,
			`SELECT count(*) FROM sessions WHERE created_at = 0`, 32,
			func(h *harness, ctx context.Context) error { _, err := h.ClearSessions(ctx, ClearInput{}); return err },
		},
		{
			"ended sessions", `
			INSERT INTO sessions (user_id, created_at, ended_at) SELECT 1, 0, 1 FROM generate_series`,
			`SELECT count(*) FROM sessions WHERE created_at = 0`, 32,
			func(h *harness, ctx context.Context) error { _, err := h.ClearSessions(ctx, ClearInput{}); return err },
		},
		{
			"unverified users", `
			INSERT INTO users (id, email, date_joined) SELECT value + 100, 'old' || value, 0 FROM generate_series;
			INSERT INTO addresses (canonical, user_id, address) SELECT email, id, email FROM users WHERE date_joined = 0;
			INSERT INTO user_status (user_id) SELECT id FROM users WHERE date_joined = 0`,
			`SELECT count(*) FROM users WHERE date_joined = 0`, 1,
			func(h *harness, ctx context.Context) error { _, err := h.PurgeUnverified(ctx); return err },
		},
		{
			"throttles", `
			INSERT INTO throttles (kind, key, since, count, used) SELECT 'name', 'old' || value, 0, 1, 0 FROM generate_series`,
			`SELECT count(*) FROM throttles WHERE used = 0`, 100,
			func(h *harness, ctx context.Context) error { return h.clearThrottles(ctx, h.now()) },
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHarness(t, func(s *Settings, _ *tokens.Settings) {
				s.AllowLoginNotVerified,
					s.PurgeUnverified = false, time.Hour
			})
			h.ada(t)
			h.exec(t,
				fmt.Sprintf(`CREATE TEMP TABLE generate_series AS WITH RECURSIVE n (value) AS (SELECT 1 UNION ALL `+
					`SELECT value + 1 FROM n WHERE value < %d) SELECT value FROM n; %s`, old, test.fill))
			left := old
			w := &stopwatch{at: h.now()}
			w.during = func() {
				var now int
				err := h.db.Write(t.Context(), func(tx *store.Tx) error { // another's, which does not wait for the end
					if _, err := tx.ExecContext(t.Context(),
						`UPDATE users SET last_name = last_name || 'x' WHERE id = 1`); err != nil {
						return err
					}
					return tx.QueryRowContext(t.Context(), test.count).Scan(&now)
				})
				if err != nil {
					t.Error(err)
				}
				if left-now > test.most {
					t.Errorf("%d rows at once, want at most %d", left-now, test.most)
				}
				left = now
			}
			h.delay = w.delay()
			h.delay.Now = func() time.Time { // what is to be copied takes five milliseconds, and so does a batch
				w.at = w.at.Add(5 * time.Millisecond)
				return w.at
			}
			if err := test.clear(h, t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := h.count(t, test.count); n != 0 || left != 0 {
				t.Errorf("%d rows left, %d at the last pause, want none", n, left)
			}
			if len(w.waited) < old/test.most {
				t.Errorf("%d pauses, want at least %d", len(w.waited), old/test.most)
			}
			for _, waited := range w.waited {
				if waited != 10*time.Millisecond {
					t.Fatalf("pauses of %v, want 10ms each", w.waited)
				}
			}
			if n := h.count(t, `SELECT length(last_name) FROM users WHERE id = 1`); n != len(w.waited) {
				t.Errorf("others wrote %d times, want %d: once in each pause", n, len(w.waited))
			}
		})
	}
}

// TestPauseIsShort: a batch that took long, by a busy machine or a clock that was set, is not waited for as long. What
// it is said to have held the writer for is without the wait for its turn.
func TestPauseIsShort(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	w := &stopwatch{at: h.now()}
	h.delay = w.delay()
	run := func(ctx context.Context, took time.Duration) {
		t.Helper()
		held, err := h.writeBatch(ctx, func(*store.Tx) error { w.at = w.at.Add(took); return nil })
		if err != nil || held != took {
			t.Errorf("held %v, error %v, want %v", held, err, took)
		}
	}
	for _, took := range []time.Duration{time.Millisecond, time.Hour, 0, -time.Hour} {
		run(t.Context(), took)
	}
	if diff := cmp.Diff([]time.Duration{time.Millisecond, maxPause}, w.waited); diff != "" {
		t.Errorf("waited (-want +got):\n%s", diff)
	}
	ending, cancel := context.WithCancel(t.Context())
	h.delay.Timer = func(time.Duration) <-chan time.Time { cancel(); return nil } // never rings
	run(ending, time.Second)
	if _, err := h.writeBatch(ending,
		func(*store.Tx) error { t.Error("the batch ran, want it cancelled"); return nil }); !errors.Is(err,
		context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	failure := errors.New("failure")
	if held, err := h.writeBatch(t.Context(), func(*store.Tx) error { return failure }); !errors.Is(err, failure) ||
		held != 0 {
		t.Errorf("held %v, error %v, want 0 and %v", held, err, failure)
	}
}

// TestBatchesFit: a batch that holds the write lock for too long is halved, down to one row. Any other batch grows by a
// row, up to the maximum.
func TestBatchesFit(t *testing.T) {
	t.Parallel()
	n := tokens.ClearRows / 4
	var sizes []int
	for _, held := range []time.Duration{0, maxHeld, maxHeld + 1, time.Second, time.Second, time.Second, -1} {
		n = nextRows(n, held)
		sizes = append(sizes, n)
	}
	if diff := cmp.Diff([]int{5, 6, 3, 1, 1, 1, 2}, sizes); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	for range 2 * tokens.ClearRows {
		n = nextRows(n, 0)
	}
	if n != tokens.ClearRows {
		t.Errorf("%d rows, want %d", n, tokens.ClearRows)
	}
}

// TestSlowBatchesAreSmall: if each batch takes long, sessions are deleted one by one, and all of them are deleted.
func TestSlowBatchesAreSmall(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		step    time.Duration // of the clock, each time it is looked at
		batches int           // at least
		most    int           // likewise
	}{
		{"slow", maxHeld + 1, 40, 0},
		{"quick", maxHeld, 0, 10},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHarness(t)
			h.ada(t)
			h.exec(t,
				`INSERT INTO sessions (user_id, created_at, ended_at) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL `+
					`SELECT i + 1 FROM n WHERE i < 45) SELECT 1, 0, 1 FROM n`)
			w := &stopwatch{at: h.now()}
			h.delay = w.delay()
			h.delay.Now = func() time.Time { w.at = w.at.Add(test.step); return w.at }
			cleared, err := h.ClearSessions(t.Context(), ClearInput{})
			if err != nil || cleared.Sessions != 45 || cleared.Longest != test.step {
				t.Errorf("cleared %+v, error %v, want 45 sessions, %v at most", cleared, err, test.step)
			}
			if n := len(w.waited); n < test.batches || test.most > 0 && n > test.most {
				t.Errorf("%d batches, want %d or more, and at most %d if that is set", n, test.batches, test.most)
			}
		})
	}
}
