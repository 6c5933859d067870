package accounts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"accountd/email"
	"accountd/internal/store"
	"accountd/tokens"
)

// SetUserInput is a change of an account by an operator. Nil changes nothing.
type SetUserInput struct {
	Fields Values // configured ones

	Username, Email     *string
	SecondaryEmail      *string // "": release it
	FirstName, LastName *string

	Verified, Archived, Active, Staff, Superuser *bool

	Unlock bool // reset the limits on wrong passwords
}

// SetUser changes an account without sending mail. Deactivating, archiving and a moved or released address end all
// sessions and revoke all links; withdrawn verification revokes the links that verify an address. It fails with Errors
// and with ErrNotFound.
func (s *Service) SetUser(ctx context.Context, ref string, in SetUserInput) (*User, error) {
	return s.changeUser(ctx, ref, func(tx *store.Tx, u *account) error {
		before, errs := *u, Errors{}
		f := s.validateUser(u, in, errs)
		for i, address := range u.addresses() {
			holder, err := s.userByAddress(ctx, tx, address.Canonical)
			if err != nil {
				return err
			}
			if holder != nil && holder.ID != u.ID {
				errs.add(addressFields[i], errEmailInUse)
			}
		}
		if err := releaseValues(ctx, tx, f.unique()); err != nil { // operators may give held values away
			return err
		}
		if err := f.taken(ctx, tx, &before, errs); err != nil {
			return err
		}
		if err := setFields(ctx, tx, u.ID, f.custom()); err != nil {
			return err
		}
		if in.Unlock {
			if err := clearFailures(ctx, tx, u.ID); err != nil {
				return err
			}
		}
		reason := ""
		switch {
		case before.IsActive && !u.IsActive:
			reason = "deactivated"
		case u.Archived && !before.Archived:
			reason = "account archived"
		case before.moves(u):
			reason = "address changed"
		default:
			return nil
		}
		return s.tokens.EndAll(ctx, tx, u.ID, 0, reason)
	})
}

// changeUser runs change on an account in a transaction and saves what it has changed. It returns the account after it,
// or before it where change has deleted it. It fails with ErrNotFound.
func (s *Service) changeUser(
	ctx context.Context, ref string, change func(tx *store.Tx, u *account) error,
) (*User, error) {
	u, err := read(ctx, s.db.WriteUrgent, func(tx *store.Tx) (*account, error) {
		u, err := s.resolve(ctx, tx, ref)
		if err != nil {
			return nil, err
		}
		before := *u
		if err := change(tx, u); err != nil {
			return nil, err
		}
		if err := save(ctx, tx, &before, u); err != nil {
			return nil, err
		}
		after, err := s.userByID(ctx, tx, u.ID)
		return cmp.Or(after, &before), err
	})
	return u.user(), err
}

// validateUser validates a change of an account as a registration is validated, and makes it in u.
func (s *Service) validateUser(u *account, in SetUserInput, errs Errors) form {
	var args []Argument
	for _, f := range slices.Concat(builtIn, s.settings.Fields) {
		args = append(args, Argument{Name: f.Name, Field: f})
	}
	values := Values{}
	maps.Copy(values, in.Fields)
	for field, value := range map[string]*string{
		"email": in.Email, "username": in.Username, "first_name": in.FirstName, "last_name": in.LastName,
	} {
		if value != nil {
			values[field] = *value
		}
	}
	f := s.validate(args, values, u.primary(), errs)
	f.apply(u)
	claims := "email" // the field that may claim an address twice
	if in.SecondaryEmail != nil {
		claims = "secondary_email"
		if *in.SecondaryEmail == "" {
			u.setAddresses(u.primary(), Address{})
		} else if address, ok := cleanEmail("secondary_email", *in.SecondaryEmail, errs); ok {
			u.setAddresses(u.primary(), address)
		}
	}
	if u.canonical != "" && u.canonical == u.secondary {
		errs.add(claims, errEmailInUse)
	}
	for _, flag := range []struct{ given, to *bool }{
		{in.Verified, &u.Verified}, {in.Archived, &u.Archived}, {in.Active, &u.IsActive}, {in.Staff, &u.IsStaff},
		{in.Superuser, &u.IsSuperuser},
	} {
		if flag.given != nil {
			*flag.to = *flag.given
		}
	}
	return f
}

