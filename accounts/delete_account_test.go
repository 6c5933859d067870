package accounts

import (
	"testing"

	"accountd/tokens"
)

func deletePermanently(s *Settings, _ *tokens.Settings) { s.DeletePermanently = true }

func TestDelete(t *testing.T) {
	t.Parallel()
	h := newHarness(t, notices)
	h.ada(t)
	other, caller := h.login(t), h.login(t)
	h.events(t)
	h.fillOutbox(t)
	before := h.user(t, "ada")
	h.succeed(t, "Delete", caller.Token)
	h.happened(t, "account_deleted 1")
	h.sent(t, notice("Ada@example.com", deletedNotice), notice("Ada2@example.com", deletedNotice))
	after := h.user(t, "ada")
	before.IsActive = false
	leapt(t, before, after, true, true)
	sameUser(t, before, after)
	h.dead(t, other)
	h.dead(t, caller)
	h.emptyOutbox(t)
	h.refused(t, invalidCredentials, h.tryLogin(t, byUsername("ada", password)))
	h.refused(t, nil, h.sendReset(t, "ada@example.com"))
	register := func(in RegisterInput) func() error {
		return func() error { _, err := h.Register(t.Context(), in); return err }
	}
	h.refused(t, usernameInUse, register(registration("new@example.com", "ada", password, password)))
	h.refused(t, emailInUse, register(registration("ada@example.com", "new", password, password)))
	h.refused(t, emailInUse, register(registration("ada2@example.com", "new", password, password)))
}

// TestDeletePermanently: no row is left, the names are free, and their next holder inherits nothing.
func TestDeletePermanently(t *testing.T) {
	t.Parallel()
	h := newHarness(t, notices, deletePermanently)
	h.ada(t)
	h.add(t, AddUserInput{Username: "bob", Email: "bob@example.com", Verified: true})
	bob := h.user(t, "bob")
	other, caller := h.login(t), h.login(t)
	links := map[tokens.Purpose]string{}
	for _, purpose := range []tokens.Purpose{tokens.Activation, tokens.PasswordReset, tokens.PasswordSet,
		tokens.SecondaryEmail} {
		link, err := h.Link(t.Context(), purpose, "ada", "new@example.com")
		if err != nil {
			t.Fatal(err)
		}
		links[purpose] = link.Token
	}
	h.events(t)
	h.succeed(t, "Delete", caller.Token)
	h.happened(t, "account_deleted 1")
	h.sent(t, notice("Ada@example.com", deletedNotice), notice("Ada2@example.com", deletedNotice))
	for table, column := range map[string]string{"users": "id", "user_status": "user_id", "addresses": "user_id",
		"sessions": "user_id"} {
		if n := h.count(t, `SELECT count(*) FROM `+table+` WHERE `+column+` = 1`); n != 0 {
			t.Errorf("%d rows left in %s, want none", n, table)
		}
	}
	if n := h.count(t, `SELECT count(*) FROM refresh_tokens`); n != 0 {
		t.Errorf("%d refresh tokens left, want 0", n)
	}
	sameUser(t, bob, h.user(t, "bob"))
	if _, err := h.Register(t.Context(), registration("Ada@example.com", "ada", newPassword, newPassword)); err != nil {
		t.Fatal(err)
	}
	if u := h.user(t, "ada"); u.ID <= 2 {
		t.Errorf("id %d, want one that was never used", u.ID)
	}
	h.activation(t, "Ada@example.com")
	h.events(t)
	h.dead(t, other)
	h.dead(t, caller)
	h.refused(t, invalidToken, h.verify(t, links[tokens.Activation]))
	h.refused(t, invalidToken, h.reset(t, links[tokens.PasswordReset], password))
	h.refused(t, invalidToken, h.setFirst(t, links[tokens.PasswordSet], password))
	h.refused(t, invalidToken, h.confirm(t, links[tokens.SecondaryEmail]))
	h.refused(t, invalidCredentials, h.tryLogin(t, byUsername("ada", password)))
}

// TestDeleteMeetsRefresh: in either order no session is live afterwards.
func TestDeleteMeetsRefresh(t *testing.T) {
	t.Parallel()
	for i := range 20 {
		h := newHarness(t, func(s *Settings, _ *tokens.Settings) { s.DeletePermanently = i%2 == 0 })
		h.ada(t)
		caller, other := h.login(t), h.login(t)
		ops := []func() error{h.own(t, operation(t, "Delete"), caller.Token, password), func() error {
			out, err := h.RefreshToken(t.Context(), RefreshTokenInput{other.RefreshToken})
			if err == nil {
				*other = *out
			}
			return err
		}}
		errs := atOnce(2, func(i int) error { return ops[i]() })
		if errs[0] != nil || errs[1] != nil && !equalErrors(errs[1], invalidToken) {
			t.Errorf("errors %v, want none for the deletion, and none or %v for the refresh", errs, invalidToken)
		}
		h.dead(t, other)
		if live := h.live(t, 1); live != 0 {
			t.Errorf("%d sessions, want 0", live)
		}
	}
}
