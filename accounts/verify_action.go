package accounts

import (
	"context"
	"errors"

	"accountd/internal/ratelimit"
	"accountd/internal/store"
	"accountd/tokens"
)

// verifyAction verifies the token of a mail. It fails with Errors, and with *ThrottledError where the client's network
// has sent too many wrong tokens. A good token is never refused: whoever guesses tokens in the owner's network must not
// keep the owner out, and nobody guesses a signature of 256 bits.
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
