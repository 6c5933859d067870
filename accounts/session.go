package accounts

import (
	"context"

	"accountd/internal/store"
	"accountd/tokens"
)

// RefreshTokenInput is the argument of refreshToken and revokeToken.
type RefreshTokenInput struct {
	RefreshToken *string `arg:"refreshToken,optional"`
}

// AccessTokenInput is the argument of verifyToken, and without long-running refresh tokens of refreshToken and
// revokeToken.
type AccessTokenInput struct {
	Token *string `arg:"token,optional"`
}

// Session is the result of operations that begin, refresh or verify a session. Fields that an operation does not set
// are zero.
type Session struct {
	Token            string // access token
	RefreshToken     string
	Payload          *tokens.Claims
	RefreshExpiresIn int64 // unix seconds
	Unarchived       bool  // the login has unarchived the account
	User             *User
}

func (out *Session) set(pair tokens.Pair) {
	out.Token, out.RefreshToken = pair.Access, pair.Refresh
	out.Payload, out.RefreshExpiresIn = &pair.Claims, pair.RefreshExpiresAt
}

// startSession begins a session of u and sets its tokens in out.
func (s *Service) startSession(ctx context.Context, tx *store.Tx, u *account, out *Session) error {
	pair, err := s.tokens.Start(ctx, tx, tokens.Subject{ID: u.ID, Username: u.Username})
	if err == nil {
		out.set(pair)
	}
	return err
}

// given returns an optional argument; "" for one that is missing.
func given(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
