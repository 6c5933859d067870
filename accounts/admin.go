package accounts

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"accountd/email"
	"accountd/internal/store"
	"accountd/internal/usersearch"
	"accountd/tokens"
)

// ErrNotFound means that a reference names no user.
var ErrNotFound = errors.New("there is no such user")

// AddUserInput is an account that an operator adds. It is validated as a registration is.
type AddUserInput struct {
	Username, Email, SecondaryEmail, FirstName, LastName string

	Fields Values // configured ones

	Password   string
	NoPassword bool // ignore Password; the account gets none

	Verified, Archived, Inactive, Staff, Superuser bool
}

// AddUser adds an account without sending mail. It fails with Errors.
func (s *Service) AddUser(ctx context.Context, in AddUserInput) (*User, error) {
	u, errs, active := account{}, Errors{}, !in.Inactive
	f := s.validateUser(&u, SetUserInput{
		Fields: in.Fields, Username: &in.Username, Email: &in.Email, SecondaryEmail: &in.SecondaryEmail,
		FirstName: &in.FirstName, LastName: &in.LastName, Verified: &in.Verified, Archived: &in.Archived,
		Active: &active, Staff: &in.Staff, Superuser: &in.Superuser,
	}, errs)
	if !in.NoPassword && cleanPassword("password", in.Password, errs) {
		s.checkPassword("password", in.Password, f.who, errs)
	}
	if len(errs) > 0 {
		return nil, errs
	}
	if !in.NoPassword {
		var err error
		if u.password, err = s.hasher.Hash(ctx, s.client(ctx), in.Password); err != nil {
			return nil, err
		}
	}
	added, err := read(ctx, s.db.Write, func(tx *store.Tx) (*account, error) {
		if err := releaseValues(ctx, tx, f.unique()); err != nil { // operators may give held values away
			return nil, err
		}
		if err := f.taken(ctx, tx, &account{}, errs); err != nil {
			return nil, err
		}
		for i, address := range u.addresses() {
			holder, err := s.userByAddress(ctx, tx, address.Canonical)
			if err != nil {
				return nil, err
			}
			if holder != nil {
				return nil, one(addressFields[i], errEmailInUse)
			}
		}
		id, err := insertUser(ctx, tx, u, f.custom())
		if err != nil {
			return nil, err
		}
		return s.userByID(ctx, tx, id)
	})
	return added.user(), err
}

// FindUser returns the user that ref names by id, username or address, in this order, with User.Throttled. It fails
// with ErrNotFound.
func (s *Service) FindUser(ctx context.Context, ref string) (*User, error) {
	var u *account
	err := s.db.Read(ctx, func(tx *store.Tx) (err error) {
		if u, err = s.resolve(ctx, tx, ref); err != nil {
			return err
		}
		u.Throttled, err = s.throttled(ctx, tx, u)
		return err
	})
	return u.user(), err
}

// lookUp is resolve in a transaction of its own.
func (s *Service) lookUp(ctx context.Context, ref string) (*account, error) {
	return read(ctx, s.db.Read, func(tx *store.Tx) (*account, error) { return s.resolve(ctx, tx, ref) })
}

// resolve returns the account that ref names by id, username or address, in this order. It fails with ErrNotFound.
func (s *Service) resolve(ctx context.Context, tx *store.Tx, ref string) (*account, error) {
	id, _ := strconv.ParseInt(ref, 10, 64) // no user has the id 0
	address, _ := ParseAddress(trim(ref))  // or the address ""
	u, err := s.find(ctx, tx, s.users.byReference, id, usernameKey(ref), address.Canonical)
	if err == nil && u == nil {
		err = fmt.Errorf("%w: %q is no id, username or address", ErrNotFound, ref)
	}
	return u, err
}

// EachUser calls fn for every user in the order of ids and stops at its first error. It reads in batches, so a slow fn
// keeps no snapshot open.
func (s *Service) EachUser(ctx context.Context, fn func(*User) error) error {
	const batch = 500
	all, part := usersearch.New(nil), usersearch.Stretch{Before: usersearch.NoEnd, Limit: batch}
	for {
		list, err := read(ctx, s.db.Read, func(tx *store.Tx) ([]*User, error) {
			list, _, err := s.filteredUsers(ctx, tx, all, part, nil)
			return list, err
		})
		if err != nil {
			return err
		}
		for _, u := range list {
			if err := fn(u); err != nil {
				return err
			}
			part.After = u.ID
		}
		if len(list) < batch {
			return nil
		}
	}
}

// Link is the link of a mail.
type Link struct {
	User  *User
	Token string
	URL   string
}

// Link makes a link for a user without mailing it. newAddress is the address to be verified, for tokens.SecondaryEmail
// only.
func (s *Service) Link(ctx context.Context, purpose tokens.Purpose, ref, newAddress string) (Link, error) {
	u, err := s.lookUp(ctx, ref)
	if err != nil {
		return Link{}, err
	}
	address, kind := u.primary(), email.Kind(purpose)
	if purpose == tokens.SecondaryEmail {
		kind = email.SecondaryEmailActivation
		if address, err = ParseAddress(trim(newAddress)); err != nil {
			return Link{}, one("email", errInvalidEmail)
		}
	}
	token, err := s.signAction(purpose, u, address)
	if err != nil {
		return Link{}, err
	}
	return Link{User: u.user(), Token: token, URL: s.outbox.Link(kind, token)}, nil
}
