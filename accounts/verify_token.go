package accounts

import (
	"context"
	"errors"

	"accountd/internal/store"
)

// VerifyToken returns the claims of a valid access token. A token is invalid when its session has ended or its user is
// not active.
func (s *Service) VerifyToken(ctx context.Context, in AccessTokenInput) (*Session, error) {
	claims, err := s.tokens.Verify(given(in.Token))
	if err != nil {
		return nil, tokenProblem(err)
	}
	live := false
	err = s.db.ReadOne(ctx, func(tx *store.Tx) (err error) {
		live, err = sessionUserExists(ctx, tx, claims.Session, claims.Subject)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !live {
		return nil, one(NonField, errInvalidToken)
	}
	return &Session{Payload: &claims}, nil
}

// LiveAccess reports whether an access token is valid, as VerifyToken does.
func (s *Service) LiveAccess(ctx context.Context, accessToken string) (bool, error) {
	_, err := s.VerifyToken(ctx, AccessTokenInput{&accessToken})
	if _, invalid := errors.AsType[Errors](err); invalid {
		return false, nil
	}
	return err == nil, err
}

// LiveRefresh reports whether the session of a refresh token is live.
func (s *Service) LiveRefresh(ctx context.Context, refreshToken string) (bool, error) {
	return read(ctx, s.db.ReadOne, func(tx *store.Tx) (bool, error) {
		return s.tokens.LiveRefresh(ctx, tx, refreshToken)
	})
}
