package accounts

import (
	"testing"
	"time"
)

func (h *harness) tryRevoke(t *testing.T, token string) func() error {
	return func() error { _, err := h.RevokeToken(t.Context(), RefreshTokenInput{token}); return err }
}

func TestRevokeToken(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	ada := h.ada(t)
	s, other := h.login(t), h.login(t)
	for _, bad := range []string{"", "garbage", s.Token, s.RefreshToken + " "} {
		h.refused(t, invalidToken, h.tryRevoke(t, bad))
	}
	h.advance(time.Minute)
	out, err := h.RevokeToken(t.Context(), RefreshTokenInput{s.RefreshToken})
	if err != nil || out.Revoked != h.now().Unix() {
		t.Fatalf("got %+v, error %v, want revoked now", out, err)
	}
	h.happened(t, "refresh_token_revoked 1")
	h.refused(t, invalidToken, h.tryRevoke(t, s.RefreshToken))
	h.refused(t, invalidToken, h.tryRefresh(t, s.RefreshToken))
	h.accessRefused(t, invalidToken, s.Token)
	h.accessGood(t, other.Token)

	// A rotated one stands for the whole session, an expired one too, and whoever it belongs to by now.
	next := h.refresh(t, other.RefreshToken)
	h.set(t, ada.ID, "archived", 1)
	if err := h.tryRevoke(t, other.RefreshToken)(); err != nil {
		t.Errorf("a rotated token: error %v, want none", err)
	}
	h.events(t)
	h.accessRefused(t, invalidToken, next.Token)
	h.refused(t, invalidToken, h.tryRevoke(t, next.RefreshToken))
	old := h.login(t)
	h.advance(week)
	h.refused(t, invalidToken, h.tryRefresh(t, old.RefreshToken))
	if err := h.tryRevoke(t, old.RefreshToken)(); err != nil {
		t.Errorf("an expired token: error %v, want none", err)
	}
	h.refused(t, invalidToken, h.tryRevoke(t, old.RefreshToken))
}

func TestRevokeTokenAtOnce(t *testing.T) {
	t.Parallel()
	const n = 100
	h := newHarness(t)
	h.ada(t)
	s := h.login(t)
	if good, refused := verdicts(t, atOnce(n, func(int) error { return h.tryRevoke(t, s.RefreshToken)() }),
		invalidToken); good != 1 || refused != n-1 {
		t.Errorf("%d revoked, %d refused, want 1 and %d", good, refused, n-1)
	}
}

func TestRevokeAccessToken(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withoutRefreshTokens)
	h.ada(t)
	s, other := h.login(t), h.login(t)
	revoke := func(token string) func() error {
		return func() error {
			_, err := h.RevokeAccessToken(t.Context(), AccessTokenInput{token})
			return err
		}
	}
	for _, bad := range []string{"", "garbage", s.Token + "A"} {
		h.refused(t, invalidToken, revoke(bad))
	}
	h.events(t)
	out, err := h.RevokeAccessToken(t.Context(), AccessTokenInput{s.Token})
	if err != nil || out.Revoked != h.now().Unix() {
		t.Fatalf("got %+v, error %v, want revoked now", out, err)
	}
	h.happened(t, "token_revoked 1")
	h.refused(t, invalidToken, revoke(s.Token))
	h.refused(t, invalidToken, h.tryRefreshAccess(t, s.Token))
	h.accessRefused(t, invalidToken, s.Token)
	h.accessGood(t, other.Token)
	h.advance(time.Hour)
	if err := revoke(other.Token)(); err != nil {
		t.Errorf("an expired token: error %v, want none", err)
	}
}
