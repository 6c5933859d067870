package accounts

import (
	"context"
	"fmt"

	"accountd/email"
	"accountd/internal/store"
)

// notify tells the owner of an account what has happened to it, where the settings want that. states are the account
// before and after: every address of either hears of it once, because somebody else may read one of them; the
// message shows the last. A full outbox is no reason not to.
func (s *Service) notify(ctx context.Context, tx *store.Tx, kind email.Kind, states ...*User) error {
	if !s.settings.Notices {
		return nil
	}
	told := map[string]bool{}
	for _, u := range states {
		for _, address := range u.addresses() {
			if told[address.Canonical] {
				continue
			}
			told[address.Canonical] = true
			m := email.Mail{Kind: kind, To: address.mailbox(), User: states[len(states)-1].mailUser()}
			if err := s.outbox.Send(ctx, tx, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// notifyMoved is notify after a change of addresses.
func (s *Service) notifyMoved(ctx context.Context, tx *store.Tx, kind email.Kind, before *User) error {
	after, err := s.userByID(ctx, tx, before.ID)
	if err != nil {
		return err
	}
	if after == nil {
		return fmt.Errorf("user %d has gone in the transaction that changed their addresses", before.ID)
	}
	return s.notify(ctx, tx, kind, before, after)
}

// tellHolder mails the holder of an address, there, that somebody has wanted it for an account. Who has given theirs up
// hears nothing.
func (s *Service) tellHolder(ctx context.Context, tx *store.Tx, holder *User, canonical string) error {
	if !holder.IsActive {
		return nil
	}
	stored, _ := holder.address(canonical)
	return s.send(ctx, tx, stored, email.Mail{Kind: email.NoticeRegistration, User: holder.mailUser()})
}
