package accounts

import (
	"context"
	"strings"

	"accountd/email"
	"accountd/internal/store"
	"accountd/tokens"
)

// ChangePasswordInput are the arguments of passwordChange.
type ChangePasswordInput struct {
	OldPassword  string `arg:"oldPassword,proof"`
	NewPassword1 string `arg:"newPassword1"`
	NewPassword2 string `arg:"newPassword2"`
}

// ChangePassword sets another password. All sessions end, the caller's included, and a new one begins.
func (s *Service) ChangePassword(ctx context.Context, owner Owner, in ChangePasswordInput) (*Session, error) {
	if err := s.checkNewPassword(&owner.account, in.NewPassword1, in.NewPassword2); err != nil {
		return nil, err
	}
	encoded, err := s.hasher.Hash(ctx, s.client(ctx), in.NewPassword2)
	if err != nil {
		return nil, err
	}
	out := &Session{}
	err = s.change(ctx, s.db.WriteUrgent, s.byOwner(owner), "password_changed", func(tx *store.Tx, u *account) error {
		if err := s.replacePassword(ctx, tx, u, encoded, "password changed"); err != nil {
			return err
		}
		out.User = u.user()
		if err := s.notify(ctx, tx, email.NoticePasswordChanged, u); err != nil {
			return err
		}
		return s.startSession(ctx, tx, u, out)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// SendPasswordResetEmail mails the link for a new password to the stored address that matches, primary or secondary. An
// unverified account gets an activation mail instead, at its primary address. The result does not reveal accounts; only
// under RevealAll does it reveal that an account is unverified.
func (s *Service) SendPasswordResetEmail(ctx context.Context, in EmailInput) error {
	defer s.padDuration(ctx)()
	var unverified error // beside a mail that is sent
	err := s.mailOwner(ctx, in.Email, func(tx *store.Tx, u *account, matched Address) error {
		if u.Verified {
			return s.sendLink(ctx, tx, u, matched, email.PasswordReset)
		}
		if s.settings.Reveal == RevealAll {
			unverified = one("email", errActivationSent)
		}
		return s.sendLink(ctx, tx, u, u.primary(), email.ActivationResend)
	})
	if err != nil {
		return err
	}
	return unverified
}

// NewPasswordInput are the arguments of passwordReset and passwordSet.
type NewPasswordInput struct {
	Token        string `arg:"token"`
	NewPassword1 string `arg:"newPassword1"`
	NewPassword2 string `arg:"newPassword2"`
}

// ResetPassword sets a new password with the token of a mail. If the mail went to the primary address, an unverified
// account becomes verified. All sessions end. The token is checked before the form.
func (s *Service) ResetPassword(ctx context.Context, in NewPasswordInput) error {
	return s.redeemPassword(ctx, tokens.PasswordReset, in)
}

// SetPassword sets the first password of an account without one, like ResetPassword. The token's signature, age,
// purpose and user are checked before the form, and its state after it.
func (s *Service) SetPassword(ctx context.Context, in NewPasswordInput) error {
	return s.redeemPassword(ctx, tokens.PasswordSet, in)
}

func (s *Service) redeemPassword(ctx context.Context, purpose tokens.Purpose, in NewPasswordInput) error {
	action, err := s.verifyAction(ctx, in.Token, purpose)
	if err != nil {
		return err
	}
	u, err := read(ctx, s.db.Read, func(tx *store.Tx) (*account, error) { return s.byToken(action)(ctx, tx) })
	if err != nil {
		return err
	}
	refusal := redeemable(u, action)
	if refusal != nil && purpose == tokens.PasswordReset {
		return refusal
	}
	if err := s.checkNewPassword(u, in.NewPassword1, in.NewPassword2); err != nil {
		return err
	}
	if refusal != nil {
		return refusal
	}
	encoded, err := s.hasher.Hash(ctx, s.client(ctx), in.NewPassword2)
	if err != nil {
		return err
	}
	verified := false
	err = s.change(ctx, s.db.WriteUrgent, s.byToken(action), string(purpose), func(tx *store.Tx, now *account) error {
		if err := redeemable(now, action); err != nil {
			return err
		}
		if err := s.notify(ctx, tx, email.NoticePasswordChanged, now); err != nil {
			return err
		}
		verified = !now.Verified && now.canonical == action.Address
		now.Verified = now.Verified || verified
		return s.replacePassword(ctx, tx, now, encoded, strings.ReplaceAll(string(purpose), "_", " "))
	})
	if err == nil && verified {
		s.event(ctx, "user_verified", action.User)
	}
	return err
}

// redeemable returns why an account, as it is now, does not accept a token for a new password; nil if it does.
func redeemable(u *account, action tokens.Action) error {
	if action.Purpose == tokens.PasswordSet && u.hasPassword() {
		return one(NonField, errPasswordAlreadySet)
	}
	if _, own := u.address(action.Address); !own || action.Epoch != u.credentialEpoch {
		return one(NonField, errInvalidToken)
	}
	return nil
}

// checkNewPassword validates newPassword1 and newPassword2 for an existing account.
func (s *Service) checkNewPassword(u *account, password1, password2 string) error {
	errs := Errors{}
	if cleanPasswords("newPassword1", "newPassword2", password1, password2, errs) {
		s.checkPassword("newPassword2", password2, u.passwordOwner(), errs)
	}
	return errs.orNil()
}

// replacePassword changes the password of an account. It ends all sessions for a reason, resets the limits on wrong
// passwords, and makes the client's network one of the user's own.
func (s *Service) replacePassword(ctx context.Context, tx *store.Tx, u *account, encoded, reason string) error {
	u.password = encoded
	if err := clearFailures(ctx, tx, u.ID); err != nil {
		return err
	}
	if err := s.rememberNetwork(ctx, tx, u.ID); err != nil {
		return err
	}
	return s.tokens.EndAll(ctx, tx, u.ID, 0, reason)
}
