package accounts

import (
	"testing"
	"time"

	"accountd/tokens"
)

func (h *harness) tryRefresh(t *testing.T, token string) func() error {
	return func() error {
		out, err := h.RefreshToken(t.Context(), RefreshTokenInput{token})
		if err != nil && out != nil {
			t.Errorf("got %+v beside an error, want nothing", out)
		}
		return err
	}
}

func (h *harness) refresh(t *testing.T, token string) *Session {
	t.Helper()
	out, err := h.RefreshToken(t.Context(), RefreshTokenInput{token})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRefreshToken(t *testing.T) {
	t.Parallel()
	h := newHarness(t, notices)
	ada := h.ada(t)
	first := h.login(t)
	before := h.user(t, "ada")
	h.events(t)
	h.advance(time.Hour)
	second := h.refresh(t, first.RefreshToken)
	h.happened(t, "refresh_token_rotated 1")
	now := h.now().Unix()
	want := tokens.Claims{Username: "ada", Subject: ada.ID, Session: first.Payload.Session, ExpiresAt: now + 300,
		IssuedAt: now, OrigIssuedAt: first.Payload.IssuedAt}
	if *second.Payload != want || second.RefreshExpiresIn != now+int64(week/time.Second) ||
		second.RefreshToken == first.RefreshToken || second.User != nil {
		t.Errorf("%+v with payload %+v, want %+v", second, second.Payload, want)
	}
	h.accessGood(t, second.Token)
	if after := h.user(t, "ada"); !after.LastLogin.Equal(*before.LastLogin) ||
		after.credentialEpoch != before.credentialEpoch {
		t.Errorf("user %+v, want last login and epoch as before", after)
	}
	// Two tabs, or a lost reply: the same successor, during the grace period and until the successor is used.
	for _, wait := range []time.Duration{20 * time.Second, time.Hour} {
		h.advance(wait)
		if again := h.refresh(t, first.RefreshToken); again.RefreshToken != second.RefreshToken {
			t.Errorf("after %v: refresh token %q, want %q", wait, again.RefreshToken, second.RefreshToken)
		}
	}
	third := h.refresh(t, second.RefreshToken)
	h.events(t)
	// Now the first one can only have been stolen, one way or the other.
	if err := h.tryRefresh(t, first.RefreshToken)(); err == nil || err.Error() != invalidToken.Error() {
		t.Errorf("a stolen token: error %v, want %v", err, invalidToken)
	}
	h.happened(t, "refresh_token_reused 1")
	const loggedOut = "You have been logged out of Acme"
	h.sent(t, notice("Ada@example.com", loggedOut), notice("Ada2@example.com", loggedOut))
	h.accessRefused(t, invalidToken, third.Token)
	for _, token := range []string{first.RefreshToken, second.RefreshToken, third.RefreshToken} {
		h.refused(t, invalidToken, h.tryRefresh(t, token))
	}
}

func TestRefreshTokenRefusals(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	ada := h.ada(t)
	s, revoked := h.login(t), h.login(t)
	if _, err := h.RevokeToken(t.Context(), RefreshTokenInput{revoked.RefreshToken}); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", " ", "garbage", s.Token, s.RefreshToken + "A", " " + s.RefreshToken,
		revoked.RefreshToken} {
		h.refused(t, invalidToken, h.tryRefresh(t, bad))
	}
	for _, change := range []struct {
		column    string
		bad, good int
	}{{"is_active", 0, 1}, {"archived", 1, 0}} {
		h.set(t, ada.ID, change.column, change.bad)
		h.refused(t, invalidToken, h.tryRefresh(t, s.RefreshToken))
		h.set(t, ada.ID, change.column, change.good)
	}
	h.set(t, ada.ID, "verified", 0) // may log in, so may go on; and none of the refusals burned the token
	s = h.refresh(t, s.RefreshToken)
	h.advance(week)
	h.refused(t, invalidToken, h.tryRefresh(t, s.RefreshToken))
}

func TestRefreshTokenSettings(t *testing.T) {
	t.Parallel()
	t.Run("unverified users may not log in", func(t *testing.T) {
		h := newHarness(t, verifiedLoginsOnly)
		ada := h.ada(t)
		s := h.login(t)
		h.set(t, ada.ID, "verified", 0)
		h.refused(t, invalidToken, h.tryRefresh(t, s.RefreshToken))
		h.accessGood(t, s.Token)
		h.set(t, ada.ID, "verified", 1)
		h.refresh(t, s.RefreshToken)
	})
	t.Run("no refresh tokens", func(t *testing.T) {
		h := newHarness(t, noRefreshTokens)
		h.ada(t)
		s := h.login(t)
		for _, token := range []string{"", s.Token} {
			h.refused(t, invalidToken, h.tryRefresh(t, token))
		}
	})
}

