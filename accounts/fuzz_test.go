package accounts

import (
	"errors"
	"net/mail"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
	"golang.org/x/crypto/bcrypt"

	"accountd/internal/usersearch"
)

// FuzzParseAddress: what is read as an address is one mailbox, whichever way it was typed: its canonical form is stable and
// that of what mail goes to, of what a token carries, and of the same in other letters.
func FuzzParseAddress(f *testing.F) {
	f.Fuzz(func(t *testing.T, typed string) {
		a, err := ParseAddress(typed)
		if err != nil {
			if a != (Address{}) {
				t.Errorf("%+q is refused and gives %+v", typed, a)
			}
			return
		}
		canonical := func(form string) {
			t.Helper()
			if again, err := ParseAddress(form); err != nil || again.Canonical != a.Canonical {
				t.Errorf("%+q is %+q, and %+q is %+q, %v", typed, a.Canonical, form, again.Canonical, err)
			}
		}
		canonical(a.Canonical)
		canonical(a.mailbox())
		if !strings.HasSuffix(a.Canonical, "@localhost") { // the one name without a dot is taken as it is
			canonical(strings.ToUpper(a.mailbox()))
		}
		canonical(a.text())
		if !isASCII(a.mailbox()) || strings.ToLower(a.mailbox()) != a.Canonical {
			t.Errorf("%+q: mail goes to %+q, which is not %+q", typed, a.mailbox(), a.Canonical)
		}
		if local, _, _ := strings.Cut(typed, "@"); !strings.HasPrefix(a.mailbox(), local+"@") || !strings.HasPrefix(a.Shown, local+"@") {
			t.Errorf("%+q has another local part in %+v", typed, a)
		}
		for _, form := range []string{a.Shown, a.mailbox(), a.text()} {
			if strings.ContainsFunc(form, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) || strings.ContainsAny(form, `"(),:;<>[\]`) {
				t.Errorf("%+q becomes %+q, which is no address alone in a header", typed, form)
			}
		}
		if parsed, err := mail.ParseAddress(a.mailbox()); err != nil || parsed.Address != a.mailbox() || parsed.Name != "" {
			t.Errorf("%+q: a header with %+q is read as %+v, %v", typed, a.mailbox(), parsed, err)
		}
	})
}

// FuzzUsername: what is stored is stored the same again, is found by what was typed, is of visible characters, and is nobody
// else's address.
func FuzzUsername(f *testing.F) {
	own := Address{Canonical: "ada@xn--bcher-kva.example", Shown: "Ada@bücher.example"}
	f.Fuzz(func(t *testing.T, typed string) {
		if !utf8.ValidString(typed) {
			return // the front door lets none in
		}
		key := usernameKey(typed)
		if again := usernameKey(key); again != key {
			t.Errorf("the key %+q of %+q has the key %+q", key, typed, again)
		}
		errs := Errors{}
		shown, key, ok := cleanUsername("username", typed, own, errs)
		if ok == (len(errs) > 0) {
			t.Fatalf("%+q: %t, and problems %v", typed, ok, errs)
		}
		if !ok {
			return
		}
		if again, k, ok := cleanUsername("username", shown, own, Errors{}); !ok || again != shown || k != key {
			t.Errorf("%+q is stored as %+q, and that as %+q with %+q, %t", typed, shown, again, k, ok)
		}
		if key == "" || usernameKey(typed) != key || usernameKey(shown) != key {
			t.Errorf("%+q is stored under %+q and looked up under %+q, %+q", typed, key, usernameKey(typed), usernameKey(shown))
		}
		for _, r := range shown {
			if unicode.In(r, unicode.C, unicode.Z, unicode.M, unicode.Bidi_Control, unicode.Join_Control, unicode.Variation_Selector) {
				t.Errorf("%+q is stored with %U", typed, r)
			}
		}
		if n := utf8.RuneCountInString(shown); n > maxName {
			t.Errorf("%+q is stored with %d characters", typed, n)
		}
		if strings.Contains(shown, "@") {
			if a, err := ParseAddress(shown); err != nil || a.Canonical != own.Canonical {
				t.Errorf("%+q is stored as %+q, which is not the account's address", typed, shown)
			}
		}
	})
}

// storedWork is what a stored hash asks for in units of its scheme, the most that is ever paid, and how much a fuzz target can
// pay for each input; known is false for what is no hash.
func storedWork(encoded string) (work, most, cheapest float64, known bool) {
	scheme, rest, _ := strings.Cut(encoded, "$")
	number := func(text string) float64 {
		n, err := strconv.Atoi(text)
		known = known && err == nil
		return float64(n)
	}
	known = true
	fields := strings.Split(rest, "$")
	switch scheme {
	case "pbkdf2_sha256", "pbkdf2_sha1":
		return number(fields[0]), 5_000_000, 2_000, known
	case "scrypt":
		if len(fields) != 5 {
			return 0, 0, 0, false
		}
		return number(fields[0]) * number(fields[2]) * number(fields[3]), 1 << 22, 1 << 10, known
	case "bcrypt", "bcrypt_sha256":
		cost, err := bcrypt.Cost([]byte(rest))
		return float64(cost), 16, float64(bcrypt.MinCost), err == nil
	case "argon2", "":
		params, _, _, err := argon2id.DecodeHash("$" + rest)
		if err != nil {
			return 0, 0, 0, false
		}
		return float64(params.Memory) * float64(params.Iterations), 2 << 20, 1 << 10, true
	}
	return 0, 0, 0, false
}

// FuzzStoredHash: whatever lies in the column of hashes, a login gets a verdict; one of at most one password; and no hash is
// computed that asks for more than the bounds.
func FuzzStoredHash(f *testing.F) {
	h, err := newHasher(PasswordSettings{MaxBytes: 1024, Argon2: cheap}, newPace(time.Now))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, password, encoded string) {
		work, most, cheapest, known := storedWork(encoded)
		if known && work > cheapest {
			if work <= most {
				return // paid, but not here
			}
			start := time.Now()
			if _, _, err := h.compare(password, encoded); !errors.Is(err, errUnknownHash) {
				t.Fatalf("%q asks for %g, and is computed: %v", encoded, work, err)
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("%q is refused after %v", encoded, took)
			}
			return
		}
		start := time.Now()
		ok, upgrade, err := verify(t.Context(), h, password, encoded)
		if err != nil || upgrade && !ok {
			t.Errorf("Verify(%q, %q) = %t, upgrade %t, %v", password, encoded, ok, upgrade, err)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("Verify(%q, %q) took %v", password, encoded, took)
		}
		if !ok {
			return
		}
		if !known || !typable(password) {
			t.Errorf("%q lets %q in", encoded, password)
		}
		if ok, _, _ := verify(t.Context(), h, "\x01"+password, encoded); ok {
			t.Errorf("%q lets two passwords in: %q, and that after a control character", encoded, password)
		}
	})
}

// FuzzCursor: a cursor is taken as it was given, or not at all.
func FuzzCursor(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string, id int64) {
		if got, err := parseCursor("after", text); err == nil {
			if got <= 0 || got >= usersearch.NoEnd || cursor(got) != text {
				t.Errorf("%q is %d, whose cursor is %q", text, got, cursor(got))
			}
		} else if usage := (*UsageError)(nil); !errors.As(err, &usage) || got != 0 {
			t.Errorf("%q: %d, %v", text, got, err)
		}
		if got, err := parseCursor("after", cursor(id)); (err == nil) != (id > 0 && id < usersearch.NoEnd) || err == nil && got != id {
			t.Errorf("the cursor of %d is %d, %v", id, got, err)
		}
	})
}
