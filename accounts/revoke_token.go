package accounts

import (
	"context"

	"accountd/internal/store"
)

// Revocation is the result of revokeToken.
type Revocation struct {
	Revoked int64 // unix seconds
}

// RevokeToken ends the session of a refresh token, its access tokens included.
func (s *Service) RevokeToken(ctx context.Context, in RefreshTokenInput) (*Revocation, error) {
	return s.revoke(ctx, s.tokens.Revoke, given(in.RefreshToken), "refresh_token_revoked")
}

// RevokeAccessToken ends the session of an access token. An expired one is accepted: logging out must always work.
func (s *Service) RevokeAccessToken(ctx context.Context, in AccessTokenInput) (*Revocation, error) {
	return s.revoke(ctx, s.tokens.RevokeAccess, given(in.Token), "token_revoked")
}

func (s *Service) revoke(
	ctx context.Context, end func(context.Context, *store.Tx, string) (int64, error), token, event string,
) (*Revocation, error) {
	var out Revocation
	var user int64
	err := s.db.WriteUrgent(ctx, func(tx *store.Tx) (err error) {
		out.Revoked = tx.Now.Unix()
		user, err = end(ctx, tx, token)
		return err
	})
	if err != nil {
		return nil, tokenProblem(err)
	}
	s.event(ctx, event, user)
	return &out, nil
}
