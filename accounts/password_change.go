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

// ChangePassword sets another password. All sessions end, the caller's own too, and a new one begins.
func (s *Service) ChangePassword(ctx context.Context, owner Owner, in ChangePasswordInput) (*Session, error) {
	if err := s.checkNewPassword(&owner.account, in.NewPassword1, in.NewPassword2); err != nil {
		return nil, err
	}
	encoded, err := s.hasher.Hash(ctx, s.client(ctx), in.NewPassword2)
	if err != nil {
		return nil, err
	}
	out := &Session{}
	err = s.db.WriteUrgent(ctx, func(tx *store.Tx) error {
		now, err := s.recheck(ctx, tx, owner)
		if err != nil {
			return err
		}
		if err := s.replacePassword(ctx, tx, now.ID, encoded, "password changed"); err != nil {
			return err
		}
		after, err := s.userByID(ctx, tx, now.ID)
		if err != nil {
			return err
		}
		out.User = after.user()
		if err := s.notify(ctx, tx, email.NoticePasswordChanged, now); err != nil {
			return err
		}
		return s.startSession(ctx, tx, after, out)
	})
	if err != nil {
		return nil, err
	}
	s.event(ctx, "password_changed", owner.account.ID)
	return out, nil
}
