package accounts

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"accountd/tokens"
)

func ptr[T any](v T) *T { return &v }

// TestSetUser: what each change does to the account, and whether it ends sessions.
func TestSetUser(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		in     SetUserInput
		want   func(u *account)
		ends   string  // why sessions end, "" if they do not
		epochs [2]bool // which move: credential, secondary
	}{
		{"nothing", SetUserInput{}, func(*account) {}, "", [2]bool{}},
		{"names", SetUserInput{FirstName: ptr(" Ada "), LastName: ptr("Lovelace")},
			func(u *account) { u.FirstName, u.LastName = "Ada", "Lovelace" }, "", [2]bool{}},
		{"username", SetUserInput{Username: ptr(" Countess ")}, func(u *account) { u.Username = "Countess" }, "",
			[2]bool{}},
		{"username in another case", SetUserInput{Username: ptr("ADA")}, func(u *account) { u.Username = "ADA" }, "",
			[2]bool{}},
		{"flags", SetUserInput{Verified: ptr(false), Staff: ptr(true), Superuser: ptr(true)},
			func(u *account) { u.Verified, u.IsStaff, u.IsSuperuser = false, true, true }, "", [2]bool{false, true}},
		{"flags as they are", SetUserInput{Verified: ptr(true), Staff: ptr(false), Active: ptr(true),
			Archived: ptr(false)}, func(*account) {}, "", [2]bool{}},
		{"archived", SetUserInput{Archived: ptr(true)}, func(u *account) { u.Archived = true }, "account archived",
			[2]bool{true, false}},
		{"inactive", SetUserInput{Active: ptr(false)}, func(u *account) { u.IsActive = false }, "deactivated",
			[2]bool{true, true}},
		{"address in another case", SetUserInput{Email: ptr("ADA@Example.com")},
			func(u *account) { u.Email = "ADA@example.com" }, "", [2]bool{}},
		{"another address, and it as username", SetUserInput{Email: ptr("New@Example.com"),
			Username: ptr("new@example.com")}, func(u *account) {
			u.Email, u.canonical, u.Username = "New@example.com", "new@example.com", "new@example.com"
		}, "address changed", [2]bool{true, true}},
		{"another secondary address", SetUserInput{SecondaryEmail: ptr("New@Example.com")},
			func(u *account) { u.SecondaryEmail, u.secondary = "New@example.com", "new@example.com" },
			"address changed", [2]bool{true, true}},
		{"no secondary address", SetUserInput{SecondaryEmail: ptr("")},
			func(u *account) { u.SecondaryEmail, u.secondary = "", "" }, "address changed", [2]bool{true, true}},
		{"addresses swapped", SetUserInput{Email: ptr("Ada2@example.com"), SecondaryEmail: ptr("Ada@example.com")},
			func(u *account) {
				u.Email, u.SecondaryEmail = u.SecondaryEmail, u.Email
				u.canonical, u.secondary = u.secondary, u.canonical
			}, "address changed", [2]bool{true, true}},
		{"secondary address becomes the primary one", SetUserInput{Email: ptr("ada2@example.com"),
			SecondaryEmail: ptr("")}, func(u *account) {
			u.Email, u.canonical, u.SecondaryEmail, u.secondary = "ada2@example.com", "ada2@example.com", "", ""
		}, "address changed", [2]bool{true, true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := newHarness(t, notices)
			h.ada(t)
			h.add(t, AddUserInput{Username: "bob", Email: "bob@example.com"})
			bob := h.user(t, "bob")
			session := h.login(t)
			want := h.user(t, "ada")
			test.want(want)
			want.usernameKey = usernameKey(want.Username)
			got, err := h.SetUser(t.Context(), "ada", test.in)
			if err != nil {
				t.Fatal(err)
			}
			sameShown(t, want, got)
			stored := h.user(t, want.Email)
			leapt(t, want, stored, test.epochs[0], test.epochs[1])
			sameUser(t, want, stored)
			sameUser(t, bob, h.user(t, "2"))
			if n := h.count(t, `SELECT count(*) FROM addresses WHERE user_id = 1`); n != len(want.addresses()) {
				t.Errorf("%d addresses, want %d", n, len(want.addresses()))
			}
			if test.ends == "" {
				if n := h.live(t, 1); n != 1 {
					t.Errorf("%d sessions, want 1", n)
				}
			} else {
				h.dead(t, session)
				if n := h.count(t, `SELECT count(*) FROM sessions WHERE end_reason = ?`, test.ends); n != 1 {
					t.Errorf("it ended %d sessions, want 1", n)
				}
			}
			h.sent(t)
		})
	}
	t.Run("a first secondary address", func(t *testing.T) {
		h := newHarness(t)
		h.add(t, AddUserInput{Username: "ada", Email: "ada@example.com"})
		h.login(t)
		if u, err := h.SetUser(t.Context(), "1", SetUserInput{SecondaryEmail: ptr("Ada2@example.com")}); err != nil ||
			u.SecondaryEmail != "Ada2@example.com" || h.live(t, 1) != 1 {
			t.Errorf("user %+v, error %v, want ada2@example.com and the session live", u, err)
		}
		h.set(t, 1, "is_active", 0)
		h.set(t, 1, "archived", 1)
		if u, err := h.SetUser(t.Context(), "1", SetUserInput{Active: ptr(true), Archived: ptr(false)}); err != nil ||
			!u.IsActive || u.Archived {
			t.Errorf("user %+v, error %v, want it active", u, err)
		}
	})
}

