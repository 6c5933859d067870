package accounts

import (
	"context"

	"accountd/internal/store"
	"accountd/tokens"
)

// VerifyTokenInput are the arguments of verifyToken.
type VerifyTokenInput struct {
	Token *string `arg:"token,optional"`
}

// VerifyToken tells what a good access token claims. One whose session has ended, or whose user is not
// active, is not good.
func (s *Service) VerifyToken(ctx context.Context, in VerifyTokenInput) (*Session, error) {
	claims, err := s.tokens.Verify(given(in.Token))
	if err != nil {
		return nil, tokenProblem(err)
	}
	held, err := s.held(ctx, claims)
	if err != nil {
		return nil, err
	}
	if !held {
		return nil, one(NonField, errInvalidToken)
	}
	return &Session{Payload: &claims}, nil
}

// LiveAccess says whether an access token authenticates anybody.
func (s *Service) LiveAccess(ctx context.Context, accessToken string) (bool, error) {
	claims, err := s.tokens.Verify(accessToken)
	if err != nil {
		return false, nil // nobody
	}
	return s.held(ctx, claims)
}

// held says whether the session of an access token is live and its user active.
func (s *Service) held(ctx context.Context, claims tokens.Claims) (held bool, err error) {
	err = s.db.ReadOne(ctx, func(tx *store.Tx) error {
		held, err = holds(ctx, tx, claims.Session, claims.Subject)
		return err
	})
	return held, err
}

// LiveRefresh says whether the session of a refresh token goes on.
func (s *Service) LiveRefresh(ctx context.Context, refreshToken string) (live bool, err error) {
	err = s.db.ReadOne(ctx, func(tx *store.Tx) error {
		live, err = s.tokens.LiveRefresh(ctx, tx, refreshToken)
		return err
	})
	return live, err
}
