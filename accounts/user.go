package accounts

import (
	"context"
	"strings"
	"time"

	"accountd/email"
	"accountd/internal/store"
	"accountd/tokens"
)

// User is an account as its owner may see it.
type User struct {
	ID             int64
	Username       string // the address, for an account without a username
	Email          string // as shown
	FirstName      string
	LastName       string
	SecondaryEmail string // "": none
	IsStaff        bool
	IsSuperuser    bool
	IsActive       bool
	Verified       bool
	Archived       bool
	DateJoined     time.Time
	LastLogin      *time.Time // nil: never
	Fields         Values     // every configured field, nil for no value; nil where none are configured

	ownUsername     string // "": none
	usernameKey     string
	public          Values // the part of Fields that templates see
	password        string // encoded hash, "": none
	canonical       string // of Email
	credentialEpoch int64
	secondaryEpoch  int64
}

func (u *User) subject() tokens.Subject { return tokens.Subject{ID: u.ID, Username: u.Username} }

func (u *User) mailUser() email.User {
	return email.User{ID: u.ID, Username: u.Username, Email: u.Email, FirstName: u.FirstName, LastName: u.LastName, Fields: u.public}
}

// setFields takes the values of fields as the database has them.
func (u *User) setFields(fields []Field, values []any) {
	if len(fields) == 0 {
		return
	}
	u.Fields, u.public = Values{}, Values{}
	for i, f := range fields {
		u.Fields[f.Name] = f.read(values[i])
		if f.Public {
			u.public[f.Name] = u.Fields[f.Name]
		}
	}
}

// mailbox is where mail to an address goes: the local part as its owner wrote it, the domain in ASCII.
func (a Address) mailbox() string {
	local, _, _ := strings.Cut(a.Shown, "@")
	_, domain, _ := strings.Cut(a.Canonical, "@")
	return local + "@" + domain
}

func (u *User) mailbox() string { return Address{Canonical: u.canonical, Shown: u.Email}.mailbox() }

// Viewer is the active user whose live session an access token belongs to; nil for anybody else.
func (s *Service) Viewer(ctx context.Context, accessToken string) (*User, error) {
	claims, err := s.tokens.Verify(accessToken)
	if err != nil {
		return nil, nil // the token authenticates nobody: anonymous, by contract
	}
	return s.holder(ctx, claims)
}

// holder is the active user of a live session, nil when there is none.
func (s *Service) holder(ctx context.Context, claims tokens.Claims) (*User, error) {
	var u *User
	err := s.db.Read(ctx, func(tx *store.Tx) error {
		live, err := s.tokens.Live(ctx, tx, claims.Session, claims.Subject)
		if err != nil || !live {
			return err
		}
		u, err = s.userByID(ctx, tx, claims.Subject)
		return err
	})
	if err != nil || u == nil || !u.IsActive {
		return nil, err
	}
	return u, nil
}
