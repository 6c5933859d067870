package accounts

import (
	"testing"
	"time"

	"accountd/tokens"
)

func withoutRefreshTokens(_ *Settings, ts *tokens.Settings) { ts.LongRunning = false }

func (h *harness) tryRefreshAccess(t *testing.T, token *string) func() error {
	return func() error {
		out, err := h.RefreshAccessToken(t.Context(), RefreshAccessTokenInput{token})
		if err != nil && out != nil {
			t.Errorf("beside the error: %+v", out)
		}
		return err
	}
}

func TestRefreshAccessToken(t *testing.T) {
	h := newHarness(t, withoutRefreshTokens)
	ada := h.ada(t)
	s := h.login(t)
	before := h.dump(t)
	h.events(t)
	h.advance(time.Minute)
	out, err := h.RefreshAccessToken(t.Context(), RefreshAccessTokenInput{&s.Token})
	if err != nil || out.Payload.Session != s.Payload.Session || out.Payload.OrigIssuedAt != s.Payload.OrigIssuedAt || out.RefreshToken != "" ||
		out.RefreshExpiresIn != s.Payload.OrigIssuedAt+int64(week/time.Second) {
		t.Fatalf("%+v, %v", out, err)
	}
	h.happened(t, "token_refreshed 1")
	h.accessGood(t, out.Token)
	if after := h.dump(t); len(after["refresh_tokens"]) > 0 || len(after["sessions"]) != len(before["sessions"]) {
		t.Errorf("rows of tokens: %+v", after)
	}

	h.refused(t, invalidToken, h.tryRefreshAccess(t, nil))
	for _, bad := range []string{"", "garbage", s.Token + "A"} {
		h.refused(t, invalidToken, h.tryRefreshAccess(t, &bad))
	}
	for _, change := range []struct {
		column    string
		bad, good int
	}{{"is_active", 0, 1}, {"archived", 1, 0}} {
		h.set(t, ada.ID, change.column, change.bad)
		h.refused(t, invalidToken, h.tryRefreshAccess(t, &s.Token))
		h.set(t, ada.ID, change.column, change.good)
	}
	h.set(t, ada.ID, "verified", 0) // may log in, so may go on
	if err := h.tryRefreshAccess(t, &s.Token)(); err != nil {
		t.Error(err)
	}
	h.advance(4 * time.Minute)
	h.refused(t, invalidToken, h.tryRefreshAccess(t, &s.Token)) // expired
	h.exec(t, `DELETE FROM users`)
	h.refused(t, invalidToken, h.tryRefreshAccess(t, &out.Token))
}

func TestRefreshAccessTokenUnverified(t *testing.T) {
	h := newHarness(t, withoutRefreshTokens, verifiedLoginsOnly)
	ada := h.ada(t)
	s := h.login(t)
	h.set(t, ada.ID, "verified", 0)
	h.refused(t, invalidToken, h.tryRefreshAccess(t, &s.Token))
	h.set(t, ada.ID, "verified", 1)
	if err := h.tryRefreshAccess(t, &s.Token)(); err != nil {
		t.Error(err)
	}
}

func TestRevokeAccessToken(t *testing.T) {
	h := newHarness(t, withoutRefreshTokens)
	h.ada(t)
	s, other := h.login(t), h.login(t)
	revoke := func(token *string) func() error {
		return func() error {
			_, err := h.RevokeAccessToken(t.Context(), RevokeAccessTokenInput{token})
			return err
		}
	}
	h.refused(t, invalidToken, revoke(nil))
	for _, bad := range []string{"", "garbage", s.Token + "A"} {
		h.refused(t, invalidToken, revoke(&bad))
	}
	h.events(t)
	out, err := h.RevokeAccessToken(t.Context(), RevokeAccessTokenInput{&s.Token})
	if err != nil || out.Revoked != h.now().Unix() {
		t.Fatalf("%+v, %v", out, err)
	}
	h.happened(t, "token_revoked 1")
	h.refused(t, invalidToken, revoke(&s.Token))
	h.refused(t, invalidToken, h.tryRefreshAccess(t, &s.Token))
	h.accessRefused(t, invalidToken, &s.Token)
	h.accessGood(t, other.Token)
	h.advance(time.Hour)
	if err := revoke(&other.Token)(); err != nil {
		t.Errorf("an expired token: %v", err)
	}
}

// TestKeptRefreshToken: it is the same event by another name, and the users who may not go on are the same.
func TestKeptRefreshToken(t *testing.T) {
	h := newHarness(t, func(_ *Settings, ts *tokens.Settings) { ts.Rotate = false })
	ada := h.ada(t)
	s := h.login(t)
	h.events(t)
	h.advance(time.Hour)
	next := h.refresh(t, s.RefreshToken)
	h.happened(t, "token_refreshed 1")
	if next.RefreshToken != s.RefreshToken || next.RefreshExpiresIn != h.now().Add(week).Unix() {
		t.Errorf("%+v", next)
	}
	h.set(t, ada.ID, "archived", 1)
	h.refused(t, invalidToken, h.tryRefresh(t, &s.RefreshToken))
	h.set(t, ada.ID, "archived", 0)
	if n := h.count(t, `SELECT count(*) FROM refresh_tokens`); n != 1 {
		t.Errorf("%d refresh tokens", n)
	}
	if err := h.tryRevoke(t, &s.RefreshToken)(); err != nil {
		t.Fatal(err)
	}
	h.events(t)
	h.refused(t, invalidToken, h.tryRefresh(t, &s.RefreshToken))
	h.accessRefused(t, invalidToken, &next.Token)
}
