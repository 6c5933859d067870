package accounts

import (
	"context"
	"errors"

	"accountd/email"
	"accountd/internal/store"
	"accountd/tokens"
)

// errWaitForRoom undoes a refresh that rotates on a full disk.
var errWaitForRoom = errors.New("a refresh has to wait until the disk has room")

// RefreshToken exchanges a refresh token for the next pair of tokens. Reuse of a rotated token ends its session and is
// reported to the owner, on a full disk too.
func (s *Service) RefreshToken(ctx context.Context, in RefreshTokenInput) (*Session, error) {
	out := &Session{}
	var reused *tokens.ReuseError
	refresh := func(tx *store.Tx) error {
		pair, err := s.tokens.Refresh(ctx, tx, given(in.RefreshToken), s.subjectOf(ctx, tx))
		if errors.As(err, &reused) { // no error: the end of the session is to be committed
			u, err := s.userByID(ctx, tx, reused.User)
			if err != nil || u == nil || !u.IsActive {
				return err
			}
			return s.notify(ctx, tx, email.NoticeSessionsEnded, u)
		}
		if err == nil {
			out.set(pair)
		}
		return err
	}
	err := s.db.Write(ctx, refresh)
	if full := err; errors.Is(full, store.ErrFull) {
		err = s.db.WriteUrgent(ctx, func(tx *store.Tx) error {
			if err := refresh(tx); err != nil || reused != nil {
				return err
			}
			return errWaitForRoom
		})
		if errors.Is(err, errWaitForRoom) {
			err = full
		}
	}
	if err != nil {
		return nil, s.refreshProblem(ctx, err)
	}
	if reused != nil {
		s.event(ctx, "refresh_token_reused", reused.User)
		return nil, one(NonField, errInvalidToken)
	}
	event := "refresh_token_rotated"
	if out.RefreshToken == given(in.RefreshToken) {
		event = "token_refreshed" // without rotation the token stays valid
	}
	s.event(ctx, event, out.Payload.Subject)
	return out, nil
}

// subjectOf is refreshSubject in a transaction, as package tokens calls it.
func (s *Service) subjectOf(ctx context.Context, tx *store.Tx) func(userID int64) (tokens.Subject, error) {
	return func(id int64) (tokens.Subject, error) { return s.refreshSubject(ctx, tx, id) }
}

// refreshProblem is tokenProblem, and logs a refused token. The event names no user: the token proves none.
func (s *Service) refreshProblem(ctx context.Context, err error) error {
	err = tokenProblem(err)
	if _, refused := errors.AsType[Errors](err); refused {
		s.failedEvent(ctx, "refresh_failed", 0)
	}
	return err
}

// RefreshAccessToken exchanges an access token that has not expired for the next one of its session.
func (s *Service) RefreshAccessToken(ctx context.Context, in AccessTokenInput) (*Session, error) {
	out := &Session{}
	err := s.db.Read(ctx, func(tx *store.Tx) error {
		pair, err := s.tokens.RefreshAccess(ctx, tx, given(in.Token), s.subjectOf(ctx, tx))
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
