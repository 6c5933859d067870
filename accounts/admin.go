package accounts

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"accountd/email"
	"accountd/internal/store"
	"accountd/internal/usersearch"
	"accountd/tokens"
)

// ErrNotFound says that a reference names no user.
var ErrNotFound = errors.New("there is no such user")

// AddUserInput is an account as an operator makes it. It is judged as a registration is.
type AddUserInput struct {
	Username, Email, SecondaryEmail, FirstName, LastName string

	Fields Values // configured ones

	Password   string
	NoPassword bool // no usable password; Password is not looked at

	Verified, Archived, Inactive, Staff, Superuser bool
}

func (in AddUserInput) values() Values {
	values := Values{"email": in.Email, "username": in.Username, "first_name": in.FirstName, "last_name": in.LastName}
	for _, f := range builtIn {
		if values[f.Name] == "" {
			delete(values, f.Name)
		}
	}
	maps.Copy(values, in.Fields)
	return values
}

// operatorArguments are all fields, under the names that they have in the settings. An operator has to give what an account
// cannot be without.
func (s *Service) operatorArguments() []Argument {
	var args []Argument
	for _, f := range slices.Concat(builtIn, s.settings.Fields) {
		required := f.Name == "email" || f.Name == "username" && slices.Contains(s.settings.RegisterFields, "username")
		args = append(args, Argument{Name: f.Name, Field: f, Required: required})
	}
	return args
}

// AddUser creates an account without sending mail. Problems come back as Errors.
func (s *Service) AddUser(ctx context.Context, in AddUserInput) (*User, error) {
	errs := Errors{}
	f := s.judge(s.operatorArguments(), in.values(), Address{}, errs)
	n := f.newUser()
	n.verified, n.archived, n.inactive, n.staff, n.superuser = in.Verified, in.Archived, in.Inactive, in.Staff, in.Superuser
	if in.SecondaryEmail != "" {
		secondary, ok := cleanEmail("secondary_email", in.SecondaryEmail, errs)
		if ok && secondary.Canonical == n.email.Canonical {
			errs.add("secondary_email", errEmailInUse)
		}
		n.secondary = secondary
	}
	if !in.NoPassword && cleanPassword("password", in.Password, errs) {
		s.checkPassword("password", in.Password, f.who, errs)
	}
	if len(errs) > 0 {
		return nil, errs
	}
	if !in.NoPassword {
		var err error
		if n.password, err = s.hasher.Hash(ctx, s.client(ctx), in.Password); err != nil {
			return nil, err
		}
	}
	var u *account
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		if err := releaseValues(ctx, tx, f.unique()); err != nil { // what is held, an operator may give
			return err
		}
		if err := f.taken(ctx, tx, 0, errs); err != nil {
			return err
		}
		if len(errs) > 0 {
			return errs
		}
		id, err := insertUser(ctx, tx, n)
		if err != nil {
			return err
		}
		u, err = s.userByID(ctx, tx, id)
		return err
	})
	return u.user(), err
}

// FindUser finds a user by id, username or one of their addresses, in this order, and whether logins are refused. It fails with
// ErrNotFound.
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
func (s *Service) lookUp(ctx context.Context, ref string) (u *account, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		u, err = s.resolve(ctx, tx, ref)
		return err
	})
	return u, err
}

func (s *Service) resolve(ctx context.Context, tx *store.Tx, ref string) (*account, error) {
	if id, err := strconv.ParseInt(ref, 10, 64); err == nil {
		if u, err := s.userByID(ctx, tx, id); err != nil || u != nil {
			return u, err
		}
	}
	if u, err := s.userByUsername(ctx, tx, usernameKey(ref)); err != nil || u != nil {
		return u, err
	}
	if address, err := ParseAddress(trim(ref)); err == nil {
		if u, err := s.userByAddress(ctx, tx, address.Canonical); err != nil || u != nil {
			return u, err
		}
	}
	return nil, fmt.Errorf("%w: %q is no id, username or address", ErrNotFound, ref)
}

// EachUser calls fn for what is shown of every user in the order of ids, and stops at its first error. It reads in batches, so
// that a slow fn keeps no snapshot open.
func (s *Service) EachUser(ctx context.Context, fn func(*User) error) error {
	const batch = 500
	after := int64(0)
	for {
		var list []*User
		err := s.db.Read(ctx, func(tx *store.Tx) (err error) {
			list, _, err = s.filteredUsers(ctx, tx, usersearch.New(nil, nil), usersearch.Stretch{After: after, Before: usersearch.NoEnd, Limit: batch}, nil)
			return err
		})
		if err != nil {
			return err
		}
		for _, u := range list {
			if err := fn(u); err != nil {
				return err
			}
			after = u.ID
		}
		if len(list) < batch {
			return nil
		}
	}
}

// Link is a token as a mail would carry it.
type Link struct {
	User  *User // whose it is
	Token string
	URL   string
}

// Link makes a token for a user without mailing it. newAddress is the address to be confirmed, for
// tokens.SecondaryEmail only.
func (s *Service) Link(ctx context.Context, purpose tokens.Purpose, ref, newAddress string) (Link, error) {
	u, err := s.lookUp(ctx, ref)
	if err != nil {
		return Link{}, err
	}
	action := tokens.Action{Purpose: purpose, User: u.ID, Address: u.canonical, Epoch: u.credentialEpoch}
	kind := email.Kind(purpose)
	switch purpose {
	case tokens.Activation:
		action.Epoch = u.secondaryEpoch
	case tokens.SecondaryEmail:
		address, err := ParseAddress(trim(newAddress))
		if err != nil {
			return Link{}, one("email", errInvalidEmail)
		}
		action.Address, action.Epoch, kind = address.text(), u.secondaryEpoch, email.SecondaryEmailActivation
	}
	token, err := s.tokens.SignAction(action)
	if err != nil {
		return Link{}, err
	}
	return Link{User: u.user(), Token: token, URL: s.outbox.Link(kind, token)}, nil
}
