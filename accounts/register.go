package accounts

import (
	"context"

	"accountd/email"
	"accountd/internal/ratelimit"
	"accountd/internal/store"
)

// RegisterInput are the arguments of register. Passwordless registration ignores the passwords.
type RegisterInput struct {
	Fields    Values `arg:"fields"` // those of Settings.RegisterArguments
	Password1 string `arg:"password1"`
	Password2 string `arg:"password2"`
}

// Register creates an account, sends its mails, and logs in where unverified users may. Problems of the form are
// reported all at once; a claimed address or a full outbox only for a form without problems.
//
// Under RevealNothing a claimed address succeeds as a free one does, without tokens, and its holder gets a mail. Later
// registrations do not reveal it either: see hold.
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
				return s.notifyHolder(ctx, tx, holder, n.email.Canonical)
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
		if s.settings.AllowLoginNotVerified && !s.settings.PasswordlessRegistration &&
			s.settings.Reveal != RevealNothing {
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

// checkRegistration validates the form in the three phases of the API, then checks limits, address and outbox.
func (s *Service) checkRegistration(ctx context.Context, in RegisterInput) (form, error) {
	errs := Errors{}
	f := s.validate(s.settings.RegisterArguments(), in.Fields, Address{}, errs)
	f.discreet = s.settings.Reveal == RevealNothing
	passwordOK := !s.settings.PasswordlessRegistration &&
		cleanPasswords("password1", "password2", in.Password1, in.Password2, errs)
	claimed := false
	err := s.db.Read(ctx, func(tx *store.Tx) (err error) {
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
		counted := s.db.Write(ctx, func(tx *store.Tx) error {
			return s.limitNetwork(ctx, tx, limitRegistration, ratelimit.Count)
		})
		if counted != nil {
			return f, counted
		}
	}
	return f, err
}

// hold reserves, for a registration of a claimed address, what a new account would have taken: an id and the unique
// values. Otherwise a second registration, or the id of a third, would reveal that the address is claimed. The values
// are held as long as an unverified account would keep them.
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

// acceptingRegistration is accepting where register may have to send a mail.
func (s *Service) acceptingRegistration(ctx context.Context, tx *store.Tx) error {
	if !s.mailsRegistrations() {
		return nil
	}
	return s.accepting(ctx, tx)
}

// sendRegistered sends the mails of a new account.
func (s *Service) sendRegistered(ctx context.Context, tx *store.Tx, u *account) error {
	if s.settings.SendActivationEmail {
		if err := s.sendLink(ctx, tx, u, u.primary(), email.Activation); err != nil {
			return err
		}
	}
	if !s.sendsPasswordSet() {
		return nil
	}
	return s.sendLink(ctx, tx, u, u.primary(), email.PasswordSet)
}
