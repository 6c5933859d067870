package accounts

import (
	"context"
	"errors"
	"time"

	"accountd/email"
	"accountd/internal/store"
)

// send mails m to an address, unless that, or whoever asks, has had enough of them: then nothing is sent, and nobody is told but
// the log. It is for mails that anybody can cause; what has happened to an account, notify tells.
func (s *Service) send(ctx context.Context, tx *store.Tx, to Address, m email.Mail) error {
	t := s.settings.Throttle
	var rates []Rate
	for _, rate := range t.MailsPerRecipient {
		if m.Kind != email.PasswordReset || rate.Per < 24*time.Hour {
			rates = append(rates, rate)
		}
	}
	buckets := append(s.buckets(throttleMail, string(m.Kind)+"\x00"+to.Canonical, rates), s.ofNetwork(ctx, throttleSender, t.MailsPerIP)...)
	err := s.count(ctx, tx, buckets)
	var throttled *ThrottledError
	if errors.As(err, &throttled) {
		tx.After(func(committed bool) {
			if committed {
				s.event(ctx, "mail_throttled", m.User.ID)
			}
		})
		return nil
	}
	if err != nil {
		return err
	}
	m.To = to.mailbox()
	return s.outbox.Send(ctx, tx, m)
}
