package accounts

import (
	"accountd/email"
	passwords "accountd/internal/password"
)

// User is what an account's owner, staff and operators are shown of it: what mails show, and more.
type User struct {
	email.User  // Username is the primary address, for an account without a username; Fields has every configured field
	IsSuperuser bool
	Throttled   *Throttled // why passwords are refused; set by FindUser only
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

// id returns 0 for no account.
func (u *account) id() int64 {
	if u == nil {
		return 0
	}
	return u.ID
}

// ownUsername returns the account's username; "" for an account without one.
func (u *account) ownUsername() string {
	if u.usernameKey == "" {
		return ""
	}
	return u.Username
}

// primary returns the primary address.
func (u *account) primary() Address { return Address{Canonical: u.canonical, Shown: u.Email} }

// second returns the secondary address; the zero Address for none.
func (u *account) second() Address { return Address{Canonical: u.secondary, Shown: u.SecondaryEmail} }

// setAddresses replaces the addresses in u.
func (u *account) setAddresses(primary, second Address) {
	u.canonical, u.Email = primary.Canonical, primary.Shown
	u.secondary, u.SecondaryEmail = second.Canonical, second.Shown
	if u.usernameKey == "" {
		u.Username = u.Email
	}
}

// addressFields are the names of the addresses, in the order of account.addresses.
var addressFields = []string{"email", "secondary_email"}

// addresses returns the primary address and the secondary one, if there is one.
func (u *account) addresses() []Address {
	if u.secondary == "" {
		return []Address{u.primary()}
	}
	return []Address{u.primary(), u.second()}
}

// address returns the user's address with a canonical form.
func (u *account) address(canonical string) (Address, bool) {
	for _, a := range u.addresses() {
		if a.Canonical == canonical {
			return a, true
		}
	}
	return Address{}, false
}

// moves reports whether one of the addresses has another role in after, or is released.
func (u *account) moves(after *account) bool {
	return u.canonical != after.canonical || u.secondary != "" && u.secondary != after.secondary
}

func (u *account) passwordOwner() passwords.Owner {
	return passwords.Owner{Username: u.ownUsername(), FirstName: u.FirstName, LastName: u.LastName, Email: u.Email}
}

// hasPassword reports whether a password is set. Django stores an exclamation mark and random text for no password.
func (u *account) hasPassword() bool { return u.password != "" && u.password[0] != '!' }

// FieldNames returns the names of the fields that the API and templates show, as in settings: the built-in ones, then
// the configured ones that are public.
func (s Settings) FieldNames() []string {
	names := []string{
		"id", "pk", "username", "email", "secondary_email", "first_name", "last_name", "verified", "archived",
		"is_active", "is_staff", "date_joined", "last_login",
	}
	for _, f := range s.Fields {
		if f.Public {
			names = append(names, f.Name)
		}
	}
	return names
}
