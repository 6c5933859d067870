package accounts

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
	"golang.org/x/text/unicode/norm"

	"accountd/internal/argon2"
)

// Argon2Settings are the cost of a password hash (RFC 9106; OWASP recommends at least 19 MiB, 2, 1) and how
// many may be computed or wait at once.
type Argon2Settings struct {
	MemoryKiB, Iterations uint32
	Parallelism           uint8
	Concurrent            int // hashes at once; 0: the number of cores that the process may use
	Queue                 int // requests that may wait
}

// hasher turns passwords into encoded hashes and back into verdicts, through the gate.
type hasher struct {
	params   *argon2id.Params
	maxBytes int // of a password
	gate     *gate
	memory   *argon2.Pool
	dummy    string // a hash of nothing, at the current parameters

	pace    *pace
	refusal atomic.Int64             // time.Duration that a no takes, or a multiple of it; 0: as long as its hash
	costs   map[string]time.Duration // of the kinds of hashes that are stored; measure's
}

func newHasher(passwords PasswordSettings, p *pace) (*hasher, error) {
	s := passwords.Argon2
	if s.Iterations == 0 || s.Parallelism == 0 || s.Concurrent < 0 || s.Queue < 0 {
		return nil, fmt.Errorf("prepare hashing: impossible settings %+v", s) // Argon2 would panic, the gate never open
	}
	if s.Concurrent == 0 {
		s.Concurrent = runtime.GOMAXPROCS(0)
	}
	params := &argon2id.Params{Memory: s.MemoryKiB, Iterations: s.Iterations, Parallelism: s.Parallelism, SaltLength: 16, KeyLength: 32}
	return &hasher{
		maxBytes: passwords.MaxBytes, pace: p, costs: map[string]time.Duration{},
		params: params,
		gate:   newGate(s.Concurrent, s.Queue),
		memory: argon2.NewPool(s.Concurrent, params),
		dummy:  dummyHash(params),
	}, nil
}

// dummyHash has the form of a hash and a random key in it, so that no password fits. Computing one would cost the
// start of every command a hash.
func dummyHash(params *argon2id.Params) string {
	random := make([]byte, params.SaltLength+params.KeyLength)
	_, _ = rand.Read(random) // never fails
	return encodeArgon2(params, random[:params.SaltLength], random[params.SaltLength:])
}

// encodeArgon2 writes a hash as the reference implementation of Argon2 does, and argon2id.DecodeHash reads.
func encodeArgon2(params *argon2id.Params, salt, key []byte) string {
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, params.Memory, params.Iterations, params.Parallelism, encode(salt), encode(key))
}

// Hash encodes a new password, in NFC so that it can be typed on another system (RFC 8265, section 4.2).
// It waits at the gate and fails with *BusyError when that is full.
func (h *hasher) Hash(ctx context.Context, v *visit, password string) (string, error) {
	if err := h.gate.enter(ctx, v); err != nil {
		return "", err
	}
	defer h.gate.leave()
	salt := make([]byte, h.params.SaltLength)
	_, _ = rand.Read(salt) // never fails
	key, err := h.memory.Key([]byte(norm.NFC.String(password)), salt, h.params)
	if err != nil {
		return "", err
	}
	return encodeArgon2(h.params, salt, key), nil
}

// verdict is what Verify has found.
type verdict struct {
	fits    bool
	upgrade bool      // the hash should be replaced: its scheme or parameters are not the current ones
	began   time.Time // its turn at the gate came
}

// Verify compares a password with an encoded hash. It costs one hash whatever that is: when it is empty or unreadable, or
// the password is none that could have been set, the dummy is hashed and the answer is no. Before anybody is told of a
// no, delayRefusal has to return. v keeps its name until the gate's release.
//
// stored is asked for the encoded hash behind the gate, right before it is compared; with its error, nothing is hashed.
func (h *hasher) Verify(ctx context.Context, v *visit, password string, stored func() (string, error)) (verdict, error) {
	if err := h.gate.enter(ctx, v); err != nil {
		return verdict{}, err
	}
	defer h.gate.leave()
	out := verdict{began: h.pace.now()}
	encoded, err := stored()
	if err != nil {
		return verdict{}, err
	}
	tooLong := len(password) > h.maxBytes && (encoded == "" || isOurs(encoded)) // Django took any
	if tooLong || !typable(password) {
		password, encoded = "", h.dummy // before a book is normalised
	}
	fits, upgrade, err := h.compare(password, encoded)
	if errors.Is(err, errUnknownHash) {
		_, _, err = h.compare(password[:min(len(password), h.maxBytes)], h.dummy)
		fits = false
	}
	out.fits, out.upgrade = fits, fits && upgrade
	return out, err
}

// delayRefusal returns when a no may be told: it takes as long whatever kind the hash is of.
func (h *hasher) delayRefusal(ctx context.Context, v verdict) {
	h.pace.wait(ctx, v.began, time.Duration(h.refusal.Load()))
}

func isOurs(encoded string) bool { return strings.HasPrefix(encoded, "$argon2id$") }

func (h *hasher) compare(password, encoded string) (ok, upgrade bool, err error) {
	if !isOurs(encoded) {
		ok, err = h.compareDjango(password, encoded)
		return ok, true, err
	}
	ok, params, err := h.compareArgon2(norm.NFC.String(password), encoded)
	return ok, err == nil && *params != *h.params, err
}

func (h *hasher) compareArgon2(password, encoded string) (bool, *argon2id.Params, error) {
	params, salt, key, err := h.decodeArgon2(encoded)
	if err != nil {
		return false, nil, err
	}
	got, err := h.memory.Key([]byte(password), salt, params)
	return subtle.ConstantTimeCompare(key, got) == 1, params, err
}

// decodeArgon2 reads a stored hash, which says itself what it costs: look before it is computed. A number that is zero would be
// a panic.
func (h *hasher) decodeArgon2(encoded string) (params *argon2id.Params, salt, key []byte, err error) {
	params, salt, key, err = argon2id.DecodeHash(encoded)
	if err != nil || params.Iterations == 0 || params.Parallelism == 0 || params.Memory < 8*uint32(params.Parallelism) || len(key) < minKeyBytes {
		return nil, nil, nil, errUnknownHash // less memory than RFC 9106, section 3.1, allows would be computed in more
	}
	if params.Memory == h.params.Memory && params.Iterations == h.params.Iterations {
		return params, salt, key, nil // what the settings allow is never too dear
	}
	if params.Memory > maxMemoryKiB || uint64(params.Memory)*uint64(params.Iterations) > maxWorkKiB {
		return nil, nil, nil, errUnknownHash
	}
	return params, salt, key, nil
}

// Bounds of what a stored hash may cost beyond the settings: a few times what Django asks for, and seconds
// at most. A row that wants more would hold a place at the gate for minutes.
const (
	maxMemoryKiB = 256 << 10 // Django's own: 100 MiB
	maxWorkKiB   = 2 << 20   // memory written in all passes
	minKeyBytes  = 16        // a shorter key is no proof
)

// typable reports whether a password can have been set: no NUL, no replacement character (which stands for
// something that got lost on the way), valid UTF-8.
func typable(password string) bool {
	return utf8.ValidString(password) && !strings.ContainsAny(password, "\x00\ufffd")
}
