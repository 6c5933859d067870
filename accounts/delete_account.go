package accounts

import (
	"context"

	"accountd/email"
	"accountd/internal/store"
)

// DeleteInput are the arguments of deleteAccount.
type DeleteInput struct {
	Password string `arg:"password,proof"`
}

// Delete deactivates the account, whose names stay taken, or under Settings.DeletePermanently deletes whatever there is
// of it. All sessions end.
func (s *Service) Delete(ctx context.Context, owner Owner, _ DeleteInput) error {
	err := s.db.WriteUrgent(ctx, func(tx *store.Tx) error {
		now, err := s.recheck(ctx, tx, owner)
		if err != nil {
			return err
		}
		if err := s.remove(ctx, tx, now.ID, s.settings.DeletePermanently); err != nil {
			return err
		}
		return s.notify(ctx, tx, email.NoticeAccountDeleted, now)
	})
	if err != nil {
		return err
	}
	s.event(ctx, "account_deleted", owner.account.ID)
	return nil
}

func (s *Service) remove(ctx context.Context, tx *store.Tx, id int64, permanently bool) error {
	if permanently {
		return deleteUser(ctx, tx, id)
	}
	if err := deactivate(ctx, tx, id); err != nil {
		return err
	}
	return s.tokens.EndAll(ctx, tx, id, 0, "account deleted")
}
