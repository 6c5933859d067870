package accounts

import (
	"context"

	"golang.org/x/text/unicode/norm"

	"accountd/email"
	"accountd/internal/store"
	"accountd/tokens"
)

// RegisterInput are the arguments of register.
type RegisterInput struct {
	Email     string `arg:"email"`
	Username  string `arg:"username"`
	Password1 string `arg:"password1"`
	Password2 string `arg:"password2"`
}

// Register creates an account, sends its activation mail, and logs in where the settings let unverified
// users. Problems of the form come all at once; a claimed address and a full outbox only for a clean form.
func (s *Service) Register(ctx context.Context, in RegisterInput) (*Session, error) {
	n, err := s.checkNewUser(ctx, in)
	if err != nil {
		return nil, err
	}
	if n.password, err = s.hasher.Hash(ctx, clientOf(ctx), in.Password2); err != nil {
		return nil, err
	}
	out := &Session{}
	var id int64
	err = s.db.Write(ctx, func(tx *store.Tx) (err error) {
		if id, err = insertUser(ctx, tx, n); err != nil {
			return err
		}
		u, err := userByID(ctx, tx, id)
		if err != nil {
			return err
		}
		if s.settings.SendActivationEmail {
			if err := s.outbox.Accepting(ctx, tx); err != nil {
				return mailProblem(err)
			}
			if err := s.sendActivation(ctx, tx, u, email.Activation); err != nil {
				return err
			}
		}
		if s.settings.AllowLoginNotVerified {
			return s.startSession(ctx, tx, u, out)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.event(ctx, "user_registered", id)
	return out, nil
}

// checkNewUser judges a registration form in the three phases of the API, then the address and the outbox.
func (s *Service) checkNewUser(ctx context.Context, in RegisterInput) (newUser, error) {
	errs := Errors{}
	var n newUser
	var who similarTo
	address, emailOK := cleanEmail("email", in.Email, errs)
	if emailOK {
		n.email, who.Email = address, trim(in.Email)
	}
	username, usernameOK := cleanText("username", in.Username, maxName, errs)
	if usernameOK {
		// What the password is compared with is the name as typed, whether or not it turns out to be allowed.
		who.Username = norm.NFKC.String(username)
		n.username, n.usernameKey, usernameOK = cleanUsername("username", username, address, errs)
	}
	passwordOK := cleanPasswords("password1", "password2", in.Password1, in.Password2, errs)
	err := s.db.Read(ctx, func(tx *store.Tx) error {
		if usernameOK {
			taken, err := usernameTaken(ctx, tx, n.usernameKey)
			if err != nil {
				return err
			}
			if taken {
				errs.add("username", errUsernameInUse)
			}
		}
		if passwordOK {
			s.settings.Passwords.checkPassword("password2", in.Password2, who, errs)
		}
		if len(errs) > 0 {
			return errs
		}
		claimed, err := addressClaimed(ctx, tx, n.email.Canonical)
		if err != nil {
			return err
		}
		if claimed {
			return one("email", errEmailInUse)
		}
		if s.settings.SendActivationEmail {
			return mailProblem(s.outbox.Accepting(ctx, tx))
		}
		return nil
	})
	return n, err
}

// sendActivation mails the link that verifies the account's primary address.
func (s *Service) sendActivation(ctx context.Context, tx *store.Tx, u *User, kind email.Kind) error {
	token, err := s.tokens.SignAction(tokens.Action{Purpose: tokens.Activation, User: u.ID, Address: u.canonical})
	if err != nil {
		return err
	}
	return s.outbox.Send(ctx, tx, email.Mail{Kind: kind, To: u.mailbox(), User: u.mailUser(), Token: token})
}
