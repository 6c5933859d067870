package accounts

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"
	"github.com/google/go-cmp/cmp"

	passwords "accountd/internal/password"
)

func byUsername(name, password string) LoginInput {
	return LoginInput{Password: password, Username: &name}
}

func byEmail(address, password string) LoginInput {
	return LoginInput{Password: password, Email: &address}
}

func (h *harness) tryLogin(t *testing.T, in LoginInput) func() error {
	return func() error {
		out, err := h.Login(t.Context(), in)
		if err != nil && out != nil {
			t.Errorf("got %+v beside an error, want nothing", out)
		}
		return err
	}
}

// djangoHash is an old hash, as Django writes it, cheap to verify.
func djangoHash(t *testing.T, password string) string {
	t.Helper()
	key, err := pbkdf2.Key(sha256.New, password, []byte("salt"), 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("pbkdf2_sha256$10$salt$%s", base64.StdEncoding.EncodeToString(key))
}

func TestLoginRefusals(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	ada := h.ada(t)
	h.add(t, AddUserInput{Username: "away", Email: "away@example.com", SecondaryEmail: "away2@example.com",
		Archived: true, Verified: true})
	h.add(t, AddUserInput{Username: "gone", Email: "gone@example.com", Inactive: true, Archived: true, Verified: true})
	h.add(t, AddUserInput{Username: "nopass", Email: "nopass@example.com", NoPassword: true, Verified: true})
	old := h.add(t, AddUserInput{Username: "old", Email: "old@example.com", Archived: true, Verified: true})
	h.set(t, old.ID, "password", djangoHash(t, password))
	unusable := h.add(t, AddUserInput{Username: "unusable", Email: "unusable@example.com", Verified: true})
	h.set(t, unusable.ID, "password", "!Kq0hG0l1vB") // as Django stores none
	both := byUsername("ada", password)
	both.Email = &ada.Email
	tests := []struct {
		name string
		in   LoginInput
		want error
	}{
		{"no name", LoginInput{Password: password}, wrongUsage},
		{"two names", both, wrongUsage},
		{"no name and no password", LoginInput{}, wrongUsage},
		{"wrong password", byUsername("ada", "wrong"), invalidCredentials},
		{"wrong password by address", byEmail("ada@example.com", "wrong"), invalidCredentials},
		{"blank password", byUsername("ada", ""), invalidCredentials},
		{"password in another case", byUsername("ada", strings.ToUpper(password)), invalidCredentials},
		{"passwords are not trimmed", byUsername("ada", " "+password), invalidCredentials},
		{"NUL", byUsername("ada", password+"\x00"), invalidCredentials},
		{"the stored hash is no password", byUsername("ada", ada.password), invalidCredentials},
		{"nobody", byUsername("nobody", password), invalidCredentials},
		{"nobody by address", byEmail("nobody@example.com", password), invalidCredentials},
		{"blank username", byUsername("", password), invalidCredentials},
		{"blank address", byEmail("", password), invalidCredentials},
		{"not an address", byEmail("ada", password), invalidCredentials},
		{"address as username", byUsername("ada@example.com", password), invalidCredentials},
		{"wildcard", byUsername("%", password), invalidCredentials},
		{"no password", byUsername("nopass", ""), invalidCredentials},
		{"any password for none", byUsername("nopass", password), invalidCredentials},
		{"unusable password", byUsername("unusable", password), invalidCredentials},
		{"unusable password as such", byUsername("unusable", "!Kq0hG0l1vB"), invalidCredentials},
		{"inactive", byUsername("gone", password), invalidCredentials},
		{"inactive by address", byEmail("gone@example.com", password), invalidCredentials},
		{"archived stays so", byUsername("away", "wrong"), invalidCredentials},
		{"archived stays so by secondary address", byEmail("away2@example.com", "wrong"), invalidCredentials},
		{"archived with an old hash", byUsername("old", "wrong"), invalidCredentials},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { h.refused(t, test.want, h.tryLogin(t, test.in)) })
	}
}

