package accounts

import (
	"context"

	"accountd/internal/store"
	"accountd/tokens"
)

// VerifyToken returns the claims of a valid access token. A token is invalid when its session has ended or its user is
// not active.
func (s *Service) VerifyToken(ctx context.Context, in AccessTokenInput) (*Session, error) {
	claims, err := s.tokens.Verify(given(in.Token))
	if err != nil {
		return nil, tokenProblem(err)
	}
	live, err := s.sessionIsLive(ctx, claims)
	if err != nil {
		return nil, err
	}
	if !live {
		return nil, one(NonField, errInvalidToken)
	}
	return &Session{Payload: &claims}, nil
}

// LiveAccess reports whether an access token authenticates a user.
func (s *Service) LiveAccess(ctx context.Context, accessToken string) (bool, error) {
	claims, err := s.tokens.Verify(accessToken)
	if err != nil {
		return false, nil // the reason does not matter
	}
	return s.sessionIsLive(ctx, claims)
}

// sessionIsLive reports whether the session of an access token is live and its user active.
func (s *Service) sessionIsLive(ctx context.Context, claims tokens.Claims) (live bool, err error) {
	err = s.db.ReadOne(ctx, func(tx *store.Tx) error {
		live, err = sessionUserExists(ctx, tx, claims.Session, claims.Subject)
		return err
	})
	return live, err
}

// LiveRefresh reports whether the session of a refresh token is live.
func (s *Service) LiveRefresh(ctx context.Context, refreshToken string) (live bool, err error) {
	err = s.db.ReadOne(ctx, func(tx *store.Tx) error {
		live, err = s.tokens.LiveRefresh(ctx, tx, refreshToken)
		return err
	})
	return live, err
}
