package password

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"
	"golang.org/x/crypto/bcrypt"
)

// storedWork returns what a stored hash costs in units of its scheme, the most that is ever computed, and what a fuzz
// target can compute for each input. known is false for a text that is no hash.
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

// FuzzStoredHash: whatever text is stored, verifying ends without an error, at most one password matches, and no hash
// is computed that costs more than the bounds.
func FuzzStoredHash(f *testing.F) {
	h, err := NewHasher(Settings{MaxBytes: 1024, Argon2: cheap}, NewResponseDelay(time.Now))
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
				t.Fatalf("%q with the cost %g: got %v, want %v", encoded, work, err, errUnknownHash)
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("%q: got a refusal after %v, want at most 1 s", encoded, took)
			}
			return
		}
		start := time.Now()
		ok, upgrade, err := verify(t.Context(), h, password, encoded)
		if err != nil || upgrade && !ok {
			t.Errorf("Verify(%q, %q): got %t, upgrade %t, %v; want no error, and an upgrade of a right password only",
				password, encoded, ok, upgrade, err)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("Verify(%q, %q): got an answer after %v, want at most 5 s", password, encoded, took)
		}
		if !ok {
			return
		}
		if !known || !WellFormed(password) {
			t.Errorf("%q: got %q accepted, want it refused", encoded, password)
		}
		if ok, _, _ := verify(t.Context(), h, "\x01"+password, encoded); ok {
			t.Errorf("%q: got %q accepted with and without a control character, want it without only", encoded,
				password)
		}
	})
}
