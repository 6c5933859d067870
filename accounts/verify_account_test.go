package accounts

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"accountd/tokens"
)

// unverified adds ada, whose address is still to be confirmed.
func (h *harness) unverified(t *testing.T) *account {
	t.Helper()
	return h.add(t, AddUserInput{Username: "ada", Email: "Ada@example.com", SecondaryEmail: "Ada2@example.com"})
}

// action makes a token. Its epoch counts from the present one of its user.
func (h *harness) action(t *testing.T, a tokens.Action) string {
	t.Helper()
	token, err := h.tokens.SignAction(h.ofNow(t, a))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// ofNow adds the present epoch of its user to that of a token.
func (h *harness) ofNow(t *testing.T, a tokens.Action) tokens.Action {
	t.Helper()
	u, err := h.lookUp(t.Context(), strconv.FormatInt(a.User, 10))
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		t.Fatal(err)
	case a.Purpose == tokens.PasswordReset || a.Purpose == tokens.PasswordSet:
		a.Epoch += u.credentialEpoch
	default:
		a.Epoch += u.secondaryEpoch
	}
	return a
}

func (h *harness) verify(t *testing.T, token string) func() error {
	return func() error { return h.VerifyAccount(t.Context(), TokenInput{token}) }
}

func TestVerifyAccount(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	u := h.unverified(t)
	token := h.action(t, tokens.Action{Purpose: tokens.Activation, User: u.ID, Address: "ada@example.com"})
	another := h.action(t, tokens.Action{Purpose: tokens.Activation, User: u.ID, Address: "ada@example.com"})
	h.advance(week)
	if err := h.VerifyAccount(t.Context(), TokenInput{token}); err != nil {
		t.Fatal(err)
	}
	h.happened(t, "user_verified 1")
	if !h.user(t, "ada").Verified {
		t.Error("got an unverified account, want it verified")
	}
	h.refused(t, alreadyVerified, h.verify(t, token))
	h.refused(t, alreadyVerified, h.verify(t, another))
	h.advance(time.Second)
	h.refused(t, expiredToken, h.verify(t, token))
}

// TestVerifyAccountRefusals: each token is wrong in all the ways that come later in the order, too.
func TestVerifyAccountRefusals(t *testing.T) {
	t.Parallel()
	activation := tokens.Action{Purpose: tokens.Activation, User: 1, Address: "ada@example.com"}
	reset := tokens.Action{Purpose: tokens.PasswordReset, User: 99, Address: "stale@example.com"}
	nobody := tokens.Action{Purpose: tokens.Activation, User: 99, Address: "stale@example.com"}
	stale := tokens.Action{Purpose: tokens.Activation, User: 1, Address: "stale@example.com"}
	tests := []struct {
		name string
		make func(t *testing.T, h *harness) string
		want Errors
	}{
		{"empty", func(t *testing.T, h *harness) string { return "" }, invalidToken},
		{"garbage", func(t *testing.T, h *harness) string { return "garbage" }, invalidToken},
		{"huge", func(t *testing.T, h *harness) string { return strings.Repeat("A", 1<<20) }, invalidToken},
		{"access token", func(t *testing.T, h *harness) string { return h.login(t).Token }, invalidToken},
		{"altered and old", func(t *testing.T, h *harness) string {
			token := h.action(t, activation)
			h.advance(week + time.Second)
			return "B" + token[1:]
		}, invalidToken},
		{"another service's", func(t *testing.T, _ *harness) string { return newHarness(t).action(t, activation) },
			invalidToken},
		{"old", func(t *testing.T, h *harness) string {
			token := h.action(t, activation)
			h.advance(week + time.Second)
			return token
		}, expiredToken},
		{"old, for something else, of nobody", func(t *testing.T, h *harness) string {
			token := h.action(t, reset)
			h.advance(week + time.Second)
			return token
		}, expiredToken},
		{"old, of a verified user", func(t *testing.T, h *harness) string {
			token := h.action(t, activation)
			h.set(t, 1, "verified", 1)
			h.advance(week + time.Second)
			return token
		}, expiredToken},
		{"for something else, of a verified user", func(t *testing.T, h *harness) string {
			h.set(t, 1, "verified", 1)
			return h.action(t, tokens.Action{Purpose: tokens.SecondaryEmail, User: 1, Address: "ada@example.com"})
		}, invalidToken},
		{"of nobody", func(t *testing.T, h *harness) string { return h.action(t, nobody) }, invalidToken},
		{"of an inactive user", func(t *testing.T, h *harness) string {
			h.set(t, 1, "is_active", 0)
			return h.action(t, activation)
		}, invalidToken},
		{"of an inactive verified user", func(t *testing.T, h *harness) string {
			h.set(t, 1, "is_active", 0)
			h.set(t, 1, "verified", 1)
			return h.action(t, activation)
		}, invalidToken},
		{"stale, of a verified user", func(t *testing.T, h *harness) string {
			h.set(t, 1, "verified", 1)
			return h.action(t, stale)
		}, alreadyVerified},
		{"stale", func(t *testing.T, h *harness) string { return h.action(t, stale) }, invalidToken},
		{"made for the secondary address", func(t *testing.T, h *harness) string {
			return h.action(t, tokens.Action{Purpose: tokens.Activation, User: 1, Address: "ada2@example.com"})
		}, invalidToken},
		{"the address changed since", func(t *testing.T, h *harness) string {
			token := h.action(t, activation)
			h.move(t, 1, "new@example.com")
			return token
		}, invalidToken},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := newHarness(t)
			h.unverified(t)
			h.refused(t, test.want, h.verify(t, test.make(t, h)))
		})
	}
}

