package password

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"
	"golang.org/x/crypto/bcrypt"
)

var cheap = Argon2Settings{MemoryKiB: 8, Iterations: 1, Parallelism: 1, Concurrent: 2, Queue: 64}

func testHasher(t *testing.T) *Hasher {
	t.Helper()
	h, err := NewHasher(Settings{MaxBytes: 1024, Argon2: cheap}, NewResponseDelay(time.Now))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHashAndVerify(t *testing.T) {
	h := testHasher(t)
	long := strings.Repeat("x", 72)
	tests := []struct {
		name, set, typed string
		ok               bool
	}{
		{"same", "quiet-otter-42", "quiet-otter-42", true},
		{"other", "quiet-otter-42", "quiet-otter-43", false},
		{"composed and decomposed", "caf\u00e9-au-lait", "cafe\u0301-au-lait", true},
		{"not trimmed", "quiet-otter-42", " quiet-otter-42", false},
		{"72 bytes alike", long + "a", long + "b", false},
		{"replacement characters", "\U0001f600\U0001f600", "\ufffd\ufffd", false},
		{"NUL is never a password", "quiet", "\x00", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			encoded, err := h.Hash(t.Context(), Client{}, test.set)
			if err != nil {
				t.Fatal(err)
			}
			checkVerify(t, h, test.typed, encoded, test.ok, false)
		})
	}
}

// TestVerifyRefuses: a hash that cannot be verified matches nothing, and absurd costs are not paid.
func TestVerifyRefuses(t *testing.T) {
	h := testHasher(t)
	for _, encoded := range []string{
		"", "!", "plain", "$argon2id$", "$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
		"$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$",
		"$argon2id$v=19$m=8,t=0,p=1$c2FsdHNhbHQ$aGFzaGhhc2g", "$argon2id$v=19$m=8,t=1,p=0$c2FsdHNhbHQ$aGFzaGhhc2g",
		"pbkdf2_sha256$999999999$salt$AAAA", "pbkdf2_sha256$x$y",
		"scrypt$1073741824$s$8$1$AAAA", "bcrypt$$2b$31$" + strings.Repeat("a", 53),
		"argon2$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
	} {
		for _, typed := range []string{"", "\x00", encoded} {
			checkVerify(t, h, typed, encoded, false, false)
		}
	}
}

