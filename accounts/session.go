package accounts

import (
	"context"

	"accountd/internal/store"
	"accountd/tokens"
)

// Session is what an operation gives out. Zero values mean: not given.
type Session struct {
	Token            string // access token
	RefreshToken     string
	Payload          *tokens.Claims
	RefreshExpiresIn int64 // unix seconds
	Unarchived       bool
	User             *User
}

func (out *Session) set(pair tokens.Pair) {
	out.Token, out.RefreshToken = pair.Access, pair.Refresh
	out.Payload, out.RefreshExpiresIn = &pair.Claims, pair.RefreshExpiresAt
}

func (s *Service) startSession(ctx context.Context, tx *store.Tx, u *account, out *Session) error {
	pair, err := s.tokens.Start(ctx, tx, u.subject())
	if err != nil {
		return err
	}
	out.set(pair)
	return nil
}

// given is an optional argument; left out, it is as good as empty.
func given(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
