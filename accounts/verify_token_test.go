package accounts

import (
	"testing"
	"time"
)

// TestLive: which of a session's two tokens are still good for something, as time goes by and things happen.
func TestLive(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		after           func(h *harness, s *Session)
		access, refresh bool
	}{
		"at once":     {func(*harness, *Session) {}, true, true},
		"access over": {func(h *harness, _ *Session) { h.advance(5 * time.Minute) }, false, true},
		// it can be revoked
		"refresh over": {func(h *harness, _ *Session) { h.advance(8 * 24 * time.Hour) }, false, true},
		"rotated":      {func(h *harness, s *Session) { h.refresh(t, s.RefreshToken) }, true, true},
		"session ended": {func(h *harness, _ *Session) { h.exec(t, `UPDATE sessions SET ended_at = 1`) }, false,
			false},
		"session deleted": {func(h *harness, _ *Session) { h.exec(t, `DELETE FROM sessions`) }, false, false},
		"inactive":        {func(h *harness, s *Session) { h.set(t, s.User.ID, "is_active", 0) }, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			h.ada(t)
			session := h.login(t)
			test.after(h, session)
			access, err := h.LiveAccess(t.Context(), session.Token)
			if err != nil || access != test.access {
				t.Errorf("access token: got %t, error %v, want %t", access, err, test.access)
			}
			refresh, err := h.LiveRefresh(t.Context(), session.RefreshToken)
			if err != nil || refresh != test.refresh {
				t.Errorf("refresh token: got %t, error %v, want %t", refresh, err, test.refresh)
			}
			for _, token := range []string{"", "nonsense", session.Token} {
				if live, err := h.LiveRefresh(t.Context(), token); live || err != nil {
					t.Errorf("%q as a refresh token: got %t, error %v, want false", token, live, err)
				}
			}
		})
	}
}
