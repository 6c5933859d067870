package accounts

import (
	"context"

	"accountd/email"
	"accountd/internal/ratelimit"
	"accountd/internal/store"
	"accountd/tokens"
)

// RegisterInput are the arguments of register. Where registration is passwordless, the passwords are not looked at.
type RegisterInput struct {
	Fields    Values `arg:"fields"` // those of Settings.RegisterArguments
	Password1 string `arg:"password1"`
	Password2 string `arg:"password2"`
}

// Register creates an account, sends its mails, and logs in where the settings let unverified users. Problems of the
// form come all at once; a claimed address and a full outbox only for a clean form.
//
// Under RevealNothing a claimed address is no problem: its owner gets a mail, the answer, always without tokens, is
// the same as for a free one, and so are later ones.
func (s *Service) Register(ctx context.Context, in RegisterInput) (*Session, error) {
	if s.settings.Reveal == RevealNothing {
		defer s.padDuration(ctx)()
	}
	f, err := s.checkRegistration(ctx, in)
	if err != nil {
		return nil, s.logThrottled(ctx, "registration_throttled", nil, err)
	}
	n := f.newUser()
	if !s.settings.PasswordlessRegistration {
		if n.password, err = s.hasher.Hash(ctx, s.client(ctx), in.Password2); err != nil {
			return nil, err
		}
	}
	out := &Session{}
	event := "user_registered"
	var id int64
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		errs := Errors{}
		if err := f.taken(ctx, tx, 0, errs); err != nil {
			return err
		}
		if len(errs) > 0 {
			return errs
		}
		if err := s.acceptingRegistration(ctx, tx); err != nil {
			return err
		}
		if err := s.limitNetwork(ctx, tx, limitRegistration, ratelimit.Count); err != nil {
			return err
		}
		mailing := s.mailsRegistrations()
		if mailing {
			if mailing, err = s.mayAsk(ctx, tx, nil); err != nil {
				return err
			}
		}
		if s.settings.Reveal == RevealNothing {
			holder, err := s.userByAddress(ctx, tx, n.email.Canonical)
			if err != nil {
				return err
			}
			if holder != nil {
				id, event = holder.ID, "registration_of_claimed_address"
				if err := hold(ctx, tx, f); err != nil || !mailing {
					return err
				}
				return s.tellHolder(ctx, tx, holder, n.email.Canonical)
			}
		}
		if id, err = insertUser(ctx, tx, n); err != nil {
			return err
		}
		u, err := s.userByID(ctx, tx, id)
		if err != nil {
			return err
		}
		if mailing {
			if err := s.sendRegistered(ctx, tx, u); err != nil {
				return err
			}
		}
		if s.settings.AllowLoginNotVerified && !s.settings.PasswordlessRegistration && s.settings.Reveal != RevealNothing {
			return s.startSession(ctx, tx, u, out)
		}
		return nil
	})
	if err != nil {
		return nil, s.logThrottled(ctx, "registration_throttled", nil, err)
	}
	s.event(ctx, event, id)
	return out, nil
}

// checkRegistration judges a registration form in the three phases of the API, then the address and the outbox.
func (s *Service) checkRegistration(ctx context.Context, in RegisterInput) (form, error) {
	errs := Errors{}
	f := s.judge(s.settings.RegisterArguments(), in.Fields, Address{}, errs)
	f.discreet = s.settings.Reveal == RevealNothing
	passwordOK := !s.settings.PasswordlessRegistration && cleanPasswords("password1", "password2", in.Password1, in.Password2, errs)
	claimed := false
	err := s.db.Read(ctx, func(tx *store.Tx) error {
		if err := f.taken(ctx, tx, 0, errs); err != nil {
			return err
		}
		if passwordOK {
			s.checkPassword("password2", in.Password2, f.who, errs)
		}
		if len(errs) > 0 {
			return errs
		}
		if err := s.limitNetwork(ctx, tx, limitRegistration, ratelimit.Check); err != nil {
			return err
		}
		if s.settings.Reveal != RevealNothing {
			var err error
			if claimed, err = addressClaimed(ctx, tx, f.address.Canonical); err != nil {
				return err
			}
			if claimed {
				return one("email", errEmailInUse)
			}
		}
		return s.acceptingRegistration(ctx, tx)
	})
	if claimed && len(s.networkRates(ctx, limitRegistration)) > 0 { // a search for accounts counts as well
		if counted := s.db.Write(ctx, func(tx *store.Tx) error { return s.limitNetwork(ctx, tx, limitRegistration, ratelimit.Count) }); counted != nil {
			return f, counted
		}
	}
	return f, err
}

// hold takes what an account would take whose address were free: its id, and the values that no two accounts may
// have. Otherwise a second registration, or the id of a third, would tell that the address is claimed. They are
// held for as long as an unverified account would have them.
func hold(ctx context.Context, tx *store.Tx, f form) error {
	id, err := store.NextID(ctx, tx, "users")
	if err != nil {
		return err
	}
	return holdValues(ctx, tx, id, f.unique())
}

func (s *Service) sendsPasswordSet() bool {
	return s.settings.PasswordlessRegistration && s.settings.SendPasswordSetEmail
}

// mailsRegistrations reports whether register may have to send a mail.
func (s *Service) mailsRegistrations() bool {
	return s.settings.SendActivationEmail || s.sendsPasswordSet() || s.settings.Reveal == RevealNothing
}

// acceptingRegistration fails with Errors when register may have to send a mail and none are taken.
func (s *Service) acceptingRegistration(ctx context.Context, tx *store.Tx) error {
	if s.mailsRegistrations() {
		return mailProblem(s.outbox.Accepting(ctx, tx))
	}
	return nil
}

// sendRegistered sends the mails of a new account.
func (s *Service) sendRegistered(ctx context.Context, tx *store.Tx, u *account) error {
	if s.settings.SendActivationEmail {
		if err := s.sendActivation(ctx, tx, u, email.Activation); err != nil {
			return err
		}
	}
	if !s.sendsPasswordSet() {
		return nil
	}
	token, err := s.tokens.SignAction(tokens.Action{
		Purpose: tokens.PasswordSet, User: u.ID, Address: u.canonical, Epoch: u.credentialEpoch,
	})
	if err != nil {
		return err
	}
	return s.send(ctx, tx, u.addresses()[0], email.Mail{Kind: email.PasswordSet, User: u.mailUser(), Token: token})
}
