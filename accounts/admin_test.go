package accounts

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"accountd/email"
	"accountd/internal/store"
	"accountd/tokens"
)

func TestAddUser(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	got := h.add(t, AddUserInput{
		Username: " ａda ", Email: " Ada@Example.COM", SecondaryEmail: "Ada2@BÜCHER.example ", FirstName: " Ada ",
		LastName: " King Noel ",
		Verified: true, Archived: true, Staff: true, Superuser: true,
	})
	want := &User{IsSuperuser: true, User: email.User{
		ID: 1, Username: "ada", Email: "Ada@example.com", SecondaryEmail: "Ada2@bücher.example", FirstName: "Ada",
		LastName: "King Noel", Verified: true, Archived: true, IsStaff: true, IsActive: true,
		DateJoined: h.now().UTC(),
	}}
	if diff := cmp.Diff(want, &got.User); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}
	if !h.login(t).Unarchived {
		t.Error("a login: got unarchived false, want true")
	}
	plain := h.add(t, AddUserInput{Username: "bob", Email: "bob@example.com", NoPassword: true, Password: "1",
		Inactive: true})
	want = &User{User: email.User{ID: 2, Username: "bob", Email: "bob@example.com", DateJoined: h.now().UTC()}}
	if diff := cmp.Diff(want, &plain.User); diff != "" || plain.password != "" {
		t.Errorf("password %q, user (-want +got):\n%s", plain.password, diff)
	}
	h.fillOutbox(t) // it sends nothing
	h.add(t, AddUserInput{Username: "eve", Email: "eve@example.com"})
	if sent := h.mails(t); len(sent) != 0 {
		t.Errorf("mails %+v, want none", sent)
	}
}

func TestAddUserRefusals(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.ada(t)
	long, null := strings.Repeat("a", 151), "a\x00"
	secondaryInUse := Errors{"secondary_email": emailInUse["email"]}
	tests := []struct {
		name string
		in   AddUserInput
		want Errors
	}{
		{"nothing", AddUserInput{}, Errors{"email": {required}, "username": {required}, "password": {required}}},
		{"nothing, without a password", AddUserInput{NoPassword: true},
			Errors{"email": {required}, "username": {required}}},
		{"everything", AddUserInput{Username: "b!", Email: "b", SecondaryEmail: "c", FirstName: long, LastName: null,
			Password: "123"}, Errors{
			"email": {badEmail}, "username": {badUsername}, "secondary_email": {badEmail},
			"first_name": {maxLength(150, 151)}, "last_name": {nullChars},
			"password": {tooShort, tooCommon, allNumeric},
		}},
		{"NUL in the password", AddUserInput{Username: "bob", Email: "bob@example.com", Password: "a\x00"},
			Errors{"password": {nullChars}}},
		{"similar to the first name", AddUserInput{Username: "bob", Email: "bob@example.com", FirstName: "Hildegunde",
			Password: "hildegunde1"}, Errors{"password": {similar("first name")}}},
		{"similar to the last name", AddUserInput{Username: "bob", Email: "bob@example.com", LastName: "Lovelacian",
			Password: "lovelacian1"}, Errors{"password": {similar("last name")}}},
		{"username taken", AddUserInput{Username: "ADA", Email: "ada@example.com", Password: password}, usernameInUse},
		{"address claimed", AddUserInput{Username: "bob", Email: "ADA2@example.com", Password: password}, emailInUse},
		{"secondary address claimed", AddUserInput{Username: "bob", Email: "bob@example.com",
			SecondaryEmail: "ADA@example.com", Password: password}, secondaryInUse},
		{"secondary address is the primary one", AddUserInput{Username: "bob", Email: "bob@example.com",
			SecondaryEmail: "Bob@Example.com", Password: password}, secondaryInUse},
		{"blank secondary address", AddUserInput{Username: "bob", Email: "bob@example.com", SecondaryEmail: " ",
			Password: password}, Errors{"secondary_email": {required}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h.refused(t, test.want, func() error { _, err := h.AddUser(t.Context(), test.in); return err })
		})
	}
}

func TestFindUser(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.ada(t)
	h.add(t, AddUserInput{Username: "1", Email: "one@bücher.example", Inactive: true})
	h.add(t, AddUserInput{Username: "77", Email: "77@example.com"})
	// An id goes before a username, which goes before an address.
	for ref, want := range map[string]int64{
		"1": 1, "2": 2, "77": 3, "ada": 1, " ADA ": 1, "ａda": 1, "Ada@example.com": 1, " ada@EXAMPLE.com ": 1,
		"ada2@example.com": 1, "one@XN--BCHER-KVA.example": 2,
	} {
		if u := h.user(t, ref); u.ID != want {
			t.Errorf("%q is %d, want %d", ref, u.ID, want)
		}
	}
	for _, ref := range []string{"", "4", "-1", "nobody", "nobody@example.com", "%", "ad", "99999999999999999999"} {
		u, err := h.FindUser(t.Context(), ref)
		if want := fmt.Sprintf("there is no such user: %q is no id, username or address", ref); u != nil ||
			!errors.Is(err, ErrNotFound) || err.Error() != want {
			t.Errorf("%q: got %+v and error %v, want %s", ref, u, err, want)
		}
	}
}

