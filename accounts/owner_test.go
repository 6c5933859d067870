package accounts

import (
	"context"
	"errors"
	"testing"
	"time"

	"accountd/tokens"
)

var (
	unauthenticated   = Errors{"nonFieldErrors": {{"Unauthenticated.", "unauthenticated"}}}
	secondaryRequired = Errors{"nonFieldErrors": {{"You need to setup a secondary email to proceed.",
		"secondary_email_required"}}}
	wrongPassword = []Problem{{"Invalid password.", "invalid_password"}}
)

const newPassword = "brisk-heron-71"

// ownOperation is an operation on one's own account with what its row of the API asks for.
type ownOperation struct {
	name  string
	needs Needs
	field string // of the password
	call  func(s *Service, ctx context.Context, owner Owner) error
}

var ownOperations = []ownOperation{
	{"ChangePassword", NeedsVerified | NeedsPassword, "oldPassword",
		func(s *Service, ctx context.Context, owner Owner) error {
			_, err := s.ChangePassword(ctx, owner, ChangePasswordInput{NewPassword1: newPassword,
				NewPassword2: newPassword})
			return err
		}},
	{"Archive", NeedsVerified | NeedsPassword, "password", func(s *Service, ctx context.Context, owner Owner) error {
		return s.Archive(ctx, owner, PasswordInput{})
	}},
	{"Delete", NeedsVerified | NeedsPassword, "password", func(s *Service, ctx context.Context, owner Owner) error {
		return s.Delete(ctx, owner, PasswordInput{})
	}},
	{"SendSecondaryEmailActivation", NeedsVerified | NeedsPassword, "password",
		func(s *Service, ctx context.Context, owner Owner) error {
			in := SendSecondaryEmailActivationInput{Email: "New@example.com"}
			return s.SendSecondaryEmailActivation(ctx, owner, in)
		}},
	{"SwapEmails", NeedsVerified | NeedsSecondary | NeedsPassword, "password",
		func(s *Service, ctx context.Context, owner Owner) error {
			return s.SwapEmails(ctx, owner, PasswordInput{})
		}},
	{"RemoveSecondaryEmail", NeedsVerified | NeedsSecondary | NeedsPassword, "password",
		func(s *Service, ctx context.Context, owner Owner) error {
			return s.RemoveSecondaryEmail(ctx, owner, PasswordInput{})
		}},
}

func operation(t *testing.T, name string) ownOperation {
	t.Helper()
	for _, op := range ownOperations {
		if op.name == name {
			return op
		}
	}
	t.Fatalf("got no operation %s, want one", name)
	return ownOperation{}
}

// own is an operation for whom an access token belongs to.
func (h *harness) own(t *testing.T, op ownOperation, token, password string) func() error {
	return func() error {
		return h.Caller(token).AsOwner(t.Context(), op.needs, op.field, password, func(owner Owner) error {
			return op.call(h.Service, t.Context(), owner)
		})
	}
}

// succeed runs an operation of ada's with the right password.
func (h *harness) succeed(t *testing.T, name, token string) {
	t.Helper()
	if err := h.own(t, operation(t, name), token, password)(); err != nil {
		t.Fatalf("%s: error %v, want none", name, err)
	}
}

// TestOwnOperationRefusals: each caller lacks everything that is asked for later, too.
func TestOwnOperationRefusals(t *testing.T) {
	t.Parallel()
	for _, op := range ownOperations {
		t.Run(op.name, func(t *testing.T) {
			h := newHarness(t)
			ada := h.ada(t)
			h.add(t, AddUserInput{Username: "single", Email: "single@example.com", Verified: true})
			token := h.login(t).Token
			single, err := h.Login(t.Context(), byUsername("single", password))
			if err != nil {
				t.Fatal(err)
			}
			invalid := Errors{op.field: wrongPassword}
			h.refused(t, unauthenticated, h.own(t, op, "", "wrong"))
			h.refused(t, unauthenticated, h.own(t, op, "garbage", password))
			h.set(t, 2, "verified", 0)
			h.refused(t, notVerified, h.own(t, op, single.Token, "wrong"))
			h.refused(t, notVerified, h.own(t, op, single.Token, password))
			h.set(t, 2, "verified", 1)
			for _, typed := range []string{"wrong", password} {
				switch {
				case op.needs&NeedsSecondary != 0:
					h.refused(t, secondaryRequired, h.own(t, op, single.Token, typed))
				case typed == "wrong":
					h.refused(t, invalid, h.own(t, op, single.Token, typed))
				}
			}
			for _, typed := range []string{"", " ", "wrong", password + " ", " " + password, "QUIET-OTTER-42",
				password + "\x00", ada.password} {
				h.refused(t, invalid, h.own(t, op, token, typed))
			}
			for _, none := range []string{"", "!unusable"} {
				h.set(t, 1, "password", none)
				h.refused(t, invalid, h.own(t, op, token, none))
			}
			h.set(t, 1, "password", ada.password)
			h.fillOutbox(t)
			if op.name == "SendSecondaryEmailActivation" {
				h.refused(t, emailFail, h.own(t, op, token, password))
			}
			h.emptyOutbox(t)
			h.set(t, 1, "is_active", 0)
			h.refused(t, unauthenticated, h.own(t, op, token, password))
			h.set(t, 1, "is_active", 1)
			h.advance(5 * time.Minute) // the access token's end
			h.refused(t, unauthenticated, h.own(t, op, token, password))
		})
	}
}

