package accounts

import (
	"testing"

	"accountd/tokens"
)

// TestRevokeAll: all sessions end, links of every kind are revoked, no mail waits, and every epoch moves.
func TestRevokeAll(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	u := h.ada(t)
	session := h.login(t)
	bob := h.add(t, AddUserInput{Username: "bob", Email: "bob@example.com"})
	var links []string
	for _, kind := range []tokens.Purpose{tokens.Activation, tokens.PasswordReset} {
		ref := "ada"
		if kind == tokens.Activation {
			ref = "bob"
		}
		link, err := h.Link(t.Context(), kind, ref, "")
		if err != nil {
			t.Fatal(err)
		}
		links = append(links, link.Token)
	}
	h.exec(t, `INSERT INTO outbox (name, created_at, message) VALUES ('a.eml', 1, x'00')`)
	before := []*account{h.user(t, "ada"), h.user(t, "bob")}
	leaptAll := func() {
		t.Helper()
		for _, want := range before {
			got := h.user(t, want.Username)
			leapt(t, want, got, true, true)
			sameUser(t, want, got)
		}
	}
	out, err := RevokeAll(t.Context(), h.db, map[string]int64{"users": 40, "sessions": 50}, "restored from a backup")
	if err != nil || out != (Revoked{Sessions: 1, Mails: 1}) {
		t.Fatalf("revoked %+v, error %v, want one session and one mail", out, err)
	}
	leaptAll()
	h.refused(t, invalidToken, func() error { return h.VerifyAccount(t.Context(), TokenInput{links[0]}) })
	h.refused(t, invalidToken, func() error {
		return h.ResetPassword(t.Context(), NewPasswordInput{links[1], "other-otter-42", "other-otter-42"})
	})
	h.refused(t, invalidToken, func() error {
		_, err := h.RefreshToken(t.Context(), RefreshTokenInput{session.RefreshToken})
		return err
	})
	if n := h.count(t,
		`SELECT count(*) FROM sessions WHERE ended_at IS NULL OR end_reason <> 'restored from a backup'`); n != 0 {
		t.Errorf("%d sessions go on, want 0", n)
	}
	if kim := h.add(t, AddUserInput{Username: "kim", Email: "kim@example.com"}); kim.ID != 41 {
		t.Errorf("after %d, %d and 40: id %d, want 41", u.ID, bob.ID, kim.ID)
	}
	if _, err := RevokeAll(t.Context(), h.db, nil, "restored from a backup"); err != nil {
		t.Error(err)
	}
	leaptAll()
	h.login(t) // the password is as it was
}
