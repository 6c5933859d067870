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

// SendSecondaryEmailActivation mails a link to a new address, which becomes the secondary one when the link is used.
// Until then nothing is stored. Under RevealNothing it succeeds for an address of another account, and mails its
// holder.
func (s *Service) SendSecondaryEmailActivation(
	ctx context.Context, owner Owner, in SendSecondaryEmailActivationInput,
) error {
	if s.settings.Reveal == RevealNothing {
		defer s.padDuration(ctx)()
	}
	errs := Errors{}
	address, ok := cleanEmail("email", in.Email, errs)
	if !ok {
		return errs
	}
	request := func(tx *store.Tx, u *account) error {
		holder, err := s.userByAddress(ctx, tx, address.Canonical)
		if err != nil {
			return err
		}
		if holder != nil && (holder.ID == u.ID || s.settings.Reveal != RevealNothing) {
			return one("email", errEmailInUse)
		}
		if err := s.accepting(ctx, tx); err != nil {
			return err
		}
		if ok, err := s.mayAsk(ctx, tx, u); !ok {
			return err
		}
		if holder != nil {
			return s.notifyHolder(ctx, tx, holder, address.Canonical)
		}
		return s.sendLink(ctx, tx, u, address, email.SecondaryEmailActivation)
	}
	return s.change(ctx, s.db.Write, s.byOwner(owner), "secondary_email_requested", request)
}

// VerifySecondaryEmail makes the address that a token was mailed to the secondary one, in place of any other. It
// neither logs in nor verifies the primary address. No session ends, even where an address is replaced: the caller is
// anonymous, so the session that has requested the link, with the password, could not be spared.
func (s *Service) VerifySecondaryEmail(ctx context.Context, in TokenInput) error {
	action, err := s.verifyAction(ctx, in.Token, tokens.SecondaryEmail)
	if err != nil {
		return err
	}
	address, err := ParseAddress(action.Address)
	if err != nil {
		return one(NonField, errInvalidToken)
	}
	verify := func(tx *store.Tx, u *account) error {
		holder, err := s.userByAddress(ctx, tx, address.Canonical)
		if err != nil {
			return err
		}
		if holder != nil {
			return one(NonField, errEmailInUse)
		}
		if action.Epoch != u.secondaryEpoch {
			return one(NonField, errInvalidToken)
		}
		return s.placeAddresses(ctx, tx, u, u.primary(), address, email.NoticeSecondaryAdded)
	}
	return s.change(ctx, s.db.Write, s.byToken(action), "secondary_email_verified", verify)
}

// placeAddresses changes the addresses of an account and sends notices.
func (s *Service) placeAddresses(
	ctx context.Context, tx *store.Tx, u *account, primary, second Address, kind email.Kind,
) error {
	before := *u
	u.setAddresses(primary, second)
	return s.notify(ctx, tx, kind, &before, u)
}

// RemoveSecondaryEmail releases the secondary address. All sessions but the caller's end.
func (s *Service) RemoveSecondaryEmail(ctx context.Context, owner Owner, _ PasswordInput) error {
	remove := func(tx *store.Tx, u *account) error {
		if err := s.tokens.EndAll(ctx, tx, u.ID, owner.session, "secondary email removed"); err != nil {
			return err
		}
		return s.placeAddresses(ctx, tx, u, u.primary(), Address{}, email.NoticeSecondaryRemoved)
	}
	return s.change(ctx, s.db.WriteUrgent, s.byOwner(owner), "secondary_email_removed", remove)
}

// SwapEmails makes the secondary address the primary one and the other way round. All sessions but the caller's end.
func (s *Service) SwapEmails(ctx context.Context, owner Owner, _ PasswordInput) error {
	return s.change(ctx, s.db.WriteUrgent, s.byOwner(owner), "emails_swapped", func(tx *store.Tx, u *account) error {
		if err := s.tokens.EndAll(ctx, tx, u.ID, owner.session, "emails swapped"); err != nil {
			return err
		}
		return s.placeAddresses(ctx, tx, u, u.second(), u.primary(), email.NoticeEmailsSwapped)
	})
}
