package accounts

import (
	"strings"
	"testing"
	"time"

	"accountd/tokens"
)

func (h *harness) tryRefresh(t *testing.T, token *string) func() error {
	return func() error {
		out, err := h.RefreshToken(t.Context(), RefreshTokenInput{token})
		if err != nil && out != nil {
			t.Errorf("beside the error: %+v", out)
		}
		return err
	}
}

func (h *harness) refresh(t *testing.T, token string) *Session {
	t.Helper()
	out, err := h.RefreshToken(t.Context(), RefreshTokenInput{&token})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (h *harness) tryRevoke(t *testing.T, token *string) func() error {
	return func() error { _, err := h.RevokeToken(t.Context(), RevokeTokenInput{token}); return err }
}

// accessRefused checks what a token is told by verifyToken, and that it makes nobody a viewer.
func (h *harness) accessRefused(t *testing.T, want error, token *string) {
	t.Helper()
	h.refused(t, want, func() error { _, err := h.VerifyToken(t.Context(), VerifyTokenInput{token}); return err })
	h.refused(t, nil, func() error {
		u, err := h.Viewer(t.Context(), given(token))
		if u != nil {
			t.Errorf("%q is %s's", given(token), u.Username)
		}
		return err
	})
}

func (h *harness) accessGood(t *testing.T, token string) {
	t.Helper()
	if u, err := h.Viewer(t.Context(), token); err != nil || u == nil || u.Username != "ada" {
		t.Errorf("viewer %+v, %v", u, err)
	}
	if _, err := h.VerifyToken(t.Context(), VerifyTokenInput{&token}); err != nil {
		t.Errorf("verifyToken: %v", err)
	}
}

// TestAccessToken: who a token authenticates, asked by verifyToken and by every protected field.
func TestAccessToken(t *testing.T) {
	h := newHarness(t)
	ada := h.ada(t)
	h.add(t, AddUserInput{Username: "bob", Email: "bob@example.com"})
	s := h.login(t)
	h.accessGood(t, s.Token)
	out, err := h.VerifyToken(t.Context(), VerifyTokenInput{&s.Token})
	if err != nil || *out.Payload != *s.Payload || out.Token != "" || out.RefreshToken != "" || out.User != nil {
		t.Errorf("verifyToken gives %+v, %v", out, err)
	}

	action := h.action(t, tokens.Action{Purpose: tokens.Activation, User: ada.ID, Address: "ada@example.com"})
	altered := strings.Replace(s.Token, ".", ".A", 1)
	foreign := newHarness(t)
	foreign.ada(t)
	for _, bad := range []string{"", "garbage", "..", altered, s.RefreshToken, action, foreign.login(t).Token} {
		h.accessRefused(t, invalidToken, &bad)
	}
	h.accessRefused(t, invalidToken, nil)

	for _, column := range []string{"archived", "verified"} { // authenticated like any other
		h.set(t, ada.ID, "archived", column == "archived")
		h.set(t, ada.ID, "verified", column != "verified")
		h.accessGood(t, s.Token)
	}
	h.set(t, ada.ID, "is_active", 0)
	h.accessRefused(t, invalidToken, &s.Token)
	h.set(t, ada.ID, "is_active", 1)
	h.exec(t, `UPDATE sessions SET user_id = 2`) // somebody else's session
	h.accessRefused(t, invalidToken, &s.Token)
	h.exec(t, `UPDATE sessions SET user_id = 1`)
	h.advance(5*time.Minute - time.Second)
	h.accessGood(t, s.Token)
	h.advance(time.Second)
	h.accessRefused(t, expiredToken, &s.Token)
	h.set(t, ada.ID, "is_active", 0)
	h.accessRefused(t, expiredToken, &s.Token) // age comes before session and user
}

func TestAccessTokenEndsWithItsSession(t *testing.T) {
	h := newHarness(t)
	h.ada(t)
	ended, other := h.login(t), h.login(t)
	if _, err := h.RevokeToken(t.Context(), RevokeTokenInput{&ended.RefreshToken}); err != nil {
		t.Fatal(err)
	}
	h.accessRefused(t, invalidToken, &ended.Token)
	h.accessGood(t, other.Token)
	h.exec(t, `DELETE FROM users`)
	h.accessRefused(t, invalidToken, &other.Token)
}

// TestSessionLifetime: the absolute limit ends a session that was refreshed all the time.
func TestSessionLifetime(t *testing.T) {
	h := newHarness(t, func(_ *Settings, ts *tokens.Settings) { ts.SessionLifetime = 10 * time.Minute })
	h.ada(t)
	first := h.login(t)
	h.advance(9 * time.Minute)
	s := h.refresh(t, first.RefreshToken)
	if limit := first.Payload.IssuedAt + 600; first.RefreshExpiresIn != limit || s.RefreshExpiresIn != limit {
		t.Errorf("refresh tokens end at %d and %d, the session at %d", first.RefreshExpiresIn, s.RefreshExpiresIn, limit)
	}
	h.accessGood(t, s.Token)
	h.advance(time.Minute)
	h.accessRefused(t, expiredToken, &s.Token) // it was given no more time than the session had
	h.refused(t, invalidToken, h.tryRefresh(t, &s.RefreshToken))
}

// TestSessionsPerUser: one too many ends the oldest, of that user only.
func TestSessionsPerUser(t *testing.T) {
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
	h.accessRefused(t, invalidToken, &first.Token)
	h.refused(t, invalidToken, h.tryRefresh(t, &first.RefreshToken))
	h.accessGood(t, second.Token)
	h.accessGood(t, third.Token)
}

func TestRefreshToken(t *testing.T) {
	h := newHarness(t, notices)
	ada := h.ada(t)
	first := h.login(t)
	before := h.user(t, "ada")
	h.events(t)
	h.advance(time.Hour)
	second := h.refresh(t, first.RefreshToken)
	h.happened(t, "refresh_token_rotated 1")
	now := h.now().Unix()
	want := tokens.Claims{Username: "ada", Subject: ada.ID, Session: first.Payload.Session, ExpiresAt: now + 300, IssuedAt: now, OrigIssuedAt: first.Payload.IssuedAt}
	if *second.Payload != want || second.RefreshExpiresIn != now+int64(week/time.Second) || second.RefreshToken == first.RefreshToken || second.User != nil {
		t.Errorf("%+v with payload %+v, want %+v", second, second.Payload, want)
	}
	h.accessGood(t, second.Token)
	if after := h.user(t, "ada"); !after.LastLogin.Equal(*before.LastLogin) || after.credentialEpoch != before.credentialEpoch {
		t.Errorf("a refresh is no login: %+v", after)
	}
	// Two tabs, or a lost reply: the same successor, in the grace period and as long as nobody has used it.
	for _, wait := range []time.Duration{20 * time.Second, time.Hour} {
		h.advance(wait)
		if again := h.refresh(t, first.RefreshToken); again.RefreshToken != second.RefreshToken {
			t.Errorf("after %v there is a second branch", wait)
		}
	}
	third := h.refresh(t, second.RefreshToken)
	h.events(t)
	// Now the first one can only have been stolen, one way or the other.
	if err := h.tryRefresh(t, &first.RefreshToken)(); err == nil || err.Error() != invalidToken.Error() {
		t.Errorf("a stolen token: %v", err)
	}
	h.happened(t, "refresh_token_reused 1")
	const loggedOut = "You have been logged out of Acme"
	h.sent(t, notice("Ada@example.com", loggedOut), notice("Ada2@example.com", loggedOut))
	h.accessRefused(t, invalidToken, &third.Token)
	for _, token := range []string{first.RefreshToken, second.RefreshToken, third.RefreshToken} {
		h.refused(t, invalidToken, h.tryRefresh(t, &token))
	}
}

func TestRefreshTokenRefusals(t *testing.T) {
	h := newHarness(t)
	ada := h.ada(t)
	s, revoked := h.login(t), h.login(t)
	if _, err := h.RevokeToken(t.Context(), RevokeTokenInput{&revoked.RefreshToken}); err != nil {
		t.Fatal(err)
	}
	h.refused(t, invalidToken, h.tryRefresh(t, nil))
	for _, bad := range []string{"", " ", "garbage", s.Token, s.RefreshToken + "A", " " + s.RefreshToken, revoked.RefreshToken} {
		h.refused(t, invalidToken, h.tryRefresh(t, &bad))
	}
	for _, change := range []struct {
		column    string
		bad, good int
	}{{"is_active", 0, 1}, {"archived", 1, 0}} {
		h.set(t, ada.ID, change.column, change.bad)
		h.refused(t, invalidToken, h.tryRefresh(t, &s.RefreshToken))
		h.set(t, ada.ID, change.column, change.good)
	}
	h.set(t, ada.ID, "verified", 0) // may log in, so may go on; and none of the refusals burned the token
	s = h.refresh(t, s.RefreshToken)
	h.advance(week)
	h.refused(t, invalidToken, h.tryRefresh(t, &s.RefreshToken))
}

func TestRefreshTokenSettings(t *testing.T) {
	t.Run("unverified users may not log in", func(t *testing.T) {
		h := newHarness(t, verifiedLoginsOnly)
		ada := h.ada(t)
		s := h.login(t)
		h.set(t, ada.ID, "verified", 0)
		h.refused(t, invalidToken, h.tryRefresh(t, &s.RefreshToken))
		h.accessGood(t, s.Token)
		h.set(t, ada.ID, "verified", 1)
		h.refresh(t, s.RefreshToken)
	})
	t.Run("no refresh tokens", func(t *testing.T) {
		h := newHarness(t, noRefreshTokens)
		h.ada(t)
		s := h.login(t)
		for _, token := range []string{"", s.Token} {
			h.refused(t, invalidToken, h.tryRefresh(t, &token))
		}
	})
}

// TestRefreshTokenAtOnce: many tabs wake up with one token and stay on one branch.
func TestRefreshTokenAtOnce(t *testing.T) {
	const n = 100
	h := newHarness(t)
	h.ada(t)
	first := h.login(t)
	out := make([]*Session, n)
	errs := atOnce(n, func(i int) (err error) {
		out[i], err = h.RefreshToken(t.Context(), RefreshTokenInput{&first.RefreshToken})
		return err
	})
	if good, _ := verdicts(t, errs, nil); good != n {
		t.Fatalf("%d of %d got a token", good, n)
	}
	for _, s := range out {
		if s.RefreshToken != out[0].RefreshToken || s.RefreshToken == first.RefreshToken {
			t.Fatalf("%q and %q", s.RefreshToken, out[0].RefreshToken)
		}
	}
	h.accessGood(t, out[n-1].Token)
	if leaves := h.count(t, `SELECT count(*) FROM refresh_tokens WHERE rotated_at IS NULL`); leaves != 1 {
		t.Errorf("%d live leaves", leaves)
	}
	if all := h.count(t, `SELECT count(*) FROM refresh_tokens`); all != 2 {
		t.Errorf("%d refresh tokens, want the first and its successor", all)
	}
}

func TestRevokeToken(t *testing.T) {
	h := newHarness(t)
	ada := h.ada(t)
	s, other := h.login(t), h.login(t)
	h.refused(t, invalidToken, h.tryRevoke(t, nil))
	for _, bad := range []string{"", "garbage", s.Token, s.RefreshToken + " "} {
		h.refused(t, invalidToken, h.tryRevoke(t, &bad))
	}
	h.advance(time.Minute)
	out, err := h.RevokeToken(t.Context(), RevokeTokenInput{&s.RefreshToken})
	if err != nil || out.Revoked != h.now().Unix() {
		t.Fatalf("revoked %+v, %v", out, err)
	}
	h.happened(t, "refresh_token_revoked 1")
	h.refused(t, invalidToken, h.tryRevoke(t, &s.RefreshToken))
	h.refused(t, invalidToken, h.tryRefresh(t, &s.RefreshToken))
	h.accessRefused(t, invalidToken, &s.Token)
	h.accessGood(t, other.Token)

	// A rotated one stands for the whole session, an expired one too, and whoever it belongs to by now.
	next := h.refresh(t, other.RefreshToken)
	h.set(t, ada.ID, "archived", 1)
	if err := h.tryRevoke(t, &other.RefreshToken)(); err != nil {
		t.Errorf("a rotated token: %v", err)
	}
	h.events(t)
	h.accessRefused(t, invalidToken, &next.Token)
	h.refused(t, invalidToken, h.tryRevoke(t, &next.RefreshToken))
	old := h.login(t)
	h.advance(week)
	h.refused(t, invalidToken, h.tryRefresh(t, &old.RefreshToken))
	if err := h.tryRevoke(t, &old.RefreshToken)(); err != nil {
		t.Errorf("an expired token: %v", err)
	}
	h.refused(t, invalidToken, h.tryRevoke(t, &old.RefreshToken))
}

func TestRevokeTokenAtOnce(t *testing.T) {
	const n = 100
	h := newHarness(t)
	h.ada(t)
	s := h.login(t)
	if good, refused := verdicts(t, atOnce(n, func(int) error { return h.tryRevoke(t, &s.RefreshToken)() }), invalidToken); good != 1 || refused != n-1 {
		t.Errorf("%d revoked, %d refused", good, refused)
	}
}
