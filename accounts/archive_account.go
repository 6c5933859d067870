package accounts

import (
	"context"

	"accountd/email"
	"accountd/internal/store"
)

// Archive archives the account until its next login and ends all sessions.
func (s *Service) Archive(ctx context.Context, owner Owner, _ PasswordInput) error {
	return s.change(ctx, s.db.WriteUrgent, owner, "account_archived", func(tx *store.Tx, u *account) error {
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
	return s.change(ctx, s.db.WriteUrgent, owner, "account_deleted", func(tx *store.Tx, u *account) error {
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