func TestSetUserRefusals(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.ada(t)
	h.add(t, AddUserInput{Username: "bob", Email: "bob@example.com", SecondaryEmail: "bob2@example.com"})
	long := strings.Repeat("a", 151)
	secondaryInUse := Errors{"secondary_email": emailInUse["email"]}
	tests := []struct {
		name string
		in   SetUserInput
		want error
	}{
		{"everything", SetUserInput{Username: ptr("a b"), Email: ptr("b"), SecondaryEmail: ptr(" "), FirstName: &long,
			LastName: ptr("a\x00"), Staff: ptr(true)}, Errors{
			"username": {badUsername}, "email": {badEmail}, "secondary_email": {required},
			"first_name": {maxLength(150, 151)}, "last_name": {nullChars},
		}},
		{"blank", SetUserInput{Username: ptr(""), Email: ptr("")}, Errors{"username": {required}, "email": {required}}},
		{"username taken", SetUserInput{Username: ptr("BOB"), Staff: ptr(true)}, usernameInUse},
		{"another's address as username", SetUserInput{Username: ptr("bob@example.com")},
			Errors{"username": {badUsername}}},
		{"the old address as username", SetUserInput{Username: ptr("ada@example.com"), Email: ptr("new@example.com")},
			Errors{"username": {badUsername}}},
		{"address claimed", SetUserInput{Email: ptr("BOB2@example.com")}, emailInUse},
		{"secondary address claimed", SetUserInput{SecondaryEmail: ptr("bob@example.com"), Active: ptr(false)},
			secondaryInUse},
		{"one address twice", SetUserInput{SecondaryEmail: ptr("ADA@example.com")}, secondaryInUse},
		{"one address twice, the other way round", SetUserInput{Email: ptr("ada2@example.com")}, emailInUse},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h.refused(t, test.want, func() error { _, err := h.SetUser(t.Context(), "ada", test.in); return err })
		})
	}
}

// TestUnknownUser: each operation of commands says so, and changes nothing.
func TestUnknownUser(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.ada(t)
	before := h.dump(t)
	for name, op := range map[string]func() error{
		"SetUser": func() error {
			_, err := h.SetUser(t.Context(), "nobody",
				SetUserInput{Staff: ptr(true)})
			return err
		},
		"SetUserPassword": func() error { _, err := h.SetUserPassword(t.Context(), "nobody", password); return err },
		"DeleteUser":      func() error { _, err := h.DeleteUser(t.Context(), "nobody", true); return err },
		"Sessions":        func() error { _, err := h.Sessions(t.Context(), "nobody"); return err },
		"EndSession":      func() error { return h.EndSession(t.Context(), "nobody", 0) },
	} {
		if err := op(); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: error %v, want %v", name, err, ErrNotFound)
		}
	}
	same(t, before, h.dump(t))
}

func TestSetUserPassword(t *testing.T) {
	t.Parallel()
	h := newHarness(t, notices)
	h.ada(t)
	session := h.login(t)
	h.events(t)
	set := func(password string) func() error {
		return func() error { _, err := h.SetUserPassword(t.Context(), "ada", password); return err }
	}
	for password, want := range map[string]Errors{
		"": {"password": {required}}, "a\x00": {"password": {nullChars}},
		"12345":                   {"password": {tooShort, tooCommon, allNumeric}},
		strings.Repeat("p", 1025): {"password": {tooLongBytes}},
		"ada@example.com":         {"password": {similar("email address")}},
	} {
		h.refused(t, want, set(password))
	}
	want := h.user(t, "ada")
	u, err := h.SetUserPassword(t.Context(), "ada", newPassword)
	if err != nil {
		t.Fatal(err)
	}
	sameShown(t, want, u)
	stored := h.user(t, "ada")
	if stored.password == want.password {
		t.Errorf("stored hash %q, want a new one", stored.password)
	}
	want.password = stored.password
	leapt(t, want, stored, true, true)
	sameUser(t, want, stored)
	h.dead(t, session)
	h.sent(t)
	h.refused(t, invalidCredentials, h.tryLogin(t, byUsername("ada", password)))
	if _, err := h.Login(t.Context(), byUsername("ada", newPassword)); err != nil {
		t.Error(err)
	}
}

