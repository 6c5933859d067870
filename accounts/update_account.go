package accounts

import (
	"context"
	"slices"

	"accountd/internal/store"
)

// UpdateAccountInput are the arguments of updateAccount.
type UpdateAccountInput struct {
	Fields Values `arg:"fields"` // those of Settings.UpdateArguments
}

// UpdateAccount changes the fields that are given and leaves the others. All of it is done or, with Errors, nothing.
func (s *Service) UpdateAccount(ctx context.Context, owner Owner, in UpdateAccountInput) error {
	errs := Errors{}
	f := s.judgeUpdate(s.settings.UpdateArguments(), in.Fields, owner.account.addresses()[0], errs)
	err := s.db.Write(ctx, func(tx *store.Tx) error {
		now, err := s.recheck(ctx, tx, owner)
		if err != nil {
			return err
		}
		if err := f.takenFrom(ctx, tx, now, errs); err != nil {
			return err
		}
		if len(errs) > 0 {
			return errs
		}
		return f.update(ctx, tx, now)
	})
	if err != nil {
		return err
	}
	s.event(ctx, "account_updated", owner.account.ID)
	return nil
}

// judgeUpdate is judge for an account that is there already: what is not given stays.
func (s *Service) judgeUpdate(args []Argument, in Values, own Address, errs Errors) form {
	for i, a := range args {
		// Who registers has to have a username, so nobody gets rid of theirs.
		if a.Field.Name == "username" && slices.Contains(s.settings.RegisterFields, "username") {
			_, args[i].Required = in["username"]
		}
	}
	return s.judge(args, in, own, errs)
}

// takenFrom is taken for the account u.
func (f form) takenFrom(ctx context.Context, tx *store.Tx, u *account, errs Errors) error {
	for field, value := range u.Fields {
		if value == f.values[field] {
			delete(f.values, field) // stays, even if somebody else has it since before it was unique
		}
	}
	if f.skeleton == usernameSkeleton(u.ownUsername()) {
		f.skeleton = "" // likewise
	}
	return f.taken(ctx, tx, u.ID, errs)
}

// update stores the fields of a form in the account that has them as in u.
func (f form) update(ctx context.Context, tx *store.Tx, u *account) error {
	if err := setFields(ctx, tx, u.ID, f.custom()); err != nil {
		return err
	}
	username, key, first, last := u.ownUsername(), u.usernameKey, u.FirstName, u.LastName
	if _, given := f.values["username"]; given {
		username, key = f.text("username"), f.usernameKey
	}
	if _, given := f.values["first_name"]; given {
		first = f.text("first_name")
	}
	if _, given := f.values["last_name"]; given {
		last = f.text("last_name")
	}
	return setProfile(ctx, tx, u.ID, username, key, first, last)
}
