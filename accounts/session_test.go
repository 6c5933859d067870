package accounts

import (
	"strings"
	"testing"
	"time"

	"accountd/tokens"
)

// accessRefused checks that verifyToken fails with want and that the caller is anonymous.
func (h *harness) accessRefused(t *testing.T, want error, token string) {
	t.Helper()
	h.refused(t, want, func() error { _, err := h.VerifyToken(t.Context(), AccessTokenInput{token}); return err })
	h.refused(t, nil, func() error {
		u, err := h.Caller(token).User(t.Context())
		if u != nil {
			t.Errorf("%q: caller %s, want an anonymous one", token, u.Username)
		}
		return err
	})
}

func (h *harness) accessGood(t *testing.T, token string) {
	t.Helper()
	if u, err := h.Caller(token).User(t.Context()); err != nil || u == nil || u.Username != "ada" {
		t.Errorf("caller %+v, error %v, want ada", u, err)
	}
	if _, err := h.VerifyToken(t.Context(), AccessTokenInput{token}); err != nil {
		t.Errorf("verifyToken: error %v, want none", err)
	}
}

// TestAccessToken: which tokens authenticate, by verifyToken and by the caller of a request.
func TestAccessToken(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	ada := h.ada(t)
	h.add(t, AddUserInput{Username: "bob", Email: "bob@example.com"})
	s := h.login(t)
	h.accessGood(t, s.Token)
	out, err := h.VerifyToken(t.Context(), AccessTokenInput{s.Token})
	if err != nil || *out.Payload != *s.Payload || out.Token != "" || out.RefreshToken != "" || out.User != nil {
		t.Errorf("verifyToken: got %+v, error %v, want the payload alone", out, err)
	}

	action := h.action(t, tokens.Action{Purpose: tokens.Activation, User: ada.ID, Address: "ada@example.com"})
	altered := strings.Replace(s.Token, ".", ".A", 1)
	foreign := newHarness(t)
	foreign.ada(t)
	for _, bad := range []string{"", "garbage", "..", altered, s.RefreshToken, action, foreign.login(t).Token} {
		h.accessRefused(t, invalidToken, bad)
	}

	for _, column := range []string{"archived", "verified"} { // authenticated like any other
		h.set(t, ada.ID, "archived", column == "archived")
		h.set(t, ada.ID, "verified", column != "verified")
		h.accessGood(t, s.Token)
	}
	h.set(t, ada.ID, "is_active", 0)
	h.accessRefused(t, invalidToken, s.Token)
	h.set(t, ada.ID, "is_active", 1)
	h.exec(t, `UPDATE sessions SET user_id = 2`) // somebody else's session
	h.accessRefused(t, invalidToken, s.Token)
	h.exec(t, `UPDATE sessions SET user_id = 1`)
	h.advance(5*time.Minute - time.Second)
	h.accessGood(t, s.Token)
	h.advance(time.Second)
	h.accessRefused(t, expiredToken, s.Token)
	h.set(t, ada.ID, "is_active", 0)
	h.accessRefused(t, expiredToken, s.Token) // age comes before session and user
}

func TestAccessTokenEndsWithItsSession(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.ada(t)
	ended, other := h.login(t), h.login(t)
	if _, err := h.RevokeToken(t.Context(), RefreshTokenInput{ended.RefreshToken}); err != nil {
		t.Fatal(err)
	}
	h.accessRefused(t, invalidToken, ended.Token)
	h.accessGood(t, other.Token)
	h.exec(t, `DELETE FROM users`)
	h.accessRefused(t, invalidToken, other.Token)
}

// TestSessionLifetime: the absolute limit ends a session that was refreshed all the time.
func TestSessionLifetime(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(_ *Settings, ts *tokens.Settings) { ts.SessionLifetime = 10 * time.Minute })
	h.ada(t)
	first := h.login(t)
	h.advance(9 * time.Minute)
	s := h.refresh(t, first.RefreshToken)
	if limit := first.Payload.IssuedAt + 600; first.RefreshExpiresIn != limit || s.RefreshExpiresIn != limit {
		t.Errorf("refresh tokens end at %d and %d, want %d", first.RefreshExpiresIn, s.RefreshExpiresIn, limit)
	}
	h.accessGood(t, s.Token)
	h.advance(time.Minute)
	h.accessRefused(t, expiredToken, s.Token) // it was given no more time than the session had
	h.refused(t, invalidToken, h.tryRefresh(t, s.RefreshToken))
}

// TestSessionsPerUser: one too many ends the oldest, of that user only.
func TestSessionsPerUser(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(_ *Settings, ts *tokens.Settings) { ts.SessionsPerUser = 2 })
	h.ada(t)
	first := h.login(t)
	h.advance(time.Millisecond)
	second := h.login(t)
	if _, err := h.Register(t.Context(), registration("bob@example.com", "bob", password, password)); err != nil {
		t.Fatal(err)
	}
	h.accessGood(t, first.Token)
	third := h.login(t)
	h.mails(t)
	h.accessRefused(t, invalidToken, first.Token)
	h.refused(t, invalidToken, h.tryRefresh(t, first.RefreshToken))
	h.accessGood(t, second.Token)
	h.accessGood(t, third.Token)
}