// TestSetUserPasswordMeetsChange: the account goes while its password is hashed; or a login began with the old one.
func TestSetUserPasswordMeetsChange(t *testing.T) {
	t.Parallel()
	h := newHarness(t, oneHashAtATime)
	h.ada(t)
	set := func() error { _, err := h.SetUserPassword(t.Context(), "ada", newPassword); return err }
	errs := h.whileHashing(t, func() {}, set, h.tryLogin(t, byUsername("ada", password)))
	if errs[0] != nil || errs[1] != nil && !equalErrors(errs[1], invalidCredentials) || h.live(t, 1) != 0 {
		t.Errorf("errors %v with %d sessions, want the password set and no session", errs, h.live(t, 1))
	}
	errs = h.whileHashing(t, func() { h.exec(t, `DELETE FROM users`) }, set)
	if !errors.Is(errs[0], ErrNotFound) {
		t.Errorf("error %v, want %v", errs[0], ErrNotFound)
	}
}

func TestDeleteUser(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ flag, setting, gone bool }{{false, false, false}, {true, false, true},
		{false, true, true}} {
		t.Run(fmt.Sprintf("%+v", test), func(t *testing.T) {
			h := newHarness(t, notices, func(s *Settings, _ *tokens.Settings) { s.DeletePermanently = test.setting })
			h.ada(t)
			session := h.login(t)
			want := h.user(t, "ada")
			u, err := h.DeleteUser(t.Context(), "ada", test.flag)
			if err != nil {
				t.Fatal(err)
			}
			if !test.gone {
				want.IsActive = false
				stored := h.user(t, "1")
				leapt(t, want, stored, true, true)
				sameUser(t, want, stored)
			}
			sameShown(t, want, u)
			if _, err := h.FindUser(t.Context(), "1"); errors.Is(err, ErrNotFound) != test.gone {
				t.Errorf("error %v, want the user gone: %t", err, test.gone)
			}
			h.dead(t, session)
			h.sent(t)
		})
	}
}

func TestSessions(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.ada(t)
	h.add(t, AddUserInput{Username: "bob", Email: "bob@example.com"})
	other, err := h.Login(t.Context(), byUsername("bob", password))
	if err != nil {
		t.Fatal(err)
	}
	start := h.now().Unix()
	first := h.login(t)
	h.advance(time.Millisecond)
	second := h.login(t)
	h.advance(time.Second - time.Millisecond)
	if _, err := h.RefreshToken(t.Context(), RefreshTokenInput{first.RefreshToken}); err != nil {
		t.Fatal(err)
	}
	const seconds = int64(week / 1e9)
	list, err := h.Sessions(t.Context(), "ada")
	if err != nil || len(list) != 2 || list[1].ID != first.Payload.Session || list[1].CreatedAt != start ||
		list[1].RefreshedAt != start+1 || *list[1].Ends() != start+1+seconds ||
		list[0].ID != second.Payload.Session || list[0].RefreshedAt != start || *list[0].Ends() != start+seconds ||
		list[1].EndedAt != nil || !list[1].Live(start) || list[1].Live(start+1+seconds) {
		t.Fatalf("sessions %+v, error %v, want two live ones, the newest first", list, err)
	}
	h.events(t)
	for _, id := range []int64{other.Payload.Session, second.Payload.Session + 1, -1} { // another's, nobody's
		before := h.dump(t)
		if err := h.EndSession(t.Context(), "ada", id); !errors.Is(err, ErrNoSession) {
			t.Errorf("%d: error %v, want %v", id, err, ErrNoSession)
		}
		same(t, before, h.dump(t))
	}
	if err := h.EndSession(t.Context(), "ada", second.Payload.Session); err != nil {
		t.Fatal(err)
	}
	h.dead(t, second)
	if err := h.EndSession(t.Context(), "ada", second.Payload.Session); !errors.Is(err, ErrNoSession) {
		t.Errorf("ended twice: error %v, want %v", err, ErrNoSession)
	}
	if n := h.live(t, 1); n != 1 {
		t.Errorf("%d sessions, want 1", n)
	}
	if err := h.EndSession(t.Context(), "ada", 0); err != nil {
		t.Fatal(err)
	}
	list, err = h.Sessions(t.Context(), "ada")
	if err != nil || *list[1].EndedAt != start+1 || list[1].EndReason != "revoked by an operator" ||
		list[1].Live(start) || h.live(t, 2) != 1 {
		t.Errorf("sessions %+v, error %v, want both ended by the operator", list, err)
	}
}
