package accounts

import (
	"context"
	"slices"

	"accountd/email"
	"accountd/internal/store"
)

// UpdateAccountInput are the arguments of updateAccount.
type UpdateAccountInput struct {
	Fields Values `arg:"fields"` // those of Settings.UpdateArguments
}

// UpdateAccount changes the given fields and no others. With Errors nothing is changed.
func (s *Service) UpdateAccount(ctx context.Context, owner Owner, in UpdateAccountInput) error {
	errs := Errors{}
	f := s.validateUpdate(s.settings.UpdateArguments(), in.Fields, owner.account.primary(), errs)
	return s.change(ctx, s.db.Write, owner, "account_updated", func(tx *store.Tx, u *account) error {
		if err := f.takenByOthers(ctx, tx, u, errs); err != nil {
			return err
		}
		f.apply(u)
		return setFields(ctx, tx, u.ID, f.custom())
	})
}

// validateUpdate is validate for an existing account: only given fields are validated.
func (s *Service) validateUpdate(args []Argument, in Values, own Address, errs Errors) form {
	for i, a := range args {
		// Where registration requires a username, an account cannot lose it.
		if a.Field.Name == "username" && slices.Contains(s.settings.RegisterFields, "username") {
			_, args[i].Required = in["username"]
		}
	}
	return s.validate(args, in, own, errs)
}

// takenByOthers is taken for a form of the account u. A value that u has already is not checked: another account may
// have had it since before the field was unique.
func (f form) takenByOthers(ctx context.Context, tx *store.Tx, u *account, errs Errors) error {
	for field, value := range u.Fields {
		if value == f.values[field] {
			delete(f.values, field)
		}
	}
	if f.skeleton == usernameSkeleton(u.ownUsername()) {
		f.skeleton = ""
	}
	return f.taken(ctx, tx, u.ID, errs)
}

// Archive archives the account until its next login and ends all sessions.
func (s *Service) Archive(ctx context.Context, owner Owner, _ PasswordInput) error {
	return s.change(ctx, s.db.WriteUrgent, owner, "account_archived", func(tx *store.Tx, u *account) error {
		if err := s.notify(ctx, tx, email.NoticeAccountArchived, u); err != nil {
			return err
		}
		u.Archived = true
		return s.tokens.EndAll(ctx, tx, u.ID, 0, "account archived")
	})
}

// Delete deactivates the account: its username and addresses stay reserved. With Settings.DeletePermanently it deletes
// every row of the account. All sessions end.
func (s *Service) Delete(ctx context.Context, owner Owner, _ PasswordInput) error {
	return s.change(ctx, s.db.WriteUrgent, owner, "account_deleted", func(tx *store.Tx, u *account) error {
		if err := s.notify(ctx, tx, email.NoticeAccountDeleted, u); err != nil {
			return err
		}
		return s.remove(ctx, tx, u, s.settings.DeletePermanently)
	})
}

// remove deactivates or deletes an account and ends its sessions.
func (s *Service) remove(ctx context.Context, tx *store.Tx, u *account, permanently bool) error {
	if permanently {
		return deleteUser(ctx, tx, u.ID)
	}
	u.IsActive = false
	return s.tokens.EndAll(ctx, tx, u.ID, 0, "account deleted")
}
