package accounts

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"accountd/internal/store"
)

// LoginInput are the arguments of tokenAuth: the password and exactly one name to log in by, out of
// Settings.LoginFields.
type LoginInput struct {
	Password string  `arg:"password"`
	Email    *string `arg:"email,optional"`
	Username *string `arg:"username,optional"`
}

// Login begins a session. It costs one password hash whoever is asked for, and answers the same for a wrong
// password, an unknown or inactive user, one without a password and one of whom too many were tried. Nothing changes before the password
// is proven; then an archived account is taken back.
func (s *Service) Login(ctx context.Context, in LoginInput) (*Session, error) {
	if !in.names(s.settings.LoginFields) {
		return nil, &UsageError{fmt.Sprintf("Must login with password and one of the following fields ['%s'].",
			strings.Join(s.settings.LoginFields, "', '"))}
	}
	for {
		out, err := s.login(ctx, in)
		if !errors.Is(err, errPasswordReplaced) {
			return out, err
		}
	}
}

// names reports whether there is exactly one name, and that it is one of fields.
func (in LoginInput) names(fields []string) bool {
	if in.Email != nil {
		return in.Username == nil && slices.Contains(fields, "email")
	}
	return in.Username != nil && slices.Contains(fields, "username")
}

// name is the one name in the form that is looked up, or what was typed where it has none.
func (in LoginInput) name() string {
	if in.Username != nil {
		return usernameKey(*in.Username)
	}
	address, err := ParseAddress(trim(*in.Email))
	if err != nil {
		return *in.Email
	}
	return address.Canonical
}

// errPasswordReplaced says that another password, or another hash of the same, was stored while one was compared
// with the password that was given: ask again.
var errPasswordReplaced = errors.New("the stored password has been replaced")

func (s *Service) login(ctx context.Context, in LoginInput) (*Session, error) {
	var u *account
	err := s.db.ReadOne(ctx, func(tx *store.Tx) (err error) {
		u, err = s.loginUser(ctx, tx, in)
		return err
	})
	if err != nil {
		return nil, err
	}
	encoded := ""
	if u != nil && u.IsActive {
		encoded = u.password
	}
	ok, upgrade, err := s.verifyPassword(ctx, u, in.name(), in.Password, encoded, "login_failed")
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
		if encoded, err = s.hasher.Hash(ctx, s.client(ctx), in.Password); err != nil {
			return nil, err
		}
	}
	out := &Session{}
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		now, err := s.userByID(ctx, tx, u.ID)
		if err != nil {
			return err
		}
		if now == nil || !now.IsActive {
			return one(NonField, errInvalidCredentials) // deactivated while the password was hashed
		}
		if now.password != u.password {
			return errPasswordReplaced
		}
		out.User, out.Unarchived = now.user(), now.Archived
		if err := recordLogin(ctx, tx, now, encoded); err != nil {
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

// loginUser finds who is meant, nil for nobody.
func (s *Service) loginUser(ctx context.Context, tx *store.Tx, in LoginInput) (*account, error) {
	if in.Username != nil {
		return s.userByUsername(ctx, tx, usernameKey(*in.Username))
	}
	address, err := ParseAddress(trim(*in.Email))
	if err != nil {
		return nil, nil // no address, so nobody's
	}
	u, err := s.userByAddress(ctx, tx, address.Canonical)
	if err != nil || u == nil || u.canonical != address.Canonical && !s.settings.LoginWithSecondaryEmail {
		return nil, err
	}
	return u, nil
}
