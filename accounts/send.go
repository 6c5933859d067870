package accounts

import (
	"context"
	"errors"
	"time"

	"accountd/email"
	"accountd/internal/store"
)

// send mails m to an address, unless that has had enough of them. It is for mails that anybody can cause, after
// mayAsk; what has happened to an account, notify tells.
func (s *Service) send(ctx context.Context, tx *store.Tx, to Address, m email.Mail) error {
	var rates []Rate
	for _, rate := range s.settings.Throttle.MailsPerRecipient {
		if m.Kind != email.PasswordReset || rate.Per < 24*time.Hour {
			rates = append(rates, rate)
		}
	}
	recipient := s.buckets(throttleMail, string(m.Kind)+"\x00"+to.Canonical, rates)
	if ok, err := s.mayMail(ctx, tx, recipient, m.User.ID); !ok {
		return err
	}
	m.To = to.mailbox()
	return s.outbox.Send(ctx, tx, m)
}

// askers are the buckets of whoever asks for a mail.
func (s *Service) askers(ctx context.Context) []bucket {
	return s.ofNetwork(ctx, throttleSender, s.settings.Throttle.MailsPerIP)
}

// mayAsk counts that a network asks for the mails of one operation, whether there is anybody to get them or not:
// what is left of its limit must not tell. It is false where the network has had enough: then nothing is to be
// sent.
func (s *Service) mayAsk(ctx context.Context, tx *store.Tx, u *User) (bool, error) {
	return s.mayMail(ctx, tx, s.askers(ctx), u.id())
}

// mayMail counts a mail. It is false where a bucket is full, and nobody is told but the log.
func (s *Service) mayMail(ctx context.Context, tx *store.Tx, buckets []bucket, user int64) (bool, error) {
	err := s.count(ctx, tx, buckets)
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