// TestZeroOwner: the one Owner that AsOwner has not made is refused by every operation.
func TestZeroOwner(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.ada(t)
	for _, op := range ownOperations {
		h.refused(t, unauthenticated, func() error { return op.call(h.Service, t.Context(), Owner{}) })
	}
	h.refused(t, unauthenticated, func() error { return h.UpdateAccount(t.Context(), Owner{}, UpdateAccountInput{}) })
}

// TestPasswordReplacedForEver: the password is compared again a bounded number of times.
func TestPasswordReplacedForEver(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.ada(t)
	caller, runs := h.Caller(h.login(t).Token), 0
	h.refused(t, &BusyError{RetryAfter: time.Second}, func() error {
		return caller.AsOwner(t.Context(), NeedsPassword, "password", password, func(Owner) error {
			runs++
			return errPasswordReplaced
		})
	})
	if want := 1 + maxReplaced; runs != want {
		t.Errorf("the operation ran %d times, want %d", runs, want)
	}
}

// TestOwnOperationMeetsChange: the state of the caller in the transaction counts, not the state when the hash began.
func TestOwnOperationMeetsChange(t *testing.T) {
	t.Parallel()
	changes := []struct {
		name   string
		change func(t *testing.T, h *harness, session *Session)
		want   error // nil: it is done; wrongPassword stands for that of the operation
	}{
		{"session revoked", func(t *testing.T, h *harness, s *Session) {
			if _, err := h.RevokeToken(t.Context(), RefreshTokenInput{s.RefreshToken}); err != nil {
				t.Fatal(err)
			}
		}, unauthenticated},
		{"deactivated", func(t *testing.T, h *harness, _ *Session) { h.set(t, 1, "is_active", 0) }, unauthenticated},
		{"deleted", func(t *testing.T, h *harness, _ *Session) { h.exec(t, `DELETE FROM users`) }, unauthenticated},
		{"unverified", func(t *testing.T, h *harness, _ *Session) { h.set(t, 1, "verified", 0) }, notVerified},
		{"another password", func(t *testing.T, h *harness,
			_ *Session) {
			h.set(t, 1, "password", djangoHash(t, newPassword))
		}, errors.New("wrong password")},
		{"no password", func(t *testing.T, h *harness, _ *Session) { h.set(t, 1, "password", "") },
			errors.New("wrong password")},
		{"another password, session revoked", func(t *testing.T, h *harness, _ *Session) {
			h.set(t, 1, "password", djangoHash(t, newPassword))
			h.exec(t, `UPDATE sessions SET ended_at = 1`)
		}, unauthenticated},
		{"same password, new hash", func(t *testing.T, h *harness,
			_ *Session) {
			h.set(t, 1, "password", djangoHash(t, password))
		}, nil},
		{"archived", func(t *testing.T, h *harness, _ *Session) { h.set(t, 1, "archived", 1) }, nil},
		{"secondary address gone", func(t *testing.T, h *harness, _ *Session) {
			h.exec(t, `UPDATE user_status SET secondary_email = NULL`)
			h.exec(t, `DELETE FROM addresses WHERE canonical = 'ada2@example.com'`)
		}, secondaryRequired},
	}
	for _, op := range ownOperations {
		for _, test := range changes {
			t.Run(op.name+" "+test.name, func(t *testing.T) {
				h := newHarness(t, oneHashAtATime)
				h.ada(t)
				session := h.login(t)
				want := test.want
				switch {
				case want != nil && want.Error() == "wrong password":
					want = Errors{op.field: wrongPassword}
				case test.name == "secondary address gone" && op.needs&NeedsSecondary == 0:
					want = nil
				}
				var changed map[string][]string
				err := h.whileHashing(t, func() {
					test.change(t, h, session)
					changed = h.dump(t)
				}, h.own(t, op, session.Token, password))[0]
				if want == nil {
					if err != nil {
						t.Errorf("error %#v, want none", err)
					}
					return
				}
				if !equalErrors(err, want) {
					t.Errorf("error %#v, want %#v", err, want)
				}
				same(t, changed, h.dump(t))
			})
		}
	}
}

// TestOwnOperationsAtOnce: parallel changes by one caller leave a state that some sequence of them gives.
func TestOwnOperationsAtOnce(t *testing.T) {
	t.Parallel()
	swap, remove := operation(t, "SwapEmails"), operation(t, "RemoveSecondaryEmail")
	for range 10 {
		h := newHarness(t)
		ada := h.ada(t)
		token := h.login(t).Token
		confirm := h.action(t, tokens.Action{Purpose: tokens.SecondaryEmail, User: ada.ID, Address: "New@example.com"})
		ops := []func() error{
			h.own(t, swap, token, password), h.own(t, remove, token, password), h.own(t, swap, token, password),
			func() error { return h.VerifySecondaryEmail(t.Context(), TokenInput{confirm}) },
		}
		for i, err := range atOnce(len(ops), func(i int) error { return ops[i]() }) {
			if err != nil && !equalErrors(err, secondaryRequired) && !equalErrors(err, invalidToken) {
				t.Errorf("%d: error %#v, want none, %v or %v", i, err, secondaryRequired, invalidToken)
			}
		}
		u := h.user(t, "1")
		owned := h.count(t, `SELECT count(*) FROM addresses WHERE user_id = 1`)
		if owned != len(u.addresses()) || u.canonical == u.secondary ||
			u.canonical != "ada@example.com" && u.canonical != "ada2@example.com" && u.canonical != "new@example.com" {
			t.Errorf("%d addresses of user %+v, want its own two or one", owned, u)
		}
	}
}
