package accounts

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"
	"github.com/google/go-cmp/cmp"

	passwords "accountd/internal/password"
	"accountd/internal/store"
	"accountd/tokens"
)

const anyKey = "c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA"

// manyKinds are hashes and the kinds that they are of, "" for none.
var manyKinds = []struct{ encoded, kind string }{
	{"$argon2id$v=19$m=8,t=1,p=1$" + anyKey, "$argon2id$v=19$m=8,t=1,p=1$"},
	{"$argon2id$v=19$m=19456,t=2,p=1$" + anyKey, "$argon2id$v=19$m=19456,t=2,p=1$"},
	{"$argon2id$v=19$m=19456,t=20,p=1$" + anyKey, "$argon2id$v=19$m=19456,t=20,p=1$"},
	{"argon2$argon2id$v=19$m=102400,t=2,p=8$" + anyKey, "argon2$argon2id$v=19$m=102400,t=2,p=8$"},
	{"bcrypt$$2b$12$" + strings.Repeat("a", 53), "bcrypt$$2b$12$"},
	{"bcrypt_sha256$$2b$12$" + strings.Repeat("a", 53), "bcrypt_sha256$$2b$12$"},
	{"bcrypt_sha256$$2b$13$" + strings.Repeat("a", 53), "bcrypt_sha256$$2b$13$"},
	{"pbkdf2_sha1$260000$salt$AAAA", "pbkdf2_sha1$260000$"},
	{"pbkdf2_sha256$10$salt$AAAA", "pbkdf2_sha256$10$"},
	{"pbkdf2_sha256$1000000$salt$AAAA", "pbkdf2_sha256$1000000$"},
	{"pbkdf2_sha256$1000000$other$AAAA", "pbkdf2_sha256$1000000$"},
	{"scrypt$16384$salt$8$1$AAAA", "scrypt$16384$"},
	{"scrypt$16384$other$8$5$AAAA", "scrypt$16384$"},
	{"pbkdf2_sha256$", ""},
	{"pbkdf2_sha256$1" + strings.Repeat("é", 50), ""},
	{"", ""},
	{"!Kq0hG0l1vB", ""},
	{"md5$salt$5f4dcc3b5aa765d61d8327deb882cf99", ""},
	{"5f4dcc3b5aa765d61d8327deb882cf99", ""},
}