// TestLogin: the names for a login, and its effects.
func TestLogin(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	ada := h.ada(t)
	h.add(t, AddUserInput{Username: "x", Email: "x@bücher.example", Verified: true})
	if ada.LastLogin != nil {
		t.Errorf("before any login: got a last login at %v, want none", ada.LastLogin)
	}
	for _, in := range []LoginInput{
		byUsername("ada", password), byUsername("ADA", password), byUsername("ａda ", password),
		byEmail("Ada@example.com", password),
		byEmail(" ada@EXAMPLE.com", password), byEmail("ADA2@example.com", password),
	} {
		h.advance(1e9)
		before := h.user(t, "ada")
		out, err := h.Login(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		now := h.now().UTC()
		if out.Token == "" || out.RefreshToken == "" || out.Unarchived || out.Payload.Subject != ada.ID ||
			out.Payload.OrigIssuedAt != now.Unix() || out.RefreshExpiresIn != now.Add(week).Unix() {
			t.Errorf("got the session %+v with payload %+v, want both tokens of ada from now", out, out.Payload)
		}
		want := *before
		want.LastLogin = &now
		stored := h.user(t, "ada")
		leapt(t, &want, stored, true, false) // reset links that are out die
		sameUser(t, &want, stored)
		sameShown(t, &want, out.User)
		h.happened(t, "token_issued 1")
	}
	if n := h.count(t, `SELECT count(*) FROM sessions WHERE user_id = 1 AND ended_at IS NULL`); n != 6 {
		t.Errorf("%d sessions, want one for each login", n)
	}
	if _, err := h.Login(t.Context(), byEmail("X@XN--BCHER-KVA.example", password)); err != nil {
		t.Errorf("the domain's other form: got %v, want no error", err)
	}
	if sent := h.mails(t); len(sent) != 0 {
		t.Errorf("got the mails %+v, want none", sent)
	}
}

func TestLoginTakesArchivedBack(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	ada := h.ada(t)
	h.set(t, ada.ID, "archived", 1)
	out := h.login(t)
	if !out.Unarchived || out.User.Archived || h.user(t, "ada").Archived {
		t.Errorf("got unarchived %t, user %+v; want true and an account that is not archived", out.Unarchived, out.User)
	}
	if out := h.login(t); out.Unarchived {
		t.Error("a second login: got unarchived true, want false")
	}
}

func TestLoginUpgradesHash(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	ada := h.ada(t)
	cheaper, err := argon2id.CreateHash(password, &argon2id.Params{Memory: 8, Iterations: 2, Parallelism: 1,
		SaltLength: 16, KeyLength: 32})
	if err != nil {
		t.Fatal(err)
	}
	for _, old := range []string{djangoHash(t, password), cheaper} {
		h.set(t, ada.ID, "password", old)
		h.login(t)
		upgraded := h.user(t, "ada").password
		if !strings.HasPrefix(upgraded, "$argon2id$v=19$m=8,t=1,p=1$") {
			t.Errorf("%q: got the new hash %q, want Argon2id with m=8", old, upgraded)
		}
		h.login(t)
		if again := h.user(t, "ada").password; again != upgraded {
			t.Errorf("a current hash %q: got %q instead, want the same", upgraded, again)
		}
	}
}

// TestLoginSettings: each switch, and that an unverified user hears of it only after the right password.
func TestLoginSettings(t *testing.T) {
	t.Parallel()
	t.Run("verified only", func(t *testing.T) {
		h := newHarness(t, verifiedLoginsOnly)
		ada := h.ada(t)
		h.set(t, ada.ID, "verified", 0)
		h.set(t, ada.ID, "archived", 1)
		h.set(t, ada.ID, "password", djangoHash(t, password))
		h.refused(t, notVerified, h.tryLogin(t, byUsername("ada", password)))
		h.refused(t, notVerified, h.tryLogin(t, byEmail("ada2@example.com", password)))
		h.refused(t, invalidCredentials, h.tryLogin(t, byUsername("ada", "wrong")))
		h.set(t, ada.ID, "is_active", 0)
		h.refused(t, invalidCredentials, h.tryLogin(t, byUsername("ada", password)))
		h.set(t, ada.ID, "is_active", 1)
		h.set(t, ada.ID, "verified", 1)
		h.login(t)
	})
	t.Run("unverified too", func(t *testing.T) {
		h := newHarness(t)
		h.set(t, h.ada(t).ID, "verified", 0)
		if out := h.login(t); out.User.Verified {
			t.Error("after a login: got verified true, want false")
		}
	})
	t.Run("not by secondary address", func(t *testing.T) {
		h := newHarness(t, noLoginBySecondary)
		h.ada(t)
		h.refused(t, invalidCredentials, h.tryLogin(t, byEmail("ada2@example.com", password)))
		if err := h.tryLogin(t, byEmail("ada@example.com", password))(); err != nil {
			t.Error(err)
		}
	})
	t.Run("no refresh tokens", func(t *testing.T) {
		h := newHarness(t, noRefreshTokens)
		h.ada(t)
		if out := h.login(t); out.Token == "" || out.RefreshToken != "" || out.RefreshExpiresIn != 0 {
			t.Errorf("got the session %+v, want an access token only", out)
		}
	})
}

// TestLoginAtOnce: all get in, one of them took the account back.
func TestLoginAtOnce(t *testing.T) {
	t.Parallel()
	const n = 100
	h := newHarness(t)
	h.set(t, h.ada(t).ID, "archived", 1)
	out := make([]*Session, n)
	errs := atOnce(n, func(i int) (err error) {
		out[i], err = h.Login(t.Context(), byUsername("ada", password))
		return err
	})
	if good, _ := verdicts(t, errs, nil); good != n {
		t.Fatalf("got %d of %d logins, want all", good, n)
	}
	unarchived, different := 0, map[string]bool{}
	for _, s := range out {
		different[s.RefreshToken] = true
		if s.Unarchived {
			unarchived++
		}
		if s.User.Archived {
			t.Error("after a login: got an archived account, want it unarchived")
		}
	}
	if unarchived != 1 || len(different) != n || h.user(t, "ada").Archived {
		t.Errorf("got %d unarchived, %d different tokens; want 1, %d, and the account not archived", unarchived,
			len(different), n)
	}
	if live := h.count(t, `SELECT count(*) FROM sessions WHERE ended_at IS NULL`); live != n {
		t.Errorf("got %d live sessions, want %d", live, n)
	}
}

// TestLoginMeetsChange: the state of the account when the session begins counts, not that when the hash began.
func TestLoginMeetsChange(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(t *testing.T, h *harness)
		want   error
	}{
		{"another password", func(t *testing.T, h *harness) {
			h.set(t, 1, "password",
				djangoHash(t, "another-otter-43"))
		}, invalidCredentials},
		{"no password", func(t *testing.T, h *harness) { h.set(t, 1, "password", "") }, invalidCredentials},
		{"deactivated", func(t *testing.T, h *harness) { h.set(t, 1, "is_active", 0) }, invalidCredentials},
		{"deleted", func(t *testing.T, h *harness) { h.exec(t, `DELETE FROM users`) }, invalidCredentials},
		{"same password, new hash", func(t *testing.T, h *harness) { h.set(t, 1, "password", djangoHash(t, password)) },
			nil},
		{"archived", func(t *testing.T, h *harness) { h.set(t, 1, "archived", 1) }, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := newHarness(t, oneHashAtATime)
			h.ada(t)
			errs := h.whileHashing(t, func() { test.change(t, h) }, h.tryLogin(t, byUsername("ada", password)))
			if !cmp.Equal(errs, []error{test.want}) {
				t.Errorf("error %#v, want %#v", errs[0], test.want)
			}
			sessions := map[bool]int{true: 1}[test.want == nil]
			if n := h.count(t, `SELECT count(*) FROM sessions`); n != sessions {
				t.Errorf("%d sessions, want %d", n, sessions)
			}
		})
	}
	t.Run("two upgrade one hash", func(t *testing.T) {
		h := newHarness(t, oneHashAtATime)
		h.set(t, h.ada(t).ID, "password", djangoHash(t, password))
		login := h.tryLogin(t, byUsername("ada", password))
		if good, _ := verdicts(t, h.whileHashing(t, func() {}, login, login, login), nil); good != 3 {
			t.Errorf("got %d of 3 logins, want 3", good)
		}
	})
}