// TestActivationDoesNotComeBack: when an operator withdraws a verification, earlier links stay invalid, used or not.
func TestActivationDoesNotComeBack(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.unverified(t)
	link := func() string {
		l, err := h.Link(t.Context(), tokens.Activation, "ada", "")
		if err != nil {
			t.Fatal(err)
		}
		return l.Token
	}
	set := func(in SetUserInput) {
		if _, err := h.SetUser(t.Context(), "ada", in); err != nil {
			t.Fatal(err)
		}
	}
	used, other := link(), link()
	if err := h.verify(t, used)(); err != nil {
		t.Fatal(err)
	}
	h.happened(t, "user_verified 1")
	set(SetUserInput{Verified: ptr(false)})
	h.refused(t, invalidToken, h.verify(t, used))
	h.refused(t, invalidToken, h.verify(t, other))
	before := link()
	set(SetUserInput{Email: ptr("new@example.com")})
	set(SetUserInput{Email: ptr("Ada@example.com")})
	h.refused(t, invalidToken, h.verify(t, before))
	next := link()
	set(SetUserInput{Verified: ptr(false), FirstName: ptr("Ada")}) // as it is
	if err := h.verify(t, next)(); err != nil {
		t.Error(err)
	}
	h.happened(t, "user_verified 1")
	if err := h.ResendActivationEmail(t.Context(), EmailInput{"ada@example.com"}); err != nil ||
		len(h.mails(t)) != 0 {
		t.Errorf("error %v, want none and no mail", err)
	}
}

func TestVerifyAccountAtOnce(t *testing.T) {
	t.Parallel()
	const n = 100
	h := newHarness(t)
	token := h.action(t, tokens.Action{Purpose: tokens.Activation, User: h.unverified(t).ID,
		Address: "ada@example.com"})
	errs := atOnce(n, func(int) error { return h.verify(t, token)() })
	if good, refused := verdicts(t, errs, alreadyVerified); good != 1 || refused != n-1 {
		t.Errorf("%d verified, %d refused, want 1 and %d", good, refused, n-1)
	}
	h.happened(t, "user_verified 1")
}