// TestRefreshTokenAtOnce: many tabs wake up with one token and stay on one branch.
func TestRefreshTokenAtOnce(t *testing.T) {
	t.Parallel()
	const n = 100
	h := newHarness(t)
	h.ada(t)
	first := h.login(t)
	out := make([]*Session, n)
	errs := atOnce(n, func(i int) (err error) {
		out[i], err = h.RefreshToken(t.Context(), RefreshTokenInput{first.RefreshToken})
		return err
	})
	if good, _ := verdicts(t, errs, nil); good != n {
		t.Fatalf("%d got a token, want %d", good, n)
	}
	for _, s := range out {
		if s.RefreshToken != out[0].RefreshToken || s.RefreshToken == first.RefreshToken {
			t.Fatalf("refresh tokens %q and %q, want one new token", s.RefreshToken, out[0].RefreshToken)
		}
	}
	h.accessGood(t, out[n-1].Token)
	if leaves := h.count(t, `SELECT count(*) FROM refresh_tokens WHERE rotated_at IS NULL`); leaves != 1 {
		t.Errorf("%d live leaves, want 1", leaves)
	}
	if all := h.count(t, `SELECT count(*) FROM refresh_tokens`); all != 2 {
		t.Errorf("%d refresh tokens, want the first and its successor", all)
	}
}

func withoutRefreshTokens(_ *Settings, ts *tokens.Settings) { ts.LongRunning = false }

func (h *harness) tryRefreshAccess(t *testing.T, token string) func() error {
	return func() error {
		out, err := h.RefreshAccessToken(t.Context(), AccessTokenInput{token})
		if err != nil && out != nil {
			t.Errorf("got %+v beside an error, want nothing", out)
		}
		return err
	}
}

func TestRefreshAccessToken(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withoutRefreshTokens)
	ada := h.ada(t)
	s := h.login(t)
	before := h.dump(t)
	h.events(t)
	h.advance(time.Minute)
	out, err := h.RefreshAccessToken(t.Context(), AccessTokenInput{s.Token})
	if err != nil || out.Payload.Session != s.Payload.Session || out.Payload.OrigIssuedAt != s.Payload.OrigIssuedAt ||
		out.RefreshToken != "" ||
		out.RefreshExpiresIn != s.Payload.OrigIssuedAt+int64(week/time.Second) {
		t.Fatalf("session %+v, error %v, want the next access token", out, err)
	}
	h.happened(t, "token_refreshed 1")
	h.accessGood(t, out.Token)
	if after := h.dump(t); len(after["refresh_tokens"]) > 0 || len(after["sessions"]) != len(before["sessions"]) {
		t.Errorf("rows %+v, want no refresh token and no further session", after)
	}

	for _, bad := range []string{"", "garbage", s.Token + "A"} {
		h.refused(t, invalidToken, h.tryRefreshAccess(t, bad))
	}
	for _, change := range []struct {
		column    string
		bad, good int
	}{{"is_active", 0, 1}, {"archived", 1, 0}} {
		h.set(t, ada.ID, change.column, change.bad)
		h.refused(t, invalidToken, h.tryRefreshAccess(t, s.Token))
		h.set(t, ada.ID, change.column, change.good)
	}
	h.set(t, ada.ID, "verified", 0) // may log in, so may go on
	if err := h.tryRefreshAccess(t, s.Token)(); err != nil {
		t.Error(err)
	}
	h.advance(4 * time.Minute)
	h.refused(t, invalidToken, h.tryRefreshAccess(t, s.Token)) // expired
	h.exec(t, `DELETE FROM users`)
	h.refused(t, invalidToken, h.tryRefreshAccess(t, out.Token))
}

func TestRefreshAccessTokenUnverified(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withoutRefreshTokens, verifiedLoginsOnly)
	ada := h.ada(t)
	s := h.login(t)
	h.set(t, ada.ID, "verified", 0)
	h.refused(t, invalidToken, h.tryRefreshAccess(t, s.Token))
	h.set(t, ada.ID, "verified", 1)
	if err := h.tryRefreshAccess(t, s.Token)(); err != nil {
		t.Error(err)
	}
}

// TestKeptRefreshToken: without rotation a refresh logs another event, and the same users are refused.
func TestKeptRefreshToken(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(_ *Settings, ts *tokens.Settings) { ts.Rotation = "keep" })
	ada := h.ada(t)
	s := h.login(t)
	h.events(t)
	h.advance(time.Hour)
	next := h.refresh(t, s.RefreshToken)
	h.happened(t, "token_refreshed 1")
	if next.RefreshToken != s.RefreshToken || next.RefreshExpiresIn != h.now().Add(week).Unix() {
		t.Errorf("session %+v, want the same refresh token", next)
	}
	h.set(t, ada.ID, "archived", 1)
	h.refused(t, invalidToken, h.tryRefresh(t, s.RefreshToken))
	h.set(t, ada.ID, "archived", 0)
	if n := h.count(t, `SELECT count(*) FROM refresh_tokens`); n != 1 {
		t.Errorf("%d refresh tokens, want 1", n)
	}
	if err := h.tryRevoke(t, s.RefreshToken)(); err != nil {
		t.Fatal(err)
	}
	h.events(t)
	h.refused(t, invalidToken, h.tryRefresh(t, s.RefreshToken))
	h.accessRefused(t, invalidToken, next.Token)
}
