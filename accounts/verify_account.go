package accounts

import (
	"context"

	"accountd/email"
	"accountd/internal/store"
	"accountd/tokens"
)

// VerifyAccount verifies the account of an activation token. The token is valid once, and only while its address is the
// account's primary one.
func (s *Service) VerifyAccount(ctx context.Context, in TokenInput) error {
	action, err := s.verifyAction(ctx, in.Token, tokens.Activation)
	if err != nil {
		return err
	}
	return s.change(ctx, s.db.Write, s.byToken(action), "user_verified", func(tx *store.Tx, u *account) error {
		switch {
		case u.Verified:
			return one(NonField, errAlreadyVerified)
		case u.canonical != action.Address || u.secondaryEpoch != action.Epoch:
			return one(NonField, errInvalidToken)
		}
		u.Verified = true
		return s.rememberNetwork(ctx, tx, u.ID)
	})
}

// ResendActivationEmail sends the activation mail to the stored primary address once more. Only under RevealAll does
// the result reveal that an account is verified.
func (s *Service) ResendActivationEmail(ctx context.Context, in EmailInput) error {
	defer s.padDuration(ctx)()
	return s.mailOwner(ctx, in.Email, func(tx *store.Tx, u *account, _ Address) error {
		switch {
		case !u.Verified:
			return s.sendLink(ctx, tx, u, u.primary(), email.ActivationResend)
		case s.settings.Reveal == RevealAll:
			return one("email", errAlreadyVerified)
		default:
			return nil
		}
	})
}

// mailOwner validates the argument email and runs send in a transaction for the active account with that address.
// matched is the address as it is stored. For an unknown address, and for a network over its limit of mails, it counts
// the request and succeeds without send.
func (s *Service) mailOwner(
	ctx context.Context, typed string, send func(tx *store.Tx, u *account, matched Address) error,
) error {
	errs := Errors{}
	address, ok := cleanEmail("email", typed, errs)
	if !ok {
		return errs
	}
	return s.db.Write(ctx, func(tx *store.Tx) error {
		if err := s.accepting(ctx, tx); err != nil {
			return err
		}
		u, err := s.userByAddress(ctx, tx, address.Canonical)
		if err != nil {
			return err
		}
		if u != nil && !u.IsActive {
			u = nil
		}
		if ok, err := s.mayAsk(ctx, tx, u); !ok || u == nil {
			return err
		}
		matched, _ := u.address(address.Canonical)
		return send(tx, u, matched)
	})
}
