package accounts

import (
	"context"
	"errors"
	"fmt"
	"maps"

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
	return s.changeUser(ctx, ref, func(tx *store.Tx, before *account) error {
		after, err := s.checkChange(ctx, tx, before, in)
		if err != nil {
			return err
		}
		if err := s.storeChange(ctx, tx, before, after); err != nil {
			return err
		}
		if !in.Unlock {
			return nil
		}
		return clearFailures(ctx, tx, before.ID)
	})
}

// changeUser runs change on an account in a transaction and returns the account after it, or before it where change has
// deleted it. It fails with ErrNotFound.
func (s *Service) changeUser(
	ctx context.Context, ref string, change func(tx *store.Tx, u *account) error,
) (*User, error) {
	var u *account
	err := s.db.WriteUrgent(ctx, func(tx *store.Tx) (err error) {
		if u, err = s.resolve(ctx, tx, ref); err != nil {
			return err
		}
		if err := change(tx, u); err != nil {
			return err
		}
		after, err := s.userByID(ctx, tx, u.ID)
		if after != nil {
			u = after
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return u.user(), nil
}

// changed is an account as it is to be, and the form for its fields.
type changed struct {
	account
	form form
}

// values returns the given fields.
func (in SetUserInput) values() Values {
	values := maps.Clone(in.Fields)
	if values == nil {
		values = Values{}
	}
	for field, value := range map[string]*string{
		"email": in.Email, "username": in.Username, "first_name": in.FirstName, "last_name": in.LastName,
	} {
		if value != nil {
			values[field] = *value
		}
	}
	return values
}

// checkChange validates a change as a registration is validated.
func (s *Service) checkChange(ctx context.Context, tx *store.Tx, before *account, in SetUserInput) (*changed, error) {
	errs := Errors{}
	args := s.operatorArguments()
	for i := range args {
		args[i].Required = args[i].Field.Name == "email" && in.Email != nil
	}
	after := &changed{account: *before, form: s.validateUpdate(args, in.values(), before.primary(), errs)}
	after.canonical, after.Email = after.form.address.Canonical, after.form.address.Shown
	claim := map[string]Address{"email": after.form.address}
	if in.SecondaryEmail != nil {
		if *in.SecondaryEmail == "" {
			after.secondary, after.SecondaryEmail = "", ""
		} else if address, ok := cleanEmail("secondary_email", *in.SecondaryEmail, errs); ok {
			claim["secondary_email"] = address
			after.secondary, after.SecondaryEmail = address.Canonical, address.Shown
		}
	}
	for field, address := range claim {
		holder, err := s.userByAddress(ctx, tx, address.Canonical)
		if err != nil {
			return nil, err
		}
		if holder != nil && holder.ID != before.ID {
			errs.add(field, errEmailInUse)
		}
	}
	if after.canonical == after.secondary {
		field := "secondary_email"
		if in.SecondaryEmail == nil {
			field = "email"
		}
		errs.add(field, errEmailInUse)
	}
	if err := releaseValues(ctx, tx, after.form.unique()); err != nil {
		return nil, err
	}
	if err := after.form.takenByOthers(ctx, tx, before, errs); err != nil {
		return nil, err
	}
	for _, flag := range []struct{ given, to *bool }{
		{in.Verified, &after.Verified}, {in.Archived, &after.Archived}, {in.Active, &after.IsActive},
		{in.Staff, &after.IsStaff}, {in.Superuser, &after.IsSuperuser},
	} {
		if flag.given != nil {
			*flag.to = *flag.given
		}
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return after, nil
}

// storeChange stores a change and ends the sessions and links that it invalidates.
func (s *Service) storeChange(ctx context.Context, tx *store.Tx, before *account, after *changed) error {
	if err := after.form.update(ctx, tx, before); err != nil {
		return err
	}
	if err := updateFlags(ctx, tx, &after.account); err != nil {
		return err
	}
	if before.Verified && !after.Verified {
		if err := revokeAddressLinks(ctx, tx, before.ID); err != nil {
			return err
		}
	}
	for _, address := range after.addresses() {
		if err := claimAddress(ctx, tx, before.ID, address); err != nil {
			return err
		}
	}
	if before.canonical != after.canonical || before.secondary != after.secondary {
		if err := placeAddresses(ctx, tx, before, after.canonical, after.secondary); err != nil {
			return err
		}
	}
	reason := ""
	if before.moves(after.canonical, after.secondary) {
		reason = "address changed"
	}
	if after.Archived && !before.Archived {
		reason = "account archived"
		if err := setArchived(ctx, tx, before.ID); err != nil {
			return err
		}
	}
	if !after.IsActive && before.IsActive {
		reason = "deactivated"
		if err := deactivate(ctx, tx, before.ID); err != nil {
			return err
		}
	}
	if reason == "" {
		return nil
	}
	return s.tokens.EndAll(ctx, tx, before.ID, 0, reason)
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
	err = s.db.WriteUrgent(ctx, func(tx *store.Tx) (err error) {
		if err := s.replacePassword(ctx, tx, u.ID, encoded, "password set by an operator"); err != nil {
			return err
		}
		if u, err = s.userByID(ctx, tx, u.ID); err == nil && u == nil {
			err = fmt.Errorf("%w: %q was deleted meanwhile", ErrNotFound, ref)
		}
		return err
	})
	return u.user(), err
}

// DeleteUser deactivates an account, or deletes it permanently if that is given or set by Settings.DeletePermanently,
// without sending mail. It returns the account as it is, or was, and fails with ErrNotFound.
func (s *Service) DeleteUser(ctx context.Context, ref string, permanently bool) (*User, error) {
	return s.changeUser(ctx, ref, func(tx *store.Tx, u *account) error {
		return s.remove(ctx, tx, u.ID, permanently || s.settings.DeletePermanently)
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
	return s.db.WriteUrgent(ctx, func(tx *store.Tx) error {
		u, err := s.resolve(ctx, tx, ref)
		if err != nil {
			return err
		}
		if id == 0 {
			return s.tokens.EndAll(ctx, tx, u.ID, 0, reason)
		}
		err = s.tokens.End(ctx, tx, u.ID, id, reason)
		if errors.Is(err, tokens.ErrInvalid) {
			return fmt.Errorf("%w: %d is no live session of %q", ErrNoSession, id, ref)
		}
		return err
	})
}
