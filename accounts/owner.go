package accounts

import (
	"context"
	"errors"

	"accountd/internal/store"
)

// Needs are what the caller of an operation on their own account has to have, beside a login.
type Needs uint8

// The needs, in the order in which they are asked for.
const (
	NeedsVerified  Needs = 1 << iota // the account is verified
	NeedsSecondary                   // it has a secondary address
	NeedsPassword                    // the caller knows its password
)

// AsOwner runs op, an operation on the caller's own account, when u has what that needs. u is as Viewer gave it: nil
// is nobody. What is missing comes back as Errors, the first in the order of the API; a wrong password belongs to
// the argument field, and counts as at a login. With NeedsPassword it costs one hash.
//
// What was found is found again in op's transaction, by owner. Where the stored password has been replaced since it
// was compared, op is run again if the new one is the caller's too: it must have changed nothing then.
func (s *Service) AsOwner(ctx context.Context, u *User, needs Needs, field, password string, op func(owner *User) error) error {
	for {
		if u == nil {
			return one(NonField, errUnauthenticated)
		}
		if err := u.lacks(needs); err != nil {
			return err
		}
		if needs&NeedsPassword != 0 {
			ok, _, err := s.verifyPassword(ctx, u, ownName(u), password, u.password, "password_refused")
			if err != nil {
				return err
			}
			if !ok {
				return one(field, errInvalidPassword)
			}
		}
		owner := *u
		owner.needs = needs
		if err := op(&owner); !errors.Is(err, errPasswordReplaced) {
			return err
		}
		err := s.db.ReadOne(ctx, func(tx *store.Tx) (err error) {
			u, err = s.sessionUser(ctx, tx, owner.session, owner.ID)
			return err
		})
		if err != nil {
			return err
		}
	}
}

// ownName stands for the account of a caller, who typed no name. It is not valid UTF-8, as every name in a request is.
func ownName(u *User) string { return "\xff" + accountKey(u.ID) }

// lacks says the first thing but the password that is missing.
func (u *User) lacks(needs Needs) error {
	switch {
	case needs&NeedsVerified != 0 && !u.Verified:
		return one(NonField, errNotVerified)
	case needs&NeedsSecondary != 0 && u.secondary == "":
		return one(NonField, errSecondaryRequired)
	default:
		return nil
	}
}

// errNotAsked says that an operation on one's own account was called past AsOwner.
var errNotAsked = errors.New("accounts: nobody asked whether the caller may do this")

// owner is the caller as they are in the transaction that changes their account. It fails like AsOwner, and with
// errPasswordReplaced.
func (s *Service) owner(ctx context.Context, tx *store.Tx, u *User) (*User, error) {
	if u.needs == 0 {
		return nil, errNotAsked
	}
	now, err := s.sessionUser(ctx, tx, u.session, u.ID)
	if err != nil {
		return nil, err
	}
	if now == nil {
		return nil, one(NonField, errUnauthenticated)
	}
	if err := now.lacks(u.needs); err != nil {
		return nil, err
	}
	if u.needs&NeedsPassword == 0 {
		return now, nil
	}
	if now.password != u.password {
		return nil, errPasswordReplaced
	}
	return now, s.clearOwnFailures(ctx, tx, now)
}

// Viewer is the active user whose live session an access token belongs to; nil for anybody else.
func (s *Service) Viewer(ctx context.Context, accessToken string) (*User, error) {
	claims, err := s.tokens.Verify(accessToken)
	if err != nil {
		return nil, nil // the token authenticates nobody: anonymous, by contract
	}
	var u *User
	err = s.db.ReadOne(ctx, func(tx *store.Tx) (err error) {
		u, err = s.sessionUser(ctx, tx, claims.Session, claims.Subject)
		return err
	})
	return u, err
}
