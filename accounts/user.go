package accounts

import (
	"strings"
	"time"

	"accountd/email"
	passwords "accountd/internal/password"
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

	Throttled *Throttled // logins are refused; found by FindUser alone
}

// account is a user with the columns that nobody is shown.
type account struct {
	User
	usernameKey     string // Username as it is compared; "": the account has none of its own
	password        string // encoded hash, "": none
	canonical       string // of Email
	secondary       string // canonical form of SecondaryEmail
	credentialEpoch int64
	secondaryEpoch  int64
}

// user returns what is shown of an account; nil for nil.
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

// FieldNames are the fields of an account that are shown, by their names in settings: built-in ones, then those of the
// configured ones that are public.
func (s Settings) FieldNames() []string {
	names := []string{
		"id", "pk", "username", "email", "secondary_email", "first_name", "last_name", "verified", "archived", "is_active", "is_staff",
		"date_joined", "last_login",
	}
	for _, f := range s.Fields {
		if f.Public {
			names = append(names, f.Name)
		}
	}
	return names
}

// id is 0 for nobody.
func (u *account) id() int64 {
	if u == nil {
		return 0
	}
	return u.ID
}

func (u *account) subject() tokens.Subject { return tokens.Subject{ID: u.ID, Username: u.Username} }

func (u *User) mailUser() email.User {
	return email.User{
		ID: u.ID, Username: u.Username, Email: u.Email, SecondaryEmail: u.SecondaryEmail, FirstName: u.FirstName, LastName: u.LastName,
		IsStaff: u.IsStaff, IsActive: u.IsActive, Verified: u.Verified, Archived: u.Archived, DateJoined: u.DateJoined, LastLogin: u.LastLogin,
		Fields: u.Fields,
	}
}

// mailbox is where mail to an address goes: the local part as its owner wrote it, the domain in ASCII.
func (a Address) mailbox() string {
	local, _, _ := strings.Cut(a.Shown, "@")
	_, domain, _ := strings.Cut(a.Canonical, "@")
	return local + "@" + domain
}

// addresses are the primary one and, where there is one, the secondary.
func (u *account) addresses() []Address {
	list := []Address{{Canonical: u.canonical, Shown: u.Email}}
	if u.secondary != "" {
		list = append(list, Address{Canonical: u.secondary, Shown: u.SecondaryEmail})
	}
	return list
}

// address is the one of the user's that has this canonical form.
func (u *account) address(canonical string) (Address, bool) {
	for _, a := range u.addresses() {
		if a.Canonical == canonical {
			return a, true
		}
	}
	return Address{}, false
}

// moves reports whether an address that the user has changes its place, or is given up.
func (u *account) moves(primary, secondary string) bool {
	return u.canonical != primary || u.secondary != "" && u.secondary != secondary
}

func (u *account) passwordOwner() passwords.Owner {
	return passwords.Owner{Username: u.ownUsername(), FirstName: u.FirstName, LastName: u.LastName, Email: u.Email}
}

// hasPassword reports whether a password is set. What Django stores where there is none begins with an
// exclamation mark.
func (u *account) hasPassword() bool { return u.password != "" && u.password[0] != '!' }
