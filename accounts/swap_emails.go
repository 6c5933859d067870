package accounts

import (
	"context"

	"accountd/email"
	"accountd/internal/store"
)

// SwapEmails makes the secondary address the primary one and the other way round. All sessions but the caller's end.
func (s *Service) SwapEmails(ctx context.Context, owner Owner, _ PasswordInput) error {
	return s.change(ctx, s.db.WriteUrgent, owner, "emails_swapped", func(tx *store.Tx, u *account) error {
		if err := placeAddresses(ctx, tx, u, u.secondary, u.canonical); err != nil {
			return err
		}
		return s.addressesMoved(ctx, tx, owner, email.NoticeEmailsSwapped, "emails swapped", u)
	})
}

// addressesMoved ends all sessions but the caller's for a reason and sends notices after a change of addresses.
func (s *Service) addressesMoved(
	ctx context.Context, tx *store.Tx, owner Owner, kind email.Kind, reason string, before *account,
) error {
	if err := s.tokens.EndAll(ctx, tx, before.ID, owner.session, reason); err != nil {
		return err
	}
	return s.notifyMoved(ctx, tx, kind, before)
}
