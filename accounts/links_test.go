package accounts

import (
	"testing"

	"accountd/tokens"
)

// redeemers are the operations that take the token of a mail.
func (h *harness) redeemers(t *testing.T) map[tokens.Purpose]func(token string) func() error {
	return map[tokens.Purpose]func(token string) func() error{
		tokens.Activation:     func(token string) func() error { return h.verify(t, token) },
		tokens.PasswordReset:  func(token string) func() error { return h.reset(t, token, newPassword) },
		tokens.PasswordSet:    func(token string) func() error { return h.setFirst(t, token, newPassword) },
		tokens.SecondaryEmail: func(token string) func() error { return h.confirm(t, token) },
	}
}

// TestTokensWorkForOneThing: every kind of token in every operation that takes one.
func TestTokensWorkForOneThing(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.add(t, AddUserInput{Username: "ada", Email: "ada@example.com"})
	session := h.login(t)
	h.set(t, 1, "password", "")
	h.events(t)
	made := map[string]string{"access": session.Token, "refresh": session.RefreshToken}
	for purpose := range h.redeemers(t) {
		link, err := h.Link(t.Context(), purpose, "ada", "new@example.com")
		if err != nil {
			t.Fatal(err)
		}
		made[string(purpose)] = link.Token
	}
	takers := map[string]func(token string) func() error{
		"access": func(token string) func() error {
			return func() error { _, err := h.VerifyToken(t.Context(), AccessTokenInput{token}); return err }
		},
		"refresh": func(token string) func() error {
			return func() error { _, err := h.RefreshToken(t.Context(), RefreshTokenInput{token}); return err }
		},
		"revoke": func(token string) func() error {
			return func() error { _, err := h.RevokeToken(t.Context(), RefreshTokenInput{token}); return err }
		},
	}
	for purpose, redeem := range h.redeemers(t) {
		takers[string(purpose)] = redeem
	}
	for kind, token := range made {
		for taker, take := range takers {
			if kind != taker && (kind != "refresh" || taker != "revoke") {
				t.Run(kind+" in "+taker, func(t *testing.T) { h.refused(t, invalidToken, take(token)) })
			}
		}
	}
	// Each token works for its own operation. The order matters: a new password revokes all links.
	for _, kind := range []string{"activation", "secondary_email", "access", "refresh", "password_set"} {
		if err := takers[kind](made[kind])(); err != nil {
			t.Errorf("%s: error %v, want none", kind, err)
		}
	}
}

// TestLinksDie: each event that an outstanding link has to survive or not.
func TestLinksDie(t *testing.T) {
	t.Parallel()
	const reset, secondary = tokens.PasswordReset, tokens.SecondaryEmail
	own := func(name string) func(*testing.T, *harness) {
		return func(t *testing.T, h *harness) {
			token := h.login(t).Token
			h.succeed(t, name, token)
		}
	}
	tests := []struct {
		name string
		do   func(t *testing.T, h *harness)
		dead map[tokens.Purpose]bool
	}{
		{"nothing", func(*testing.T, *harness) {}, nil},
		{"failed login", func(t *testing.T, h *harness) { _ = h.tryLogin(t, byUsername("ada", "wrong"))() }, nil},
		{"another link", func(t *testing.T, h *harness) { _ = h.sendReset(t, "ada@example.com")(); h.mails(t) }, nil},
		{"login", func(t *testing.T, h *harness) { h.login(t) }, map[tokens.Purpose]bool{reset: true}},
		{"passwordChange", own("ChangePassword"), map[tokens.Purpose]bool{reset: true, secondary: true}},
		{"passwordReset", func(t *testing.T, h *harness) {
			link, err := h.Link(t.Context(), reset, "ada", "")
			if err != nil {
				t.Fatal(err)
			}
			if err := h.reset(t, link.Token, password)(); err != nil {
				t.Fatal(err)
			}
		}, map[tokens.Purpose]bool{reset: true, secondary: true}},
		{"archive", own("Archive"), map[tokens.Purpose]bool{reset: true}},
		{"swap", own("SwapEmails"), map[tokens.Purpose]bool{reset: true, secondary: true}},
		{"swap and back", func(t *testing.T, h *harness) { own("SwapEmails")(t, h); own("SwapEmails")(t, h) },
			map[tokens.Purpose]bool{reset: true, secondary: true}},
		{"removal", own("RemoveSecondaryEmail"), map[tokens.Purpose]bool{reset: true, secondary: true}},
		{"another secondary", func(t *testing.T, h *harness) {
			if err := h.confirm(t, h.action(t, tokens.Action{Purpose: secondary, User: 1,
				Address: "third@example.com"}))(); err != nil {
				t.Fatal(err)
			}
		}, map[tokens.Purpose]bool{reset: true, secondary: true}},
		{"deleted and back", func(t *testing.T, h *harness) {
			own("Delete")(t, h)
			h.set(t, 1, "is_active", 1)
		}, map[tokens.Purpose]bool{reset: true, secondary: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, purpose := range []tokens.Purpose{reset, secondary} {
				h := newHarness(t)
				h.ada(t)
				link, err := h.Link(t.Context(), purpose, "ada", "new@example.com")
				if err != nil {
					t.Fatal(err)
				}
				test.do(t, h)
				h.events(t)
				use := h.redeemers(t)[purpose](link.Token)
				if test.dead[purpose] {
					h.refused(t, invalidToken, use)
				} else if err := use(); err != nil {
					t.Errorf("%s: error %v, want none", purpose, err)
				}
			}
		})
	}
}
