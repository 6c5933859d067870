package accounts

import (
	"context"
	"strings"
	"testing"
	"time"

	"accountd/tokens"
)

func TestClearSessions(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.ada(t)
	alive, ended, idle := h.login(t), h.login(t), h.login(t)
	if err := h.tryRevoke(t, ended.RefreshToken)(); err != nil {
		t.Fatal(err)
	}
	clear := func(in ClearInput, want tokens.Cleared) {
		t.Helper()
		got, err := h.ClearSessions(t.Context(), in)
		if err != nil || got.Cleared != want {
			t.Errorf("cleared %+v, %v, want %+v", got, err, want)
		}
	}
	h.advance(6 * 24 * time.Hour)
	alive = h.refresh(t, alive.RefreshToken)
	clear(ClearInput{ExpiredOnly: true}, tokens.Cleared{})
	clear(ClearInput{Keep: week}, tokens.Cleared{})
	clear(ClearInput{}, tokens.Cleared{Sessions: 1, RefreshTokens: 1})
	h.advance(24*time.Hour + 5*time.Minute)
	if err := h.tryRevoke(t, idle.RefreshToken)(); err != nil {
		t.Errorf("an expired token that is still there: error %v, want none", err)
	}
	clear(ClearInput{ExpiredOnly: true}, tokens.Cleared{Sessions: 1, RefreshTokens: 2})
	h.events(t)
	for _, token := range []string{ended.RefreshToken, idle.RefreshToken} {
		h.refused(t, invalidToken, h.tryRefresh(t, token))
		h.refused(t, invalidToken, h.tryRevoke(t, token))
		h.accessRefused(t, expiredToken, idle.Token)
	}
	h.refresh(t, alive.RefreshToken)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.ClearSessions(ctx, ClearInput{}); err == nil {
		t.Error("after the context has ended: got no error, want one")
	}
}

// TestClearOld: the hourly run deletes sessions that ended a week ago, unless the clock has been moved.
func TestClearOld(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.ada(t)
	ended := h.login(t)
	if err := h.tryRevoke(t, ended.RefreshToken)(); err != nil {
		t.Fatal(err)
	}
	other := h.login(t)
	sessions := func(want int) {
		t.Helper()
		if n := h.count(t, `SELECT count(*) FROM sessions`); n != want {
			t.Errorf("%d sessions, want %d", n, want)
		}
	}
	logged := func(want string) {
		t.Helper()
		if got := h.log.String(); strings.Count(got, "\n") != min(1, len(want)) || !strings.Contains(got, want) {
			t.Errorf("logged %q, want %q", got, want)
		}
		h.log.Reset()
	}
	h.log.Reset()
	last := h.now()
	h.advance(week - time.Hour)
	// next year by mistake, and back
	for _, jump := range []time.Duration{365 * 24 * time.Hour, -365 * 24 * time.Hour} {
		h.advance(jump)
		last = h.clearOld(t.Context(), last)
		logged("the clock was changed")
		sessions(2)
	}
	h.advance(time.Hour - time.Second)
	last = h.clearOld(t.Context(), last)
	logged("")
	sessions(2)
	h.advance(time.Second)
	last = h.clearOld(t.Context(), last)
	logged(`"sessions":1,"refresh_tokens":1`)
	sessions(1)
	for range 7*24 + 1 {
		h.advance(time.Hour)
		last = h.clearOld(t.Context(), last)
	}
	logged(`"sessions":1,"refresh_tokens":1`)
	sessions(0)
	h.accessRefused(t, expiredToken, other.Token)
	h.log.Reset()

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.clearOld(ctx, last)
	logged("")
	h.ClearHourly(ctx) // ends
	if err := h.db.Close(); err != nil {
		t.Fatal(err)
	}
	h.clearOld(t.Context(), last)
	logged("hourly deletion of old data failed")
}

// TestClockBehindTheFile: a clock that was set back is said at start, one that goes right is not.
func TestClockBehindTheFile(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.ada(t)
	said := func(want string) {
		t.Helper()
		h.checkClock(t.Context())
		if got := h.log.String(); strings.Count(got, "\n") != min(1, len(want)) || !strings.Contains(got, want) {
			t.Errorf("logged %q, want %q", got, want)
		}
		h.log.Reset()
	}
	h.log.Reset()
	said("")
	h.login(t)
	h.log.Reset()
	said("")
	h.advance(-24 * time.Hour)
	said("the clock was set back")
	h.advance(25 * time.Hour)
	said("")
	if err := h.db.Close(); err != nil {
		t.Fatal(err)
	}
	said("comparing the clock with the database failed")
}
