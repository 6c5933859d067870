package accounts

import (
	"context"
	"errors"

	"accountd/email"
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
	held, err := s.held(ctx, claims)
	if err != nil {
		return nil, err
	}
	if !held {
		return nil, one(NonField, errInvalidToken)
	}
	return &Session{Payload: &claims}, nil
}

// RefreshTokenInput are the arguments of refreshToken.
type RefreshTokenInput struct {
	RefreshToken *string `arg:"refreshToken,optional"`
}

// mayRefresh decides for tokens whether the holder of a session may go on: everybody who could log in, but for
// archived users.
func (s *Service) mayRefresh(ctx context.Context, tx *store.Tx) func(userID int64) (tokens.Subject, error) {
	return func(id int64) (tokens.Subject, error) {
		who, found, err := s.refresher(ctx, tx, id)
		if err == nil && !found {
			err = tokens.ErrInvalid
		}
		return who, err
	}
}

// errNotUrgent undoes a refresh for which there is no room.
var errNotUrgent = errors.New("a refresh has to wait until the disk has room")

// RefreshToken exchanges a refresh token for the next pair.
func (s *Service) RefreshToken(ctx context.Context, in RefreshTokenInput) (*Session, error) {
	out := &Session{}
	var user int64
	var stolen *tokens.ReuseError
	refresh := func(tx *store.Tx) error {
		pair, err := s.tokens.Refresh(ctx, tx, given(in.RefreshToken), s.mayRefresh(ctx, tx))
		if errors.As(err, &stolen) { // the end of the session has to be committed
			u, err := s.userByID(ctx, tx, stolen.User)
			if err != nil || u == nil || !u.IsActive {
				return err
			}
			return s.notify(ctx, tx, email.NoticeSessionsEnded, u)
		}
		if err != nil {
			return err
		}
		out.set(pair)
		user = pair.Claims.Subject
		return nil
	}
	err := s.db.Write(ctx, refresh)
	if errors.Is(err, store.ErrFull) { // the end of a session is written all the same
		full := err
		err = s.db.WriteUrgent(ctx, func(tx *store.Tx) error {
			if err := refresh(tx); err != nil || stolen != nil {
				return err
			}
			return errNotUrgent
		})
		if errors.Is(err, errNotUrgent) {
			err = full
		}
	}
	if err != nil {
		return nil, s.refreshProblem(ctx, err)
	}
	if stolen != nil {
		s.event(ctx, "refresh_token_reused", stolen.User)
		return nil, one(NonField, errInvalidToken)
	}
	event := "refresh_token_rotated"
	if out.RefreshToken == given(in.RefreshToken) {
		event = "token_refreshed" // it stays good
	}
	s.event(ctx, event, user)
	return out, nil
}

// refreshProblem is tokenProblem, and logs that a token was not good enough. Whose it would be nobody has proven.
func (s *Service) refreshProblem(ctx context.Context, err error) error {
	err = tokenProblem(err)
	if _, refused := errors.AsType[Errors](err); refused {
		s.failedEvent(ctx, "refresh_failed", 0)
	}
	return err
}

// RefreshAccessTokenInput are the arguments of refreshToken where there are no refresh tokens.
type RefreshAccessTokenInput struct {
	Token *string `arg:"token,optional"`
}

// RefreshAccessToken exchanges a live access token for the next one of its session.
func (s *Service) RefreshAccessToken(ctx context.Context, in RefreshAccessTokenInput) (*Session, error) {
	out := &Session{}
	err := s.db.Read(ctx, func(tx *store.Tx) error {
		pair, err := s.tokens.RefreshAccess(ctx, tx, given(in.Token), s.mayRefresh(ctx, tx))
		if err == nil {
			out.set(pair)
		}
		return err
	})
	if err != nil {
		return nil, s.refreshProblem(ctx, err)
	}
	s.event(ctx, "token_refreshed", out.Payload.Subject)
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
	return s.revoke(ctx, s.tokens.Revoke, given(in.RefreshToken), "refresh_token_revoked")
}

// RevokeAccessTokenInput are the arguments of revokeToken where there are no refresh tokens.
type RevokeAccessTokenInput struct {
	Token *string `arg:"token,optional"`
}

// RevokeAccessToken ends the session of an access token, which may have expired: nobody is to be told that they
// cannot log out.
func (s *Service) RevokeAccessToken(ctx context.Context, in RevokeAccessTokenInput) (*Revocation, error) {
	return s.revoke(ctx, s.tokens.RevokeAccess, given(in.Token), "token_revoked")
}

func (s *Service) revoke(ctx context.Context, end func(context.Context, *store.Tx, string) (int64, error), token, event string) (*Revocation, error) {
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

// given is an optional argument; left out, it is as good as empty.
func given(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
