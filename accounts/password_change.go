package accounts

import (
	"context"

	"accountd/email"
	"accountd/internal/store"
)

// ChangePasswordInput are the arguments of passwordChange.
type ChangePasswordInput struct {
	OldPassword  string `arg:"oldPassword,proof"`
	NewPassword1 string `arg:"newPassword1"`
	NewPassword2 string `arg:"newPassword2"`
}

// ChangePassword sets another password. All sessions end, the caller's included, and a new one begins.
func (s *Service) ChangePassword(ctx context.Context, owner Owner, in ChangePasswordInput) (*Session, error) {
	if err := s.checkNewPassword(&owner.account, in.NewPassword1, in.NewPassword2); err != nil {
		return nil, err
	}
	encoded, err := s.hasher.Hash(ctx, s.client(ctx), in.NewPassword2)
	if err != nil {
		return nil, err
	}
	out := &Session{}
	err = s.change(ctx, s.db.WriteUrgent, owner, "password_changed", func(tx *store.Tx, u *account) error {
		if err := s.replacePassword(ctx, tx, u, encoded, "password changed"); err != nil {
			return err
		}
		out.User = u.user()
		if err := s.notify(ctx, tx, email.NoticePasswordChanged, u); err != nil {
			return err
		}
		return s.startSession(ctx, tx, u, out)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
