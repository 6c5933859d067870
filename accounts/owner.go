package accounts

import (
	"context"

	"accountd/internal/store"
)

var errUnauthenticated = Problem{"Unauthenticated.", "unauthenticated"}

// Needs are what the caller of an operation on their own account has to have, beside a login.
type Needs uint8

// NeedsVerified: the account is verified.
const NeedsVerified Needs = 1

// AsOwner runs op, an operation on the caller's own account, when u has what that needs. u is as Viewer gave it: nil
// is nobody. What is missing comes back as Errors.
func (s *Service) AsOwner(_ context.Context, u *User, needs Needs, _, _ string, op func(owner *User) error) error {
	if err := u.lacks(needs); err != nil {
		return err
	}
	return op(u)
}

func (u *User) lacks(needs Needs) error {
	switch {
	case u == nil || !u.IsActive:
		return one(NonField, errUnauthenticated)
	case needs&NeedsVerified != 0 && !u.Verified:
		return one(NonField, errNotVerified)
	default:
		return nil
	}
}

// owner is the caller as they are in the transaction that changes their account. It fails like AsOwner.
func (s *Service) owner(ctx context.Context, tx *store.Tx, u *User) (*User, error) {
	now, err := s.userByID(ctx, tx, u.ID)
	if err != nil {
		return nil, err
	}
	return now, now.lacks(NeedsVerified)
}
