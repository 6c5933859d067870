package accounts

import (
	"context"
	"errors"

	"accountd/email"
	"accountd/internal/store"
	"accountd/tokens"
)

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
