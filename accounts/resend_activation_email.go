package accounts

import (
	"context"

	"accountd/email"
	"accountd/internal/store"
	"accountd/tokens"
)

// ResendActivationEmailInput are the arguments of resendActivationEmail.
type ResendActivationEmailInput struct {
	Email string `arg:"email"`
}

// ResendActivationEmail sends the activation mail once more, to the stored primary address. Whether there is such an
// account, and whether it is verified, it tells under RevealAll only.
func (s *Service) ResendActivationEmail(ctx context.Context, in ResendActivationEmailInput) error {
	defer s.padDuration(ctx)()
	return s.mailOwner(ctx, in.Email, func(tx *store.Tx, u *account, _ Address) error {
		switch {
		case !u.Verified:
			return s.sendActivation(ctx, tx, u, email.ActivationResend)
		case s.settings.Reveal == RevealAll:
			return one("email", errAlreadyVerified)
		default:
			return nil
		}
	})
}

// mailOwner judges an argument email and runs send, in a transaction, for the active user whose address that is,
// unless the network has asked for too many mails. For nobody it counts that and does nothing, and does not tell.
// matched is the address as stored.
func (s *Service) mailOwner(ctx context.Context, typed string, send func(tx *store.Tx, u *account, matched Address) error) error {
	errs := Errors{}
	address, ok := cleanEmail("email", typed, errs)
	if !ok {
		return errs
	}
	owner := func(tx *store.Tx) (*account, error) {
		u, err := s.userByAddress(ctx, tx, address.Canonical)
		if err != nil || u == nil || !u.IsActive {
			return nil, err
		}
		return u, nil
	}
	found := false
	err := s.db.Read(ctx, func(tx *store.Tx) error {
		if err := s.outbox.Accepting(ctx, tx); err != nil {
			return mailProblem(err)
		}
		u, err := owner(tx)
		found = u != nil
		return err
	})
	if err != nil || !found && len(s.networkRates(ctx, limitMail)) == 0 {
		return err
	}
	return s.db.Write(ctx, func(tx *store.Tx) error {
		u, err := owner(tx)
		if err != nil {
			return err
		}
		if ok, err := s.mayAsk(ctx, tx, u); !ok || u == nil {
			return err
		}
		matched, _ := u.address(address.Canonical)
		return send(tx, u, matched)
	})
}

// sendActivation mails the link that verifies the account's primary address.
func (s *Service) sendActivation(ctx context.Context, tx *store.Tx, u *account, kind email.Kind) error {
	token, err := s.tokens.SignAction(tokens.Action{
		Purpose: tokens.Activation, User: u.ID, Address: u.canonical, Epoch: u.secondaryEpoch,
	})
	if err != nil {
		return err
	}
	return s.send(ctx, tx, u.addresses()[0], email.Mail{Kind: kind, User: u.mailUser(), Token: token})
}
