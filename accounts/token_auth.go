package accounts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"accountd/internal/store"
)

// LoginInput are the arguments of tokenAuth: the password and exactly one name to log in by, out of
// Settings.LoginFields.
type LoginInput struct {
	Password string  `arg:"password"`
	Email    *string `arg:"email,optional"`
	Username *string `arg:"username,optional"`
}

// Login begins a session, and unarchives an archived account. It costs one password hash, also if the name has no
// account. The answer is the same for a wrong password, an unknown or inactive user, a user without a password and an
// account with too many wrong passwords. Nothing changes before the password is verified.
//
// It fails with Errors, *UsageError, *ThrottledError or *BusyError; with the latter also where the stored hash was
// replaced during each of the attempts to compare it.
func (s *Service) Login(ctx context.Context, in LoginInput) (*Session, error) {
	field, name := in.name()
	if !slices.Contains(s.settings.LoginFields, field) {
		return nil, &UsageError{fmt.Sprintf("Must login with password and one of the following fields ['%s'].",
			strings.Join(s.settings.LoginFields, "', '"))}
	}
	for range 1 + maxReplaced {
		out, err := s.login(ctx, field, name, in.Password)
		if !errors.Is(err, errPasswordReplaced) {
			return out, err
		}
	}
	return nil, &BusyError{RetryAfter: time.Second}
}

// name returns the field and the form that is looked up of the one name that is given: the canonical form, or what was
// typed where an address has none. Both are "" unless there is exactly one.
func (in LoginInput) name() (field, name string) {
	switch {
	case in.Email == nil && in.Username != nil:
		return "username", usernameKey(*in.Username)
	case in.Email != nil && in.Username == nil:
		address, err := ParseAddress(trim(*in.Email))
		if err != nil {
			return "email", *in.Email
		}
		return "email", address.Canonical
	default:
		return "", ""
	}
}

// errPasswordReplaced says that another hash was stored while one was compared with the password: of another password,
// or of the same one at the current parameters.
var errPasswordReplaced = errors.New("the stored password has been replaced")

// login is Login once. It fails with errPasswordReplaced where the stored hash is no longer the one that it compared.
func (s *Service) login(ctx context.Context, field, name, password string) (*Session, error) {
	var u *account
	err := s.db.ReadOne(ctx, func(tx *store.Tx) (err error) {
		u, err = s.loginUser(ctx, tx, field, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	encoded := ""
	if u != nil && u.IsActive {
		encoded = u.password
	}
	ok, upgrade, err := s.verifyPassword(ctx, u, name, password, encoded, "login_failed")
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, one(NonField, errInvalidCredentials)
	}
	if !u.Verified && !s.settings.AllowLoginNotVerified {
		s.failedEvent(ctx, "login_failed", u.ID)
		return nil, one(NonField, errNotVerified)
	}
	if upgrade {
		if encoded, err = s.hasher.Hash(ctx, s.client(ctx), password); err != nil {
			return nil, err
		}
	}
	out := &Session{}
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		now, err := s.userByID(ctx, tx, u.ID)
		switch {
		case err != nil:
			return err
		case now == nil || !now.IsActive:
			return one(NonField, errInvalidCredentials) // deactivated while the password was hashed
		case now.password != u.password:
			return errPasswordReplaced
		}
		out.User, out.Unarchived = now.user(), now.Archived
		before, at := *now, time.Unix(tx.Now.Unix(), 0).UTC()
		now.LastLogin, now.Archived, now.password = &at, false, encoded
		if err := save(ctx, tx, &before, now); err != nil {
			return err
		}
		if err := s.clearOwnFailures(ctx, tx, now); err != nil {
			return err
		}
		if err := s.rememberNetwork(ctx, tx, now.ID); err != nil {
			return err
		}
		return s.startSession(ctx, tx, now, out)
	})
	if err != nil {
		return nil, err
	}
	s.event(ctx, "token_issued", u.ID)
	return out, nil
}

// loginUser returns the user that may log in by a name; nil for no user.
func (s *Service) loginUser(ctx context.Context, tx *store.Tx, field, name string) (*account, error) {
	if field == "username" {
		return s.find(ctx, tx, s.users.byUsername, name)
	}
	u, err := s.userByAddress(ctx, tx, name)
	if err != nil || u == nil || u.canonical != name && !s.settings.LoginWithSecondaryEmail {
		return nil, err
	}
	return u, nil
}