// TestStoredKinds: every kind of stored hash is found, with one hash of it.
func TestStoredKinds(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	want := map[string]bool{}
	for i, k := range manyKinds {
		name := fmt.Sprintf("u%d", i)
		u := h.add(t, AddUserInput{Username: name, Email: name + "@example.com", NoPassword: true})
		h.set(t, u.ID, "password", k.encoded)
		if k.kind != "" {
			want[k.kind] = true
		}
	}
	err := h.db.Read(t.Context(), func(tx *store.Tx) error {
		kinds, err := storedKinds(t.Context(), tx)
		if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(kinds))); diff != "" {
			t.Errorf("kinds (-want +got):\n%s", diff)
		}
		for kind, encoded := range kinds {
			if !strings.HasPrefix(encoded, kind) {
				t.Errorf("%q: kind %q, want its beginning", encoded, kind)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestManyKindsEnd: the kinds found of one scheme are bounded, and many of them hide no other scheme.
func TestManyKindsEnd(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for i := range 64 {
		name := fmt.Sprintf("u%d", i)
		u := h.add(t, AddUserInput{Username: name, Email: name + "@example.com", NoPassword: true})
		h.set(t, u.ID, "password", fmt.Sprintf("bcrypt$$2b$%02d$x", i))
	}
	h.set(t, h.ada(t).ID, "password", djangoHash(t, password))
	err := h.db.Read(t.Context(), func(tx *store.Tx) error {
		kinds, err := storedKinds(t.Context(), tx)
		if len(kinds) != 32+1 || kinds["pbkdf2_sha256$10$"] == "" {
			t.Errorf("%d kinds %v, want 33", len(kinds), kinds)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestKindsAreFoundByIndex: kinds are found without reading every user.
func TestKindsAreFoundByIndex(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	err := h.db.Read(t.Context(), func(tx *store.Tx) error {
		rows, err := tx.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+selectHashBetween, "a", "b")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var a, b, c int
			var plan string
			if err := rows.Scan(&a, &b, &c, &plan); err != nil {
				return err
			}
			if !strings.HasPrefix(plan, "SEARCH users USING INDEX users_hash") {
				t.Errorf("plan %q, want a search by users_hash", plan)
			}
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestMostExpensiveKindSetsTheDelay: while hashes of other kinds than the current one are stored, every refusal takes
// half as long again as the most expensive kind. A login is not delayed, and nothing is once the last of them is gone.
func TestMostExpensiveKindSetsTheDelay(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	ada := h.ada(t)
	h.add(t, AddUserInput{Username: "bob", Email: "bob@example.com"})
	h.add(t, AddUserInput{Username: "gone", Email: "gone@example.com", Inactive: true})
	h.add(t, AddUserInput{Username: "nopass", Email: "nopass@example.com", NoPassword: true})
	w := &stopwatch{at: h.now()}
	// Time passes by the hash: each reading of the clock after one has begun is 40 ms later.
	h.delay.Timer = w.timer
	h.delay.Now = func() time.Time { w.at = w.at.Add(40 * time.Millisecond); return w.at }
	refusals := []LoginInput{
		byUsername("ada", "wrong"), byUsername("bob", "wrong"), byUsername("nobody", password),
		byUsername("gone", password), byUsername("nopass", password),
		byUsername("ada", "\x00"), byUsername("bob", strings.Repeat("x", 1025)), byEmail("no address", password),
	}
	check := func(t *testing.T, want ...time.Duration) {
		t.Helper()
		if err := h.MeasureHashes(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, in := range refusals {
			w.waited = nil
			h.refused(t, invalidCredentials, h.tryLogin(t, in))
			if diff := cmp.Diff(want, w.waited); diff != "" {
				t.Errorf("waited (-want +got):\n%s", diff)
			}
		}
		w.waited = nil
		if h.login(t); w.waited != nil {
			t.Errorf("a login waits %v, want no wait", w.waited)
		}
	}
	check(t) // only the current kind
	other := &argon2id.Params{Memory: 8, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}
	otherParameters, err := argon2id.CreateHash(password, other)
	if err != nil {
		t.Fatal(err)
	}
	for name, old := range map[string]string{"Django": djangoHash(t, password), "other parameters": otherParameters} {
		t.Run(name, func(t *testing.T) {
			h.set(t, ada.ID, "password", old)
			check(t, 20*time.Millisecond) // 40 of 60; the login at the end replaces the hash
			check(t)
		})
	}
}

// TestOneHashForEverybody counts hashes by the memory that they write. A refused login costs exactly one at the current
// parameters, and so does a registration that must not reveal a claimed address.
func TestOneHashForEverybody(t *testing.T) {
	t.Parallel()
	const size = 64
	h := newHarness(t, revealNothing, func(s *Settings, _ *tokens.Settings) {
		s.Passwords.Argon2 = passwords.Argon2Settings{MemoryKiB: size, Iterations: 1, Parallelism: 1, Concurrent: 1}
	})
	h.ada(t)
	h.add(t, AddUserInput{Username: "gone", Email: "gone@example.com", Inactive: true})
	h.add(t, AddUserInput{Username: "away", Email: "away@example.com", Archived: true})
	h.add(t, AddUserInput{Username: "nopass", Email: "nopass@example.com", NoPassword: true})
	unusable := h.add(t, AddUserInput{Username: "unusable", Email: "unusable@example.com"})
	h.set(t, unusable.ID, "password", "!Kq0hG0l1vB")
	login := func(name, password string) func() error { return h.tryLogin(t, byUsername(name, password)) }
	register := func(address, username string) func() error {
		return func() error {
			_, err := h.Register(t.Context(), registration(address, username, password, password))
			return err
		}
	}
	long := strings.Repeat("x", 1000)
	for _, test := range []struct {
		name string
		op   func() error
	}{
		{"wrong password", login("ada", "wrong")},
		{"long wrong password", login("ada", long)},
		{"nobody", login("nobody", password)},
		{"nobody with a long password", login("nobody", long)},
		{"inactive", login("gone", password)},
		{"archived", login("away", "wrong")},
		{"passwordless", login("nopass", password)},
		{"unusable password", login("unusable", password)},
		{"NUL", login("ada", "\x00")},
		{"too long", login("ada", long+long)},
		{"no address", h.tryLogin(t, byEmail("no address", password))},
		{"register", register("new@example.com", "new")},
		{"register a taken address", register("ada@example.com", "eve")},
		{"register an inactive one's address", register("gone@example.com", "eva")},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := h.hasher.Usage().Written
			_ = test.op()
			if written := h.hasher.Usage().Written - before; written != size {
				t.Errorf("%d KiB, want the %d of one hash", written, size)
			}
		})
	}
}

// TestTooLongIsNotRead: a login with more bytes than a password may have fails, even with the right password, unless
// the hash is one of Django's, which had no such limit.
func TestTooLongIsNotRead(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	ada := h.ada(t)
	ours := func(t *testing.T, password string) string {
		encoded, err := h.hasher.Hash(t.Context(), passwords.Client{}, password)
		if err != nil {
			t.Fatal(err)
		}
		return encoded
	}
	for _, test := range []struct {
		name  string
		bytes int
		hash  func(t *testing.T, password string) string
		want  error
	}{
		{"at the limit", 1024, ours, nil},
		{"over it", 1025, ours, invalidCredentials},
		{"Django's at the limit", 1024, djangoHash, nil},
		{"Django's over it", 5000, djangoHash, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			long := strings.Repeat("é", test.bytes/2) + strings.Repeat("x", test.bytes%2)
			h.set(t, ada.ID, "password", test.hash(t, long))
			if err := h.tryLogin(t, byUsername("ada", long))(); !equalErrors(err, test.want) {
				t.Error(err)
			}
		})
	}
}