// TestEachUser: all of them over several batches, in order, and no longer than fn wants.
func TestEachUser(t *testing.T) {
	t.Parallel()
	const n = 1001
	h := newHarness(t)
	each := func(fn func(*User) error) []int64 {
		t.Helper()
		var ids []int64
		err := h.EachUser(t.Context(), func(u *User) error {
			ids = append(ids, u.ID)
			return fn(u)
		})
		if err != nil && !errors.Is(err, errStop) {
			t.Fatal(err)
		}
		return ids
	}
	if ids := each(func(*User) error { return nil }); len(ids) != 0 {
		t.Errorf("users %v, want none", ids)
	}
	err := h.db.Write(t.Context(), func(tx *store.Tx) error {
		for i := range n {
			u := named("user" + strconv.Itoa(i))
			u.IsActive, u.Archived = i%2 != 0, i%3 == 0
			if _, err := insertUser(t.Context(), tx, u, nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// The list may change meanwhile: a deleted user is missing or the last one seen, and no other is skipped.
	all := each(func(u *User) error {
		if u.Username != "user"+strconv.FormatInt(u.ID-1, 10) || u.Email != u.Username+"@example.com" {
			return fmt.Errorf("got user %+v, want the username and address of its id", u)
		}
		if u.ID == 500 {
			h.exec(t, `DELETE FROM users WHERE id IN (500, 700)`)
		}
		return nil
	})
	if len(all) != n-1 || !slices.IsSorted(all) || all[0] != 1 || all[len(all)-1] != n || slices.Contains(all, 700) {
		t.Errorf("%d users, want %d in the order of ids, without 700", len(all), n-1)
	}
	if some := each(func(u *User) error {
		if u.ID == 3 {
			return errStop
		}
		return nil
	}); !slices.Equal(some, []int64{1, 2, 3}) {
		t.Errorf("users %v before the stop, want 1 to 3", some)
	}
}

var errStop = errors.New("stop")

func TestLink(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	ada := h.ada(t)
	h.set(t, ada.ID, "verified", 0)
	h.set(t, ada.ID, "secondary_epoch", 7)
	h.set(t, ada.ID, "credential_epoch", 1)
	now := h.now().Unix()
	tests := []struct {
		purpose tokens.Purpose
		address string
		url     string
		want    tokens.Action
	}{
		{tokens.Activation, "", "https://acme.example/activate/", tokens.Action{Address: "ada@example.com", Epoch: 7}},
		{tokens.PasswordReset, "", "https://acme.example/password-reset/",
			tokens.Action{Address: "ada@example.com", Epoch: 1}},
		{tokens.PasswordSet, "", "https://acme.example/password-set/",
			tokens.Action{Address: "ada@example.com", Epoch: 1}},
		{tokens.SecondaryEmail, " New@BÜCHER.example", "https://acme.example/activate/",
			tokens.Action{Address: "New@bücher.example", Epoch: 7}},
	}
	for _, test := range tests {
		t.Run(string(test.purpose), func(t *testing.T) {
			var made Link
			h.refused(t, nil, func() (err error) {
				made, err = h.Link(t.Context(), test.purpose, "ada2@example.com", test.address)
				return err
			})
			test.want.Purpose, test.want.User, test.want.IssuedAt = test.purpose, ada.ID, now
			if got, err := h.tokens.VerifyAction(made.Token, test.purpose); err != nil || got != test.want ||
				made.URL != test.url+made.Token {
				t.Errorf("%+v stands for %+v, %v; want %+v", made, got, err, test.want)
			}
			if _, err := h.Link(t.Context(), test.purpose, "nobody", test.address); !errors.Is(err, ErrNotFound) {
				t.Errorf("for nobody: error %v, want %v", err, ErrNotFound)
			}
		})
	}
	for _, address := range []string{"", "new", "a@b@example.com"} {
		h.refused(t, Errors{"email": {badEmail}}, func() error {
			_, err := h.Link(t.Context(), tokens.SecondaryEmail, "ada", address)
			return err
		})
	}
	if _, err := h.Link(t.Context(), "unknown", "ada", ""); err == nil {
		t.Error("a link for an unknown purpose: got no error, want one")
	}
	made, err := h.Link(t.Context(), tokens.Activation, "ada", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.VerifyAccount(t.Context(), TokenInput{made.Token}); err != nil {
		t.Errorf("as good as a mailed one: error %v, want none", err)
	}
}
