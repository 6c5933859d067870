package accounts

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"accountd/internal/store"
	"accountd/tokens"
)

// verified is a user as an operation on their own account gets them.
func (h *harness) verified(t *testing.T, ref string) (owner Owner) {
	t.Helper()
	u := h.user(t, ref)
	h.set(t, u.ID, "verified", 1)
	out := &Session{}
	err := h.db.Write(t.Context(), func(tx *store.Tx) error { return h.startSession(t.Context(), tx, u, out) })
	if err != nil {
		t.Fatal(err)
	}
	err = h.Caller(out.Token).AsOwner(t.Context(), NeedsVerified, "", "", func(o Owner) error { owner = o; return nil })
	if err != nil {
		t.Fatal(err)
	}
	return owner
}

func TestUpdateAccount(t *testing.T) {
	t.Parallel()
	h := newHarness(t, everyField)
	h.add(t, AddUserInput{Username: "ada", Email: "Ada@example.com", FirstName: "Ada", LastName: "Byron",
		Fields: Values{"phone_number": "1", "plan": "free", "news": true}})
	h.events(t)
	for _, step := range []struct {
		name                   string
		in                     Values
		username, first, last  string
		phone, plan, news, lvl any
	}{
		{"nothing", nil, "ada", "Ada", "Byron", "1", "free", true, nil},
		{"one", Values{"last_name": " King "}, "ada", "Ada", "King", "1", "free", true, nil},
		{"cleared texts", Values{"first_name": "", "last_name": " ", "phone_number": ""}, "ada", "", "", nil, "free",
			true, nil},
		{"cleared by null", Values{"news": nil, "plan": nil, "first_name": nil}, "ada", "", "", nil, nil, nil, nil},
		{"set", Values{"first_name": "A", "phone_number": "2", "news": false, "level": 1}, "ada", "A", "", "2", nil,
			false, 1},
		{"the same again", Values{"phone_number": "2", "username": "ada"}, "ada", "A", "", "2", nil, false, 1},
		{"another case", Values{"username": "ADA"}, "ADA", "A", "", "2", nil, false, 1},
		{"another username", Values{"username": " ａda2 "}, "ada2", "A", "", "2", nil, false, 1},
		{"one's own address", Values{"username": "ada@example.com"}, "ada@example.com", "A", "", "2", nil, false, 1},
		{"not a field of it", Values{"email": "eve@example.com", "is_staff": true}, "ada@example.com", "A", "", "2",
			nil, false, 1},
	} {
		t.Run(step.name, func(t *testing.T) {
			if err := h.UpdateAccount(t.Context(), h.verified(t, "1"), UpdateAccountInput{step.in}); err != nil {
				t.Fatal(err)
			}
			h.happened(t, "account_updated 1")
			u := h.user(t, "1")
			got := []any{u.Username, u.FirstName, u.LastName, u.Fields["phone_number"], u.Fields["plan"],
				u.Fields["news"], u.Fields["level"], u.Email, u.IsStaff}
			want := []any{step.username, step.first, step.last, step.phone, step.plan, step.news, step.lvl,
				"Ada@example.com", false}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if by := h.user(t, step.username); by.ID != 1 {
				t.Errorf("%s: user %d, want 1", step.username, by.ID)
			}
		})
	}
}

func TestUpdateAccountRefusals(t *testing.T) {
	t.Parallel()
	h := newHarness(t, everyField)
	h.add(t, AddUserInput{Username: "bob", Email: "bob@example.com", Fields: Values{"phone_number": "1"}})
	h.add(t, AddUserInput{Username: "ada", Email: "ada@example.com"})
	ada := h.verified(t, "ada")
	for _, test := range []struct {
		name string
		in   Values
		want Errors
	}{
		{"long and NUL", Values{"first_name": strings.Repeat("a", 151), "last_name": "\x00b"},
			Errors{"firstName": {maxLength(150, 151)}, "lastName": {nullChars}}},
		{"a good one beside a bad one", Values{"first_name": "Ada", "level": 9}, Errors{"level": {badChoice("9")}}},
		{"taken", Values{"username": "BOB", "phone_number": "1", "last_name": "King"},
			Errors{"username": usernameInUse["username"], "phoneNumber": {phoneUsed}}},
		{"somebody else's address", Values{"username": "bob@example.com"}, Errors{"username": {badUsername}}},
		{"no username", Values{"username": ""}, Errors{"username": {required}}},
		{"null for a username", Values{"username": nil}, Errors{"username": {required}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h.refused(t, test.want, func() error {
				return h.UpdateAccount(t.Context(), ada,
					UpdateAccountInput{test.in})
			})
		})
	}
	update := func() error {
		return h.UpdateAccount(t.Context(), ada, UpdateAccountInput{Values{"first_name": "A"}})
	}
	h.set(t, ada.account.ID, "verified", 0)
	h.refused(t, notVerified, update)
	h.set(t, ada.account.ID, "is_active", 0)
	h.refused(t, Errors{"nonFieldErrors": {{"Unauthenticated.", "unauthenticated"}}}, update)
}

