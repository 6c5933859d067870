package accounts

import (
	"context"

	"accountd/email"
	"accountd/internal/store"
)

// ArchiveInput are the arguments of archiveAccount.
type ArchiveInput struct {
	Password string `arg:"password,proof"`
}

// Archive puts the account away until the next login and ends all sessions.
func (s *Service) Archive(ctx context.Context, owner Owner, _ ArchiveInput) error {
	err := s.db.WriteUrgent(ctx, func(tx *store.Tx) error {
		now, err := s.recheck(ctx, tx, owner)
		if err != nil {
			return err
		}
		if err := setArchived(ctx, tx, now.ID); err != nil {
			return err
		}
		if err := s.tokens.EndAll(ctx, tx, now.ID, 0, "account archived"); err != nil {
			return err
		}
		return s.notify(ctx, tx, email.NoticeAccountArchived, now)
	})
	if err != nil {
		return err
	}
	s.event(ctx, "account_archived", owner.account.ID)
	return nil
}
