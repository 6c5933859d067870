package accounts

import (
	"context"

	"accountd/internal/store"
)

// LiveAccess says whether an access token authenticates anybody.
func (s *Service) LiveAccess(ctx context.Context, accessToken string) (bool, error) {
	u, err := s.Viewer(ctx, accessToken)
	return u != nil, err
}

// LiveRefresh says whether the session of a refresh token goes on.
func (s *Service) LiveRefresh(ctx context.Context, refreshToken string) (live bool, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		live, err = s.tokens.LiveRefresh(ctx, tx, refreshToken)
		return err
	})
	return live, err
}