func TestOlderHashesAreUpgraded(t *testing.T) {
	h := testHasher(t)
	p := &argon2id.Params{Memory: 16, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}
	older, err := argon2id.CreateHash("quiet-otter-42", p)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := bcrypt.GenerateFromPassword([]byte("quiet-otter-42"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for _, encoded := range []string{older, "argon2" + older, "bcrypt$" + string(raw)} {
		checkVerify(t, h, "quiet-otter-42", encoded, true, true)
		checkVerify(t, h, "wrong", encoded, false, false)
	}
}

// TestDjangoVectors: recorded hashes of PBKDF2 match their passwords and no others.
func TestDjangoVectors(t *testing.T) {
	t.Parallel()
	type vector struct{ Password, Encoded string }
	cases := readVectors[vector](t, "pbkdf2_sha256.jsonl")
	if len(cases) != 14 {
		t.Fatalf("%d cases, want 14", len(cases))
	}
	h := testHasher(t)
	for _, c := range cases {
		checkVerify(t, h, c.Password, c.Encoded, true, true)
		checkVerify(t, h, c.Password+"x", c.Encoded, false, false)
	}
}

// TestDjangoHashes: of each scheme, recorded hashes match passwords of ASCII, of decomposed letters with an emoji
// (which are not normalised), and of more than the 72 bytes of bcrypt.
func TestDjangoHashes(t *testing.T) {
	t.Parallel()
	type vector struct{ Password, Encoded string }
	cases := readVectors[vector](t, "django_hashes.jsonl")
	if len(cases) != 15 {
		t.Fatalf("%d cases, want 15", len(cases))
	}
	h := testHasher(t)
	for _, c := range cases {
		checkVerify(t, h, c.Password, c.Encoded, true, true)
		checkVerify(t, h, "x"+c.Password, c.Encoded, false, false)
	}
}

// TestStoredCostIsBounded tests the decoded parameters and not the time: the most expensive of these hashes would take
// minutes.
func TestStoredCostIsBounded(t *testing.T) {
	h := testHasher(t)
	const tail = "$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA"
	tests := []struct {
		name, encoded string
		ok            bool
	}{
		{"Django's parameters", "$argon2id$v=19$m=102400,t=2,p=8" + tail, true},
		{"memory at the bound", "$argon2id$v=19$m=262144,t=8,p=1" + tail, true},
		{"memory over the bound", "$argon2id$v=19$m=262145,t=1,p=1" + tail, false},
		{"work over the bound", "$argon2id$v=19$m=262144,t=9,p=1" + tail, false},
		{"many cheap passes", "$argon2id$v=19$m=8,t=4294967295,p=1" + tail, false},
		{"passes over less memory than there can be", "$argon2id$v=19$m=0,t=100000000,p=1" + tail, false},
		{"empty key", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$", false},
		{"short key", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g", false},
	}
	for _, test := range tests {
		if _, _, _, err := h.decodeArgon2id(test.encoded); (err == nil) != test.ok {
			t.Errorf("%s: error %v, want success %t", test.name, err, test.ok)
		}
	}
	expensive := &Hasher{params: &argon2id.Params{Memory: 1 << 20, Iterations: 4}}
	if _, _, _, err := expensive.decodeArgon2id("$argon2id$v=19$m=1048576,t=4,p=1" + tail); err != nil {
		t.Errorf("the cost of the settings: got %v, want no error", err)
	}
	key := strings.Repeat("A", 86) + "=="
	for _, encoded := range []string{
		"scrypt$1048576$s$4$1$" + key, "scrypt$16384$s$8$64$" + key, "scrypt$16$s$1$1$AAAA",
	} {
		if _, err := h.compareDjango("x", encoded); !errors.Is(err, errUnknownHash) {
			t.Errorf("%s: error %v, want %v", encoded, err, errUnknownHash)
		}
	}
}

// TestHashPanics: a panic in the thread of a hash continues in the caller, and gives the place back.
func TestHashPanics(t *testing.T) {
	h := testHasher(t)
	memory := h.memory
	h.memory = nil
	func() {
		defer func() {
			if recover() == nil {
				t.Error("got no panic, want one")
			}
		}()
		_, err := h.Hash(t.Context(), Client{}, "quiet-otter-42")
		t.Errorf("got no panic but %v, want a panic", err)
	}()
	h.memory = memory
	idle(t, h.queue, cheap.Concurrent)
}

// TestTicketIsGoodForOneHash: a second hash would run without a place.
func TestTicketIsGoodForOneHash(t *testing.T) {
	h := testHasher(t)
	ticket, err := h.Enter(t.Context(), Client{}, "ada")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := h.Usage(), (Usage{Running: 1, Names: 1}); got != want {
		t.Errorf("with a ticket %+v, want %+v", got, want)
	}
	if _, _, err := ticket.Verify("quiet-otter-42", ""); err != nil {
		t.Error(err)
	}
	if got, want := h.Usage(), (Usage{Names: 1, Written: 8}); got != want {
		t.Errorf("after Verify %+v, want %+v", got, want)
	}
	if _, _, err := ticket.Verify("quiet-otter-42", ""); err == nil {
		t.Error("a second hash with one ticket: got no error, want one")
	}
	ticket.Release()
	ticket.Release()
	if got, want := h.Usage(), (Usage{Written: 8}); got != want {
		t.Errorf("after Release %+v, want %+v", got, want)
	}
}

func TestImpossibleSettings(t *testing.T) {
	for _, s := range []Argon2Settings{
		{MemoryKiB: 8, Parallelism: 1}, {MemoryKiB: 8, Iterations: 1},
		{MemoryKiB: 8, Iterations: 1, Parallelism: 1, Concurrent: -1},
		{MemoryKiB: 8, Iterations: 1, Parallelism: 1, Queue: -1},
	} {
		if _, err := NewHasher(Settings{MaxBytes: 1024, Argon2: s}, NewResponseDelay(time.Now)); err == nil {
			t.Errorf("%+v: no error, want one", s)
		}
	}
}

func verify(ctx context.Context, h *Hasher, password, encoded string) (ok, upgrade bool, err error) {
	ticket, err := h.Enter(ctx, Client{}, "")
	if err != nil {
		return false, false, err
	}
	defer ticket.Release()
	return ticket.Verify(password, encoded)
}

// checkVerify verifies a password, and fails the test unless the result is as wanted.
func checkVerify(t *testing.T, h *Hasher, password, encoded string, wantOK, wantUpgrade bool) {
	t.Helper()
	ok, upgrade, err := verify(t.Context(), h, password, encoded)
	if ok != wantOK || upgrade != wantUpgrade || err != nil {
		t.Errorf("Verify(%q, %q) = %t, upgrade %t, %v, want %t, upgrade %t",
			password, encoded, ok, upgrade, err, wantOK, wantUpgrade)
	}
}

// readVectors decodes one recorded case a line.
func readVectors[T any](t *testing.T, file string) []T {
	t.Helper()
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []T
	for line := range bytes.Lines(text) {
		var c T
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatalf("%s line %d: got %v, want JSON", file, len(cases)+1, err)
		}
		cases = append(cases, c)
	}
	return cases
}
