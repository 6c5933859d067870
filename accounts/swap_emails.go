package accounts

import (
	"context"

	"accountd/email"
	"accountd/internal/store"
)

// SwapEmailsInput are the arguments of swapEmails.
type SwapEmailsInput struct {
	Password string `arg:"password,proof"`
}

// SwapEmails lets the primary and the secondary address change places. All sessions but the caller's end.
func (s *Service) SwapEmails(ctx context.Context, owner Owner, _ SwapEmailsInput) error {
	return s.moveAddress(ctx, owner, "emails_swapped", email.NoticeEmailsSwapped, func(now *account) (primary, secondary string) {
		return now.secondary, now.canonical
	})
}

func (s *Service) moveAddress(ctx context.Context, owner Owner, event string, kind email.Kind, places func(now *account) (primary, secondary string)) error {
	err := s.db.WriteUrgent(ctx, func(tx *store.Tx) error {
		now, err := s.recheck(ctx, tx, owner)
		if err != nil {
			return err
		}
		primary, secondary := places(now)
		if err := placeAddresses(ctx, tx, now, primary, secondary); err != nil {
			return err
		}
		if err := s.tokens.EndAll(ctx, tx, now.ID, owner.session, words(event)); err != nil {
			return err
		}
		return s.notifyMoved(ctx, tx, kind, now)
	})
	if err != nil {
		return err
	}
	s.event(ctx, event, owner.account.ID)
	return nil
}
