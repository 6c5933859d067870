package accounts

import (
	"context"
	"strings"

	"accountd/email"
	"accountd/internal/store"
	"accountd/tokens"
)

// SendPasswordResetEmailInput are the arguments of sendPasswordResetEmail.
type SendPasswordResetEmailInput struct {
	Email string `arg:"email"`
}

// SendPasswordResetEmail mails the link for a new password to the stored address that matches, primary or secondary. An
// unverified user is sent an activation mail instead, to the primary address. Whether there is such an account
// it does not tell; whether it is verified, under RevealAll only.
func (s *Service) SendPasswordResetEmail(ctx context.Context, in SendPasswordResetEmailInput) error {
	defer s.padDuration(ctx)()
	var told error // beside a mail that is sent all the same
	err := s.mailOwner(ctx, in.Email, func(tx *store.Tx, u *account, matched Address) error {
		if !u.Verified {
			if s.settings.Reveal == RevealAll {
				told = one("email", errActivationSent)
			}
			return s.sendActivation(ctx, tx, u, email.ActivationResend)
		}
		token, err := s.tokens.SignAction(tokens.Action{
			Purpose: tokens.PasswordReset, User: u.ID, Address: matched.Canonical, Epoch: u.credentialEpoch,
		})
		if err != nil {
			return err
		}
		return s.send(ctx, tx, matched, email.Mail{Kind: email.PasswordReset, User: u.mailUser(), Token: token})
	})
	if err != nil {
		return err
	}
	return told
}

// ResetPasswordInput are the arguments of passwordReset.
type ResetPasswordInput struct {
	Token        string `arg:"token"`
	NewPassword1 string `arg:"newPassword1"`
	NewPassword2 string `arg:"newPassword2"`
}

// ResetPassword sets a new password with the token of a mail, which proves the address it was sent to: an unverified
// account is verified if that is its primary one. All sessions end. The token is judged before the form.
func (s *Service) ResetPassword(ctx context.Context, in ResetPasswordInput) error {
	return s.redeemPassword(ctx, tokens.PasswordReset, in)
}

// SetPasswordInput are the arguments of passwordSet.
type SetPasswordInput ResetPasswordInput

// SetPassword sets the first password of an account that has none, like ResetPassword. The token's signature, age,
// purpose and user are judged before the form, its state after it.
func (s *Service) SetPassword(ctx context.Context, in SetPasswordInput) error {
	return s.redeemPassword(ctx, tokens.PasswordSet, ResetPasswordInput(in))
}

func (s *Service) redeemPassword(ctx context.Context, purpose tokens.Purpose, in ResetPasswordInput) error {
	action, err := s.verifyAction(ctx, in.Token, purpose)
	if err != nil {
		return err
	}
	var u *account
	err = s.db.Read(ctx, func(tx *store.Tx) (err error) {
		u, err = s.userByID(ctx, tx, action.User)
		return err
	})
	if err != nil {
		return err
	}
	if u == nil || !u.IsActive {
		return one(NonField, errInvalidToken)
	}
	over := redeemable(u, action)
	if over != nil && purpose == tokens.PasswordReset {
		return over
	}
	if err := s.checkNewPassword(u, in.NewPassword1, in.NewPassword2); err != nil {
		return err
	}
	if over != nil {
		return over
	}
	encoded, err := s.hasher.Hash(ctx, s.client(ctx), in.NewPassword2)
	if err != nil {
		return err
	}
	verified := false
	err = s.db.WriteUrgent(ctx, func(tx *store.Tx) error {
		now, err := s.userByID(ctx, tx, action.User)
		if err != nil {
			return err
		}
		if err := redeemable(now, action); err != nil {
			return err
		}
		if !now.Verified && now.canonical == action.Address {
			verified = true
			if err := setVerified(ctx, tx, now.ID); err != nil {
				return err
			}
		}
		if err := s.replacePassword(ctx, tx, now.ID, encoded, words(string(purpose))); err != nil {
			return err
		}
		return s.notify(ctx, tx, email.NoticePasswordChanged, now)
	})
	if err != nil {
		return err
	}
	s.event(ctx, string(purpose), action.User)
	if verified {
		s.event(ctx, "user_verified", action.User)
	}
	return nil
}

// words are a name in prose, as in "password reset".
func words(name string) string { return strings.ReplaceAll(name, "_", " ") }

// redeemable says why a token for a new password is not good for the user as they are now, nil if it is.
func redeemable(u *account, action tokens.Action) error {
	if u == nil || !u.IsActive {
		return one(NonField, errInvalidToken)
	}
	if action.Purpose == tokens.PasswordSet && u.hasPassword() {
		return one(NonField, errPasswordAlreadySet)
	}
	if _, own := u.address(action.Address); !own || action.Epoch != u.credentialEpoch {
		return one(NonField, errInvalidToken)
	}
	return nil
}

// checkNewPassword judges newPassword1 and newPassword2 for an account that is there.
func (s *Service) checkNewPassword(u *account, password1, password2 string) error {
	errs := Errors{}
	if cleanPasswords("newPassword1", "newPassword2", password1, password2, errs) {
		s.checkPassword("newPassword2", password2, u.passwordOwner(), errs)
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

// replacePassword ends all sessions and all links that are out, and lets passwords be looked at again. The network that
// asks is one of the user's own from now on.
func (s *Service) replacePassword(ctx context.Context, tx *store.Tx, id int64, encoded, reason string) error {
	if err := setPassword(ctx, tx, id, encoded); err != nil {
		return err
	}
	if err := clearFailures(ctx, tx, id); err != nil {
		return err
	}
	if err := s.rememberNetwork(ctx, tx, id); err != nil {
		return err
	}
	return s.tokens.EndAll(ctx, tx, id, 0, reason)
}
