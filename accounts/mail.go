package accounts

import (
	"context"
	"errors"
	"time"

	"accountd/email"
	"accountd/internal/ratelimit"
	"accountd/internal/store"
	"accountd/tokens"
)

// EmailInput is the argument of operations that request a mail.
type EmailInput struct {
	Email string `arg:"email"`
}

// send mails m to an address within the limits of that recipient. It is for mails that anybody can request, after
// mayAsk. Notices of what has happened to an account have no limit: see notify.
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

// accepting fails with Errors while the outbox is full. It comes before any account is looked up, so that it reveals
// none.
func (s *Service) accepting(ctx context.Context, tx *store.Tx) error {
	err := s.outbox.Accepting(ctx, tx)
	if errors.Is(err, email.ErrFull) {
		return one(NonField, errEmailFail)
	}
	return err
}

// mayAsk counts a request for mail against the limit of the client's network, and reports whether it is within.
// Requests for unknown addresses count too: otherwise what is left of the limit would reveal accounts.
func (s *Service) mayAsk(ctx context.Context, tx *store.Tx, u *account) (bool, error) {
	return s.mayMail(ctx, tx, u.id(), s.limitNetwork(ctx, tx, limitMail, ratelimit.Count))
}

// mayMail reports whether a mail may be sent, by the error of counting it. A limit that is reached is no failure: it is
// logged, and not reported to the client.
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

// notify sends the notice of a change, if Settings.Notices is on, to every address of the account before and after it:
// somebody else may read one of them. states are the account before and after; the mail shows the last. A full outbox
// does not stop notices.
func (s *Service) notify(ctx context.Context, tx *store.Tx, kind email.Kind, states ...*account) error {
	if !s.settings.Notices {
		return nil
	}
	notified := map[string]bool{}
	for _, u := range states {
		for _, address := range u.addresses() {
			if notified[address.Canonical] {
				continue
			}
			notified[address.Canonical] = true
			m := email.Mail{Kind: kind, To: address.mailbox(), User: states[len(states)-1].User.User}
			if err := s.outbox.Send(ctx, tx, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// notifyHolder mails the holder of an address, to that address, that it was used to register. A deactivated account
// gets no mail.
func (s *Service) notifyHolder(ctx context.Context, tx *store.Tx, holder *account, canonical string) error {
	if !holder.IsActive {
		return nil
	}
	stored, _ := holder.address(canonical)
	return s.send(ctx, tx, stored, email.Mail{Kind: email.NoticeRegistration, User: holder.User.User})
}

// verifyAction verifies the token of a mail. It fails with Errors, and with *ThrottledError where the client's network
// has sent too many wrong tokens. A valid token is never refused: an attacker in the owner's network must not keep the
// owner out by sending wrong ones. A signature of 256 bits cannot be found by trying.
func (s *Service) verifyAction(ctx context.Context, token string, purpose tokens.Purpose) (tokens.Action, error) {
	action, err := s.tokens.VerifyAction(token, purpose)
	if !errors.Is(err, tokens.ErrInvalid) || len(s.networkRates(ctx, limitToken)) == 0 {
		return action, tokenProblem(err)
	}
	counting := context.WithoutCancel(ctx)
	throttled := s.db.Read(counting, func(tx *store.Tx) error { // beyond the limit nothing is written
		return s.limitNetwork(counting, tx, limitToken, ratelimit.Check)
	})
	if throttled == nil {
		throttled = s.db.Write(counting, func(tx *store.Tx) error {
			return s.limitNetwork(counting, tx, limitToken, ratelimit.Count)
		})
	}
	if throttled != nil {
		return action, s.logThrottled(ctx, "mail_token_throttled", nil, throttled)
	}
	s.event(ctx, "mail_token_rejected", 0)
	return action, tokenProblem(err)
}

// TokenInput is the argument of operations with the token of a mail.
type TokenInput struct {
	Token string `arg:"token"`
}

// purposes are the purposes of the tokens in mails with a link.
var purposes = map[email.Kind]tokens.Purpose{
	email.Activation:               tokens.Activation,
	email.ActivationResend:         tokens.Activation,
	email.SecondaryEmailActivation: tokens.SecondaryEmail,
	email.PasswordSet:              tokens.PasswordSet,
	email.PasswordReset:            tokens.PasswordReset,
}

// sendLink mails an account the link of a kind of mail.
func (s *Service) sendLink(ctx context.Context, tx *store.Tx, u *account, to Address, kind email.Kind) error {
	token, err := s.signAction(purposes[kind], u, to)
	if err != nil {
		return err
	}
	return s.send(ctx, tx, to, email.Mail{Kind: kind, User: u.User.User, Token: token})
}

// signAction makes an action token. It is bound to an address and to the epoch of the account that revokes such tokens.
func (s *Service) signAction(purpose tokens.Purpose, u *account, address Address) (string, error) {
	a := tokens.Action{Purpose: purpose, User: u.ID, Address: address.Canonical, Epoch: u.credentialEpoch}
	switch purpose {
	case tokens.Activation:
		a.Epoch = u.secondaryEpoch
	case tokens.SecondaryEmail:
		a.Address, a.Epoch = address.text(), u.secondaryEpoch
	}
	return s.tokens.SignAction(a)
}

// byToken finds the account of an action token for change. It fails with Errors where that is gone or inactive.
func (s *Service) byToken(action tokens.Action) finder {
	return func(ctx context.Context, tx *store.Tx) (*account, error) {
		u, err := s.userByID(ctx, tx, action.User)
		if err == nil && (u == nil || !u.IsActive) {
			err = one(NonField, errInvalidToken)
		}
		return u, err
	}
}
