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
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		u, err := s.userByID(ctx, tx, action.User)
		switch {
		case err != nil:
			return err
		case u == nil || !u.IsActive:
			return one(NonField, errInvalidToken)
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
	if err != nil {
		return err
	}
	s.event(ctx, "user_verified", action.User)
	return nil
}
