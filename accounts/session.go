package accounts

import (
	"context"
	"errors"

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

func (s *Service) startSession(ctx context.Context, tx *store.Tx, u *User, out *Session) error {
	pair, err := s.tokens.Start(ctx, tx, u.subject())
	if err != nil {
		return err
	}
	out.set(pair)
	return nil
}

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
	u, err := s.holder(ctx, claims)
	if err != nil {
		return nil, err
	}
	if u == nil {
		return nil, one(NonField, errInvalidToken)
	}
	return &Session{Payload: &claims}, nil
}

// RefreshTokenInput are the arguments of refreshToken.
type RefreshTokenInput struct {
	RefreshToken *string `arg:"refreshToken,optional"`
}

// RefreshToken exchanges a refresh token for the next pair. It is refused to users who could not log in.
func (s *Service) RefreshToken(ctx context.Context, in RefreshTokenInput) (*Session, error) {
	out := &Session{}
	var user int64
	var stolen *tokens.ReuseError
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		pair, err := s.tokens.Refresh(ctx, tx, given(in.RefreshToken), func(id int64) (tokens.Subject, error) {
			user = id
			u, err := s.userByID(ctx, tx, id)
			if err != nil {
				return tokens.Subject{}, err
			}
			if u == nil || !u.IsActive || u.Archived || !u.Verified && !s.settings.AllowLoginNotVerified {
				return tokens.Subject{}, tokens.ErrInvalid
			}
			return u.subject(), nil
		})
		if errors.As(err, &stolen) {
			return nil // the end of the session has to be committed
		}
		if err != nil {
			return err
		}
		out.set(pair)
		return nil
	})
	if err != nil {
		return nil, tokenProblem(err)
	}
	if stolen != nil {
		s.event(ctx, "refresh_token_reused", stolen.User)
		return nil, one(NonField, errInvalidToken)
	}
	s.event(ctx, "refresh_token_rotated", user)
	return out, nil
}

// RevokeTokenInput are the arguments of revokeToken.
type RevokeTokenInput struct {
	RefreshToken *string `arg:"refreshToken,optional"`
}

// Revocation is what revokeToken gives out.
type Revocation struct {
	Revoked int64 // unix seconds
}

// RevokeToken ends the session of a refresh token, access tokens included.
func (s *Service) RevokeToken(ctx context.Context, in RevokeTokenInput) (*Revocation, error) {
	var out Revocation
	var user int64
	err := s.db.Write(ctx, func(tx *store.Tx) (err error) {
		out.Revoked = tx.Now.Unix()
		user, err = s.tokens.Revoke(ctx, tx, given(in.RefreshToken))
		return err
	})
	if err != nil {
		return nil, tokenProblem(err)
	}
	s.event(ctx, "refresh_token_revoked", user)
	return &out, nil
}

// given is an optional argument; left out, it is as good as empty.
func given(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
