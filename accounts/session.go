package accounts

import (
	"context"
	"errors"

	"accountd/email"
	"accountd/internal/store"
	"accountd/tokens"
)

// RefreshTokenInput is the argument of refreshToken and revokeToken.
type RefreshTokenInput struct {
	RefreshToken string `arg:"refreshToken,optional"`
}

// AccessTokenInput is the argument of verifyToken, and without long-running refresh tokens of refreshToken and
// revokeToken.
type AccessTokenInput struct {
	Token string `arg:"token,optional"`
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

// VerifyToken returns the claims of a valid access token. A token is invalid when its session has ended or its user is
// not active.
func (s *Service) VerifyToken(ctx context.Context, in AccessTokenInput) (*Session, error) {
	claims, err := s.tokens.Verify(in.Token)
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
	_, err := s.VerifyToken(ctx, AccessTokenInput{accessToken})
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

// RefreshToken exchanges a refresh token for the next pair of tokens. Reuse of a rotated token ends its session and is
// reported to the owner, on a full disk too.
func (s *Service) RefreshToken(ctx context.Context, in RefreshTokenInput) (*Session, error) {
	out := &Session{}
	var reused *tokens.ReuseError
	refresh := func(tx *store.Tx) error {
		pair, err := s.tokens.Refresh(ctx, tx, in.RefreshToken, s.subjectOf(ctx, tx))
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
	if errors.Is(err, store.ErrFull) {
		err = s.db.WriteUrgent(ctx, func(tx *store.Tx) error {
			if err := refresh(tx); err != nil || reused != nil {
				return err
			}
			// A rotation waits for room. store.ErrFull itself would let WriteUrgent try again.
			return errors.New(store.ErrFull.Error())
		})
	}
	if err != nil {
		return nil, s.refreshProblem(ctx, err)
	}
	if reused != nil {
		s.event(ctx, "refresh_token_reused", reused.User)
		return nil, one(NonField, errInvalidToken)
	}
	event := "refresh_token_rotated"
	if out.RefreshToken == in.RefreshToken {
		event = "token_refreshed" // without rotation the token stays valid
	}
	s.event(ctx, event, out.Payload.Subject)
	return out, nil
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
		pair, err := s.tokens.RefreshAccess(ctx, tx, in.Token, s.subjectOf(ctx, tx))
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

// Revocation is the result of revokeToken.
type Revocation struct {
	Revoked int64 // unix seconds
}

// RevokeToken ends the session of a refresh token, its access tokens included.
func (s *Service) RevokeToken(ctx context.Context, in RefreshTokenInput) (*Revocation, error) {
	return s.revoke(ctx, s.tokens.Revoke, in.RefreshToken, "refresh_token_revoked")
}

// RevokeAccessToken ends the session of an access token. An expired one is accepted: logging out must always work.
func (s *Service) RevokeAccessToken(ctx context.Context, in AccessTokenInput) (*Revocation, error) {
	return s.revoke(ctx, s.tokens.RevokeAccess, in.Token, "token_revoked")
}

func (s *Service) revoke(
	ctx context.Context, end func(context.Context, *store.Tx, string) (int64, error), token, event string,
) (*Revocation, error) {
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