// TestLookAlikes: a username must not look like another one, nor like one of two that looked alike before there were
// skeletons. Its owner may change the spelling, and it is free after the account is gone.
func TestLookAlikes(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(s *Settings, _ *tokens.Settings) { s.UpdateFields = []string{"username"} })
	ada := h.add(t, AddUserInput{Username: "paypal", Email: "ada@example.com"})
	bob := h.add(t, AddUserInput{Username: "bob", Email: "bob@example.com"})
	for _, name := range []string{"payp\u0251l", "paypa1", "paypaI", "\u0440\u0430\u0443\u0440\u0430\u04cf"} {
		h.refused(t, usernameInUse, func() error {
			_, err := h.AddUser(t.Context(), AddUserInput{Username: name, Email: "eve@example.com", Password: password})
			return err
		})
		h.refused(t, usernameInUse, func() error {
			_, err := h.SetUser(t.Context(), "bob", SetUserInput{Username: &name})
			return err
		})
	}
	rename := func(ref, name string) error {
		return h.UpdateAccount(t.Context(), h.verified(t, ref), UpdateAccountInput{Values{"username": name}})
	}
	for _, name := range []string{"PayPal", "payp\u0251l", "PAYPAL", "paypa1", "paypal"} { // one's own, spelled anew
		if err := rename("1", name); err != nil {
			t.Errorf("%s: error %v, want none", name, err)
		}
	}
	if err := rename("2", "paypai"); err != nil {
		t.Error(err)
	}
	if err := rename("2", "paypaI"); !cmp.Equal(err, usernameInUse) { // the same key, and now it looks like another's
		t.Errorf("error %v, want %v", err, usernameInUse)
	}
	if _, err := h.Login(t.Context(), byUsername("payp\u0251l", password)); err == nil {
		t.Error("a name that looks alike: got a login, want an error")
	}
	h.add(t, AddUserInput{Username: "aceI", Email: "ace@example.com"})
	h.refused(t, usernameInUse, h.register(t, registration("eve@example.com", "acel", password, password)))
	for _, name := range []string{"ace1", "acel", "ACEI", "ace1"} {
		if err := rename("ace@example.com", name); err != nil {
			t.Errorf("%s: error %v, want none", name, err)
		}
	}

	// A pair of before.
	h.set(t, ada.ID, "sharer_id", ada.ID)
	h.exec(t, `UPDATE users SET username = 'paypɑl', username_key = 'paypɑl' WHERE id = 2`)
	h.set(t, bob.ID, "sharer_id", bob.ID)
	for _, ref := range []string{"1", "2"} {
		name := strings.ToUpper(h.user(t, ref).Username)
		if err := rename(ref, name); err != nil || h.user(t, ref).Username != name {
			t.Errorf("%s: error %v, want none and the name stored", name, err)
		}
	}
	if err := rename("2", "PayPal"); !cmp.Equal(err, usernameInUse) {
		t.Errorf("the name of the other: error %v, want %v", err, usernameInUse)
	}
	for _, gone := range []string{"1", "2"} {
		h.refused(t, usernameInUse, h.register(t, registration("eve@example.com", "paypa1", password, password)))
		if _, err := h.DeleteUser(t.Context(), gone, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.register(t, registration("eve@example.com", "paypa1", password, password))(); err != nil {
		t.Errorf("nobody has it any more: error %v, want none", err)
	}
}

// emailOnly are accounts whose name is their address.
func emailOnly(s *Settings, _ *tokens.Settings) {
	s.RegisterFields = []string{"email"}
	s.UpdateFields = []string{"username"}
}

// TestEmailOnly: accounts without a username of their own show their address in its place.
func TestEmailOnly(t *testing.T) {
	t.Parallel()
	h := newHarness(t, emailOnly)
	out, err := h.Register(t.Context(), registration("Ada@example.com", "ignored", password, password))
	if err != nil {
		t.Fatal(err)
	}
	if u := h.user(t, "ADA@example.com"); u.Username != "Ada@example.com" ||
		out.Payload.Username != "Ada@example.com" || u.ownUsername() != "" {
		t.Errorf("user %+v with claims %+v, want the address for a username", u, out.Payload)
	}
	h.activation(t, "Ada@example.com")
	if n := h.count(t, `SELECT count(*) FROM users WHERE username IS NULL AND username_key IS NULL`); n != 1 {
		t.Errorf("%d users without a username, want 1", n)
	}
	if _, err := h.Login(t.Context(), byEmail("ada@example.com", password)); err != nil {
		t.Error(err)
	}
	h.refused(t, invalidCredentials, func() error {
		_, err := h.Login(t.Context(),
			byUsername("ada@example.com", password))
		return err
	})
	bob := h.add(t, AddUserInput{Email: "bob@example.com"}) // a second one: no clash of names that are not there
	if bob.Username != "bob@example.com" {
		t.Errorf("user %+v, want the address for a username", bob)
	}
	h.refused(t, Errors{"password2": {similar("email address")}},
		h.register(t, registration("hildegunde@example.com", "", "hildegunde1", "hildegunde1")))

	// A username can come and go.
	for _, username := range []string{"ada", ""} {
		want := map[string]string{"ada": "ada", "": "Ada@example.com"}[username]
		if err := h.UpdateAccount(t.Context(), h.verified(t, "1"),
			UpdateAccountInput{Values{"username": username}}); err != nil || h.user(t, "1").Username != want {
			t.Errorf("username %q: got %q, error %v, want %q", username, h.user(t, "1").Username, err, want)
		}
	}
	t.Run("optional", func(t *testing.T) {
		h := newHarness(t, emailOnly, func(s *Settings,
			_ *tokens.Settings) {
			s.RegisterOptionalFields = []string{"username"}
		})
		for i, username := range []any{"ada", nil, "", " "} {
			name := string(rune('a' + i))
			in := RegisterInput{Values{"email": name + "@example.com", "username": username}, password, password}
			if _, err := h.Register(t.Context(), in); err != nil {
				t.Error(err)
			}
			want := name + "@example.com"
			if i == 0 {
				want = "ada"
			}
			if u := h.user(t, name+"@example.com"); u.Username != want {
				t.Errorf("username %q: got %s, want %s", username, u.Username, want)
			}
		}
		h.mails(t)
		h.refused(t, usernameInUse, h.register(t, registration("x@example.com", "ADA", password, password)))
	})
}

// TestLoginFields: only configured fields log in, and the error names them.
func TestLoginFields(t *testing.T) {
	t.Parallel()
	for fields, good := range map[string][]bool{"email": {true, false}, "username": {false, true},
		"username email": {true, true}} {
		h := newHarness(t, func(s *Settings, _ *tokens.Settings) { s.LoginFields = strings.Fields(fields) })
		h.ada(t)
		usage := &UsageError{"Must login with password and one of the following fields ['" + strings.ReplaceAll(fields,
			" ", "', '") + "']."}
		for i, in := range []LoginInput{byEmail("ada@example.com", password), byUsername("ada", password)} {
			if good[i] {
				if _, err := h.Login(t.Context(), in); err != nil {
					t.Errorf("%s: error %v, want none", fields, err)
				}
				continue
			}
			h.refused(t, usage, func() error { _, err := h.Login(t.Context(), in); return err })
		}
		both := byEmail("ada@example.com", password)
		both.Username = byUsername("ada", password).Username
		for _, in := range []LoginInput{both, {Password: password}} {
			h.refused(t, usage, func() error { _, err := h.Login(t.Context(), in); return err })
		}
	}
}
