package accounts

import (
	"context"

	"accountd/email"
	"accountd/internal/store"
	"accountd/tokens"
)

// VerifyAccountInput are the arguments of verifyAccount.
type VerifyAccountInput struct {
	Token string `arg:"token"`
}

// VerifyAccount verifies the account that an activation token was made for. The token is good once, and only
// while its address is the account's primary one.
func (s *Service) VerifyAccount(ctx context.Context, in VerifyAccountInput) error {
	action, err := s.tokens.VerifyAction(in.Token, tokens.Activation)
	if err != nil {
		return tokenProblem(err)
	}
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		u, err := s.userByID(ctx, tx, action.User)
		switch {
		case err != nil:
			return err
		case u == nil || !u.IsActive:
			return one(NonField, errInvalidToken)
		case u.Verified:
			return one(NonField, errAlreadyVerified)
		case u.canonical != action.Address:
			return one(NonField, errInvalidToken)
		}
		return setVerified(ctx, tx, u.ID)
	})
	if err != nil {
		return err
	}
	s.event(ctx, "user_verified", action.User)
	return nil
}

// ResendActivationEmailInput are the arguments of resendActivationEmail.
type ResendActivationEmailInput struct {
	Email string `arg:"email"`
}

// ResendActivationEmail sends the activation mail once more, to the stored primary address. Whether there is
// such an account, and whether it is verified, it does not tell.
func (s *Service) ResendActivationEmail(ctx context.Context, in ResendActivationEmailInput) error {
	errs := Errors{}
	address, ok := cleanEmail("email", in.Email, errs)
	if !ok {
		return errs
	}
	var id int64
	err := s.db.Read(ctx, func(tx *store.Tx) error {
		if err := s.outbox.Accepting(ctx, tx); err != nil {
			return mailProblem(err)
		}
		u, err := s.userByAddress(ctx, tx, address.Canonical)
		if err == nil && u != nil && u.IsActive && !u.Verified {
			id = u.ID
		}
		return err
	})
	if err != nil || id == 0 {
		return err
	}
	return s.db.Write(ctx, func(tx *store.Tx) error {
		u, err := s.userByID(ctx, tx, id)
		if err != nil || u == nil || !u.IsActive || u.Verified {
			return err // changed since the look: nothing to send
		}
		return s.sendActivation(ctx, tx, u, email.ActivationResend)
	})
}