// SetUserPassword sets the password of an account without sending mail. All sessions end, and all links are revoked. It
// fails with Errors for a password that the rules refuse, and with ErrNotFound.
func (s *Service) SetUserPassword(ctx context.Context, ref, password string) (*User, error) {
	u, err := s.lookUp(ctx, ref)
	if err != nil {
		return nil, err
	}
	errs := Errors{}
	if cleanPassword("password", password, errs) {
		s.checkPassword("password", password, u.passwordOwner(), errs)
	}
	if len(errs) > 0 {
		return nil, errs
	}
	encoded, err := s.hasher.Hash(ctx, s.client(ctx), password)
	if err != nil {
		return nil, err
	}
	return s.changeUser(ctx, ref, func(tx *store.Tx, now *account) error {
		if now.ID != u.ID {
			return fmt.Errorf("%w: %q was deleted meanwhile", ErrNotFound, ref)
		}
		return s.replacePassword(ctx, tx, now, encoded, "password set by an operator")
	})
}

// DeleteUser deactivates an account, or deletes it permanently if that is given or set by Settings.DeletePermanently,
// without sending mail. It returns the account as it is, or was, and fails with ErrNotFound.
func (s *Service) DeleteUser(ctx context.Context, ref string, permanently bool) (*User, error) {
	return s.changeUser(ctx, ref, func(tx *store.Tx, u *account) error {
		return s.remove(ctx, tx, u, permanently || s.settings.DeletePermanently)
	})
}

// Sessions returns the sessions of a user, ended ones included, the newest first. It fails with ErrNotFound.
func (s *Service) Sessions(ctx context.Context, ref string) ([]tokens.SessionState, error) {
	return read(ctx, s.db.Read, func(tx *store.Tx) ([]tokens.SessionState, error) {
		u, err := s.resolve(ctx, tx, ref)
		if err != nil {
			return nil, err
		}
		return s.tokens.Sessions(ctx, tx, u.ID)
	})
}

// ErrNoSession means that a user has no live session with an id.
var ErrNoSession = errors.New("there is no such session")

// EndSession ends a session of a user; all of them with id 0. It fails with ErrNotFound and ErrNoSession.
func (s *Service) EndSession(ctx context.Context, ref string, id int64) error {
	const reason = "revoked by an operator"
	_, err := s.changeUser(ctx, ref, func(tx *store.Tx, u *account) error {
		if id == 0 {
			return s.tokens.EndAll(ctx, tx, u.ID, 0, reason)
		}
		err := s.tokens.End(ctx, tx, u.ID, id, reason)
		if errors.Is(err, tokens.ErrInvalid) {
			return fmt.Errorf("%w: %d is no live session of %q", ErrNoSession, id, ref)
		}
		return err
	})
	return err
}

// Revoked counts what RevokeAll has ended.
type Revoked struct {
	Sessions int64 // live ones
	Mails    int64 // dropped from the outbox
}

// RevokeAll prepares a database for use that was restored from a backup or has lost its WAL: nothing that was revoked
// since may become valid again. It ends every session with a reason, revokes every link in mails, and drops the mails
// in the outbox. lastIDs are the last ids that the replaced database has given out, by table; nil where it cannot be
// read. New rows get greater ids, so no token of the replaced database names one.
func RevokeAll(ctx context.Context, db *store.DB, lastIDs map[string]int64, reason string) (out Revoked, err error) {
	err = db.Write(ctx, func(tx *store.Tx) error {
		if err := revokeAllLinks(ctx, tx); err != nil {
			return err
		}
		if out.Sessions, err = tokens.EndAll(ctx, tx, reason); err != nil {
			return err
		}
		if out.Mails, err = email.DropAll(ctx, tx); err != nil {
			return err
		}
		return store.SkipIDs(ctx, tx, lastIDs)
	})
	return out, err
}
