package accounts

import (
	"context"
	"slices"

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
// registrations do not reveal it either: see holdValues.
func (s *Service) Register(ctx context.Context, in RegisterInput) (*Session, error) {
	discreet := s.settings.Reveal == RevealNothing
	if discreet {
		defer s.padDuration(ctx)()
	}
	f, err := s.checkRegistration(ctx, in)
	if err != nil {
		return nil, s.logThrottled(ctx, "registration_throttled", nil, err)
	}
	u := account{User: User{User: email.User{IsActive: true}}}
	f.apply(&u)
	if !s.settings.PasswordlessRegistration {
		if u.password, err = s.hasher.Hash(ctx, s.client(ctx), in.Password2); err != nil {
			return nil, err
		}
	}
	out, event := &Session{}, "user_registered"
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		holder, err := s.mayRegister(ctx, tx, f, Errors{}, ratelimit.Count)
		if err != nil {
			return err
		}
		mails := s.registrationMails()
		mailing := len(mails) > 0 || discreet
		if mailing {
			if mailing, err = s.mayAsk(ctx, tx, nil); err != nil {
				return err
			}
		}
		if holder != nil {
			u.ID, event = holder.ID, "registration_of_claimed_address"
			if err := holdValues(ctx, tx, f.unique()); err != nil || !mailing {
				return err
			}
			return s.notifyHolder(ctx, tx, holder, f.address.Canonical)
		}
		if u.ID, err = insertUser(ctx, tx, u, f.custom()); err != nil {
			return err
		}
		added, err := s.userByID(ctx, tx, u.ID)
		if err != nil {
			return err
		}
		if mailing {
			for _, kind := range mails {
				if err := s.sendLink(ctx, tx, added, added.primary(), kind); err != nil {
					return err
				}
			}
		}
		if s.settings.AllowLoginNotVerified && !s.settings.PasswordlessRegistration && !discreet {
			return s.startSession(ctx, tx, added, out)
		}
		return nil
	})
	if err != nil {
		return nil, s.logThrottled(ctx, "registration_throttled", nil, err)
	}
	s.event(ctx, event, u.ID)
	return out, nil
}

// checkRegistration validates the form in the three phases of the API, then what mayRegister checks.
func (s *Service) checkRegistration(ctx context.Context, in RegisterInput) (form, error) {
	errs := Errors{}
	f := s.validate(s.settings.RegisterArguments(), in.Fields, Address{}, errs)
	f.discreet = s.settings.Reveal == RevealNothing
	if !s.settings.PasswordlessRegistration &&
		cleanPasswords("password1", "password2", in.Password1, in.Password2, errs) {
		s.checkPassword("password2", in.Password2, f.who, errs)
	}
	err := s.db.Read(ctx, func(tx *store.Tx) error {
		_, err := s.mayRegister(ctx, tx, f, errs, ratelimit.Check)
		return err
	})
	if slices.Contains(errs["email"], errEmailInUse) && len(s.networkRates(ctx, limitRegistration)) > 0 {
		// A search for accounts counts as well.
		counted := s.db.Write(ctx, func(tx *store.Tx) error {
			return s.limitNetwork(ctx, tx, limitRegistration, ratelimit.Count)
		})
		if counted != nil {
			return f, counted
		}
	}
	return f, err
}

// mayRegister adds the problems of a form that depend on other accounts to errs, and fails with them. For a form
// without problems it applies the limits on the client's network, and checks the address and the outbox. It returns the
// account that has the address; nil for a free address.
func (s *Service) mayRegister(
	ctx context.Context, tx *store.Tx, f form, errs Errors, apply limiter,
) (holder *account, err error) {
	if err := f.taken(ctx, tx, &account{}, errs); err != nil {
		return nil, err
	}
	if err := s.limitNetwork(ctx, tx, limitRegistration, apply); err != nil {
		return nil, err
	}
	if holder, err = s.userByAddress(ctx, tx, f.address.Canonical); err != nil {
		return nil, err
	}
	if holder != nil && !f.discreet {
		errs.add("email", errEmailInUse)
		return nil, errs
	}
	if f.discreet || len(s.registrationMails()) > 0 {
		err = s.accepting(ctx, tx)
	}
	return holder, err
}

// registrationMails returns the kinds of mail that a new account gets.
func (s *Service) registrationMails() (kinds []email.Kind) {
	if s.settings.SendActivationEmail {
		kinds = append(kinds, email.Activation)
	}
	if s.settings.PasswordlessRegistration && s.settings.SendPasswordSetEmail {
		kinds = append(kinds, email.PasswordSet)
	}
	return kinds
}
