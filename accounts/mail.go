package accounts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"accountd/email"
	"accountd/internal/ratelimit"
	"accountd/internal/store"
)

// send mails m to an address, unless that has had enough of them. It is for mails that anybody can cause, after
// mayAsk; what has happened to an account, notify tells.
func (s *Service) send(ctx context.Context, tx *store.Tx, to Address, m email.Mail) error {
	var rates []ratelimit.Rate
	for _, rate := range s.settings.Throttle.MailsPerRecipient {
		if m.Kind != email.PasswordReset || rate.Per < 24*time.Hour {
			rates = append(rates, rate)
		}
	}
	recipient := s.limits(limitRecipient, string(m.Kind)+"\x00"+to.Canonical, rates)
	if ok, err := s.mayMail(ctx, tx, m.User.ID, ratelimit.Count(ctx, tx, recipient...)); !ok {
		return err
	}
	m.To = to.mailbox()
	return s.outbox.Send(ctx, tx, m)
}

// mayAsk counts that a network asks for the mails of one operation, whether there is anybody to get them or not:
// what is left of its limit must not tell. It is false where the network has had enough: then nothing is to be
// sent.
func (s *Service) mayAsk(ctx context.Context, tx *store.Tx, u *account) (bool, error) {
	return s.mayMail(ctx, tx, u.id(), s.limitNetwork(ctx, tx, limitMail, ratelimit.Count))
}

// mayMail reports whether a mail may be sent, by the error of counting it. A limit that is reached is no failure: it is
// logged, and the client is not told.
func (s *Service) mayMail(ctx context.Context, tx *store.Tx, user int64, err error) (bool, error) {
	var throttled *ThrottledError
	if errors.As(err, &throttled) {
		tx.After(func(committed bool) {
			if committed {
				s.event(ctx, "mail_throttled", user)
			}
		})
		return false, nil
	}
	return err == nil, err
}

// notify tells the owner of an account what has happened to it, where the settings want that. states are the account
// before and after: every address of either hears of it once, because somebody else may read one of them; the
// message shows the last. A full outbox is no reason not to.
func (s *Service) notify(ctx context.Context, tx *store.Tx, kind email.Kind, states ...*account) error {
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
func (s *Service) notifyMoved(ctx context.Context, tx *store.Tx, kind email.Kind, before *account) error {
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
func (s *Service) tellHolder(ctx context.Context, tx *store.Tx, holder *account, canonical string) error {
	if !holder.IsActive {
		return nil
	}
	stored, _ := holder.address(canonical)
	return s.send(ctx, tx, stored, email.Mail{Kind: email.NoticeRegistration, User: holder.mailUser()})
}
