package accounts

import (
	"context"

	"accountd/internal/store"
	"accountd/tokens"
)

// VerifyAccount verifies the account of an activation token. The token is valid once, and only while its address is the
// account's primary one.
func (s *Service) VerifyAccount(ctx context.Context, in TokenInput) error {
	action, err := s.verifyAction(ctx, in.Token, tokens.Activation)
	if err != nil {
		return err
	}
	return s.redeem(ctx, s.db.Write, action, "user_verified", func(tx *store.Tx, u *account) error {
		switch {
		case u.Verified:
			return one(NonField, errAlreadyVerified)
		case u.canonical != action.Address || u.secondaryEpoch != action.Epoch:
			return one(NonField, errInvalidToken)
		}
		if err := setVerified(ctx, tx, u.ID); err != nil {
			return err
		}
		return s.rememberNetwork(ctx, tx, u.ID)
	})
}
