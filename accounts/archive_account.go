package accounts

import (
	"context"

	"accountd/email"
	"accountd/internal/store"
)

// Archive archives the account until its next login and ends all sessions.
func (s *Service) Archive(ctx context.Context, owner Owner, _ PasswordInput) error {
	return s.change(ctx, s.db.WriteUrgent, owner, "account_archived", func(tx *store.Tx, u *account) error {
		if err := setArchived(ctx, tx, u.ID); err != nil {
			return err
		}
		if err := s.tokens.EndAll(ctx, tx, u.ID, 0, "account archived"); err != nil {
			return err
		}
		return s.notify(ctx, tx, email.NoticeAccountArchived, u)
	})
}
