package accounts

import (
	"context"

	"accountd/email"
	"accountd/internal/store"
	"accountd/tokens"
)

// SendSecondaryEmailActivationInput are the arguments of sendSecondaryEmailActivation.
type SendSecondaryEmailActivationInput struct {
	Email    string `arg:"email"`
	Password string `arg:"password,proof"`
}

// SendSecondaryEmailActivation mails a link to a new address, which becomes the secondary one when it is confirmed.
// Until then nothing is stored. Under RevealNothing the address of another account is not told: its owner is.
func (s *Service) SendSecondaryEmailActivation(ctx context.Context, owner Owner, in SendSecondaryEmailActivationInput) error {
	if s.settings.Reveal == RevealNothing {
		defer s.padDuration(ctx)()
	}
	errs := Errors{}
	address, ok := cleanEmail("email", in.Email, errs)
	if !ok {
		return errs
	}
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		now, err := s.recheck(ctx, tx, owner)
		if err != nil {
			return err
		}
		holder, err := s.userByAddress(ctx, tx, address.Canonical)
		if err != nil {
			return err
		}
		if holder != nil && (holder.ID == now.ID || s.settings.Reveal != RevealNothing) {
			return one("email", errEmailInUse)
		}
		if err := s.outbox.Accepting(ctx, tx); err != nil {
			return mailProblem(err)
		}
		if ok, err := s.mayAsk(ctx, tx, now); !ok {
			return err
		}
		if holder != nil {
			return s.tellHolder(ctx, tx, holder, address.Canonical)
		}
		token, err := s.tokens.SignAction(tokens.Action{
			Purpose: tokens.SecondaryEmail, User: now.ID, Address: address.text(), Epoch: now.secondaryEpoch,
		})
		if err != nil {
			return err
		}
		return s.send(ctx, tx, address, email.Mail{Kind: email.SecondaryEmailActivation, User: now.mailUser(), Token: token})
	})
	if err != nil {
		return err
	}
	s.event(ctx, "secondary_email_requested", owner.account.ID)
	return nil
}

// VerifySecondaryEmailInput are the arguments of verifySecondaryEmail.
type VerifySecondaryEmailInput struct {
	Token string `arg:"token"`
}

// VerifySecondaryEmail makes the address that a token was mailed to the secondary one, in place of any other. It logs
// nobody in, and verifies no primary address. No session ends, even where an address is replaced: who asked for the link has
// given the password, and follows it as nobody, so that there would be no session to spare.
func (s *Service) VerifySecondaryEmail(ctx context.Context, in VerifySecondaryEmailInput) error {
	action, err := s.verifyAction(ctx, in.Token, tokens.SecondaryEmail)
	if err != nil {
		return err
	}
	address, err := ParseAddress(action.Address)
	if err != nil {
		return one(NonField, errInvalidToken)
	}
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		u, err := s.userByID(ctx, tx, action.User)
		if err != nil {
			return err
		}
		if u == nil || !u.IsActive {
			return one(NonField, errInvalidToken)
		}
		claimed, err := addressClaimed(ctx, tx, address.Canonical)
		if err != nil {
			return err
		}
		if claimed {
			return one(NonField, errEmailInUse)
		}
		if action.Epoch != u.secondaryEpoch {
			return one(NonField, errInvalidToken)
		}
		if err := claimAddress(ctx, tx, u.ID, address); err != nil {
			return err
		}
		if err := placeAddresses(ctx, tx, u, u.canonical, address.Canonical); err != nil {
			return err
		}
		return s.notifyMoved(ctx, tx, email.NoticeSecondaryAdded, u)
	})
	if err != nil {
		return err
	}
	s.event(ctx, "secondary_email_verified", action.User)
	return nil
}

// RemoveSecondaryEmailInput are the arguments of removeSecondaryEmail.
type RemoveSecondaryEmailInput struct {
	Password string `arg:"password,proof"`
}

// RemoveSecondaryEmail gives the secondary address up. All sessions but the caller's end.
func (s *Service) RemoveSecondaryEmail(ctx context.Context, owner Owner, _ RemoveSecondaryEmailInput) error {
	return s.moveAddress(ctx, owner, "secondary_email_removed", email.NoticeSecondaryRemoved, func(now *account) (primary, secondary string) {
		return now.canonical, ""
	})
}
