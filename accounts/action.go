package accounts

import (
	"context"
	"errors"

	"accountd/email"
	"accountd/internal/ratelimit"
	"accountd/internal/store"
	"accountd/tokens"
)

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

// redeem runs fn, the change of an operation with an action token, as update does. It fails with Errors where the
// account is gone or inactive.
func (s *Service) redeem(
	ctx context.Context, write transaction, action tokens.Action, event string,
	fn func(tx *store.Tx, u *account) error,
) error {
	find := func(tx *store.Tx) (*account, error) {
		u, err := s.userByID(ctx, tx, action.User)
		if err == nil && (u == nil || !u.IsActive) {
			err = one(NonField, errInvalidToken)
		}
		return u, err
	}
	return s.update(ctx, write, find, event, fn)
}