// TestHashReplacedMeanwhile: a login compares the password again with a hash that has replaced the one that it
// compared, three times at most.
func TestHashReplacedMeanwhile(t *testing.T) {
	for replaced, want := range map[int]error{maxReplaced: nil, 1 + maxReplaced: &BusyError{RetryAfter: time.Second}} {
		h := newHarness(t, oneHashAtATime)
		ada := h.ada(t)
		var hashes []string
		for range replaced {
			encoded, err := h.hasher.Hash(t.Context(), passwords.Client{}, password)
			if err != nil {
				t.Fatal(err)
			}
			hashes = append(hashes, encoded)
		}
		waiting := func(n int) {
			for h.hasher.Usage().Waiting < n {
				runtime.Gosched()
			}
		}
		done := make(chan error, 1)
		place := h.takePlace(t)
		go func() {
			_, err := h.Login(t.Context(), byUsername("ada", password))
			done <- err
		}()
		for _, encoded := range hashes {
			waiting(1) // the login has read the hash
			next := make(chan *passwords.Ticket)
			go func() {
				ticket, err := h.hasher.Enter(t.Context(), passwords.Client{}, "")
				if err != nil {
					t.Error(err)
				}
				next <- ticket
			}()
			waiting(2)
			h.set(t, ada.ID, "password", encoded)
			place.Release()
			place = <-next // the login has had its place
		}
		place.Release()
		if err := <-done; !cmp.Equal(err, want) {
			t.Errorf("after %d replacements got %v, want %v", replaced, err, want)
		}
		h.login(t)
	}
}
