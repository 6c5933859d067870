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

// UpdateAccountInput are the arguments of updateAccount.
type UpdateAccountInput struct {
	Fields Values `arg:"fields"` // those of Settings.UpdateArguments
}

// UpdateAccount changes the given fields and no others. With Errors nothing is changed.
func (s *Service) UpdateAccount(ctx context.Context, owner Owner, in UpdateAccountInput) error {
	errs := Errors{}
	f := s.validate(s.settings.UpdateArguments(), in.Fields, owner.account.primary(), errs)
	return s.change(ctx, s.db.Write, s.byOwner(owner), "account_updated", func(tx *store.Tx, u *account) error {
		if err := f.taken(ctx, tx, u, errs); err != nil {
			return err
		}
		f.apply(u)
		return setFields(ctx, tx, u.ID, f.custom())
	})
}

// Archive archives the account until its next login and ends all sessions.
func (s *Service) Archive(ctx context.Context, owner Owner, _ PasswordInput) error {
	return s.change(ctx, s.db.WriteUrgent, s.byOwner(owner), "account_archived", func(tx *store.Tx, u *account) error {
		if err := s.notify(ctx, tx, email.NoticeAccountArchived, u); err != nil {
			return err
		}
		u.Archived = true
		return s.tokens.EndAll(ctx, tx, u.ID, 0, "account archived")
	})
}

// Delete deactivates the account: its username and addresses stay reserved. With Settings.DeletePermanently it deletes
// every row of the account. All sessions end.
func (s *Service) Delete(ctx context.Context, owner Owner, _ PasswordInput) error {
	return s.change(ctx, s.db.WriteUrgent, s.byOwner(owner), "account_deleted", func(tx *store.Tx, u *account) error {
		if err := s.notify(ctx, tx, email.NoticeAccountDeleted, u); err != nil {
			return err
		}
		return s.remove(ctx, tx, u, s.settings.DeletePermanently)
	})
}

// remove deactivates or deletes an account and ends its sessions.
func (s *Service) remove(ctx context.Context, tx *store.Tx, u *account, permanently bool) error {
	if permanently {
		return deleteUser(ctx, tx, u.ID)
	}
	u.IsActive = false
	return s.tokens.EndAll(ctx, tx, u.ID, 0, "account deleted")
}
