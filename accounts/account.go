package accounts

import (
	"context"

	"accountd/email"
	"accountd/internal/store"
)

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
