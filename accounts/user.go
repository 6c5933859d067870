package accounts

import (
	"time"

	"accountd/email"
	passwords "accountd/internal/password"
)

// User is what an account's owner, staff and operators are shown of it.
type User struct {
	ID             int64
	Username       string // the primary address, for an account without a username
	Email          string // primary address, as shown
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
	Fields         Values     // of every configured field; nil where none are configured

	Throttled *Throttled // why passwords are refused; set by FindUser only
}

// account is a user with the columns that stay inside this package.
type account struct {
	User
	usernameKey     string // Username as it is compared; "": the account has none of its own
	password        string // encoded hash, "": none
	canonical       string // of Email
	secondary       string // canonical form of SecondaryEmail
	credentialEpoch int64
	secondaryEpoch  int64
}

// user returns what is shown of an account, nil for no account.
func (u *account) user() *User {
	if u == nil {
		return nil
	}
	return &u.User
}

// ownUsername returns the account's username; "" for an account without one.
func (u *account) ownUsername() string {
	if u.usernameKey == "" {
		return ""
	}
	return u.Username
}

// FieldNames returns the names of the fields that the API and templates show, as in settings: the built-in ones, then
// the configured ones that are public.
func (s Settings) FieldNames() []string {
	names := []string{
		"id", "pk", "username", "email", "secondary_email", "first_name", "last_name", "verified", "archived",
		"is_active",
		"is_staff", "date_joined", "last_login",
	}
	for _, f := range s.Fields {
		if f.Public {
			names = append(names, f.Name)
		}
	}
	return names
}

// id returns 0 for no account.
func (u *account) id() int64 {
	if u == nil {
		return 0
	}
	return u.ID
}

func (u *User) mailUser() email.User {
	return email.User{
		ID: u.ID, Username: u.Username, Email: u.Email, SecondaryEmail: u.SecondaryEmail, FirstName: u.FirstName,
		LastName: u.LastName, IsStaff: u.IsStaff, IsActive: u.IsActive, Verified: u.Verified, Archived: u.Archived,
		DateJoined: u.DateJoined, LastLogin: u.LastLogin, Fields: u.Fields,
	}
}

// addresses returns the primary address and the secondary one, if there is one.
func (u *account) addresses() []Address {
	list := []Address{u.primary()}
	if u.secondary != "" {
		list = append(list, Address{Canonical: u.secondary, Shown: u.SecondaryEmail})
	}
	return list
}

// primary returns the primary address.
func (u *account) primary() Address { return Address{Canonical: u.canonical, Shown: u.Email} }

// address returns the user's address with a canonical form.
func (u *account) address(canonical string) (Address, bool) {
	for _, a := range u.addresses() {
		if a.Canonical == canonical {
			return a, true
		}
	}
	return Address{}, false
}

// moves reports whether one of the user's addresses would change its role or be released.
func (u *account) moves(primary, secondary string) bool {
	return u.canonical != primary || u.secondary != "" && u.secondary != secondary
}

func (u *account) passwordOwner() passwords.Owner {
	return passwords.Owner{Username: u.ownUsername(), FirstName: u.FirstName, LastName: u.LastName, Email: u.Email}
}

// hasPassword reports whether a password is set. Django stores an exclamation mark and random text for no password.
func (u *account) hasPassword() bool { return u.password != "" && u.password[0] != '!' }
