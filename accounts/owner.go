package accounts

import (
	"context"
	"errors"
	"time"

	"accountd/internal/store"
)

// Caller is the sender of a request, known by an access token. The account is looked up once, when it is first needed.
// A Caller must not be used by several goroutines at once.
type Caller struct {
	service *Service
	token   string

	known   bool // the fields below are set
	account *account
	session int64
	err     error
}

// Caller returns the caller behind an access token; an empty or invalid token makes an anonymous one.
func (s *Service) Caller(accessToken string) *Caller { return &Caller{service: s, token: accessToken} }

// User returns the caller's account: the active user of the live session that the token belongs to. It is nil for an
// anonymous caller.
func (c *Caller) User(ctx context.Context) (*User, error) {
	err := c.identify(ctx)
	return c.account.user(), err
}

// identify looks the account up when it is called first.
func (c *Caller) identify(ctx context.Context) error {
	if c.known {
		return c.err
	}
	c.known = true
	if claims, err := c.service.tokens.Verify(c.token); err == nil { // otherwise the caller is anonymous
		c.session = claims.Session
		c.err = c.load(ctx, claims.Subject)
	}
	return c.err
}

func (c *Caller) load(ctx context.Context, id int64) error {
	// Not by read, which would cost each request five allocations.
	return c.service.db.ReadOne(ctx, func(tx *store.Tx) (err error) {
		c.account, err = c.service.sessionUser(ctx, tx, c.session, id)
		return err
	})
}

// Needs are what an operation on the caller's own account requires beside a login.
type Needs uint8

// The needs, in the order in which they are checked.
const (
	NeedsVerified  Needs = 1 << iota // the account is verified
	NeedsSecondary                   // it has a secondary address
	NeedsPassword                    // the caller has given its password
)

// Owner is a caller for whom [Caller.AsOwner] has checked the needs of an operation. Operations on one's own account
// take an Owner, so none can be called without the check. The zero Owner is refused as unauthenticated.
type Owner struct {
	account account // as it was checked
	session int64
	needs   Needs
}

// PasswordInput is the argument of operations on one's own account that need the password only.
type PasswordInput struct {
	Password string `arg:"password,proof"`
}

// maxReplaced is how often AsOwner and Login compare a password again because the stored hash was replaced meanwhile.
const maxReplaced = 3

// AsOwner checks needs and runs op, an operation on the caller's own account. The first need that is not met comes
// back as Errors, in the order of the API. NeedsPassword costs one hash; a wrong password is a problem of the argument
// field and counts as a failed login does.
//
// op checks everything again in its transaction, by Service.change. Where that finds the stored hash replaced, nothing
// has changed, and the password is compared with the new hash. After three such replacements AsOwner fails with
// *BusyError.
func (c *Caller) AsOwner(ctx context.Context, needs Needs, field, password string, op func(Owner) error) error {
	err := c.identify(ctx)
	for range 1 + maxReplaced {
		if err != nil {
			return err
		}
		u := c.account
		if err := u.lacks(needs); err != nil {
			return err
		}
		if needs&NeedsPassword != 0 {
			ok, _, err := c.service.verifyPassword(ctx, u, ownName(u), password, u.password, "password_refused")
			if err != nil {
				return err
			}
			if !ok {
				return one(field, errInvalidPassword)
			}
		}
		if err := op(Owner{*u, c.session, needs}); !errors.Is(err, errPasswordReplaced) {
			return err
		}
		err = c.load(ctx, u.ID)
	}
	return &BusyError{RetryAfter: time.Second}
}

// ownName is the name of verifyPassword for a caller, who has typed none. It is not valid UTF-8, so no request has it.
func ownName(u *account) string { return "\xff" + accountKey(u.ID) }

// lacks returns the first need, except for the password, that the account does not meet. u is nil for an anonymous
// caller.
func (u *account) lacks(needs Needs) error {
	switch {
	case u == nil:
		return one(NonField, errUnauthenticated)
	case needs&NeedsVerified != 0 && !u.Verified:
		return one(NonField, errNotVerified)
	case needs&NeedsSecondary != 0 && u.secondary == "":
		return one(NonField, errSecondaryRequired)
	default:
		return nil
	}
}

// finder returns the account of an operation in the transaction that changes it.
type finder = func(context.Context, *store.Tx) (*account, error)

// change runs fn, the change of an operation, in a transaction of write, on the account that find returns: byOwner or
// byToken. It saves what fn has changed of the account, and logs event when that is committed. Write is for most
// operations, WriteUrgent for what has to work on a full disk.
func (s *Service) change(
	ctx context.Context, write transaction, find finder, event string, fn func(tx *store.Tx, u *account) error,
) error {
	var u *account
	err := write(ctx, func(tx *store.Tx) (err error) {
		if u, err = find(ctx, tx); err != nil {
			return err
		}
		before := *u
		if err := fn(tx, u); err != nil {
			return err
		}
		return save(ctx, tx, &before, u)
	})
	if err == nil {
		s.event(ctx, event, u.ID)
	}
	return err
}

// byOwner finds the owner's account for change. Sessions, addresses and passwords may have changed while the password
// was hashed, so everything that AsOwner has checked is checked again. It fails as AsOwner does, or with
// errPasswordReplaced.
func (s *Service) byOwner(owner Owner) finder {
	return func(ctx context.Context, tx *store.Tx) (*account, error) {
		now, err := s.sessionUser(ctx, tx, owner.session, owner.account.ID)
		if err != nil {
			return nil, err
		}
		if err := now.lacks(owner.needs); err != nil {
			return nil, err
		}
		if owner.needs&NeedsPassword == 0 {
			return now, nil
		}
		if now.password != owner.account.password {
			return nil, errPasswordReplaced
		}
		return now, s.clearOwnFailures(ctx, tx, now)
	}
}
