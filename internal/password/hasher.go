package password

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

	"github.com/alexedwards/argon2id"
	"golang.org/x/text/unicode/norm"

	"accountd/internal/argon2"
)

// Hasher hashes and verifies passwords, a bounded number at once. It is safe for concurrent use, apart from Measure.
type Hasher struct {
	params   *argon2id.Params
	maxBytes int // of a password
	queue    *hashQueue
	memory   *argon2.Pool
	dummy    string // a hash of nothing, at the current parameters

	delay   *ResponseDelay
	refusal atomic.Int64             // time.Duration that a no takes, or a multiple of it; 0: as long as its hash
	costs   map[string]time.Duration // of the kinds of hashes that are stored; those that Measure has measured
}

// NewHasher fails where the settings are impossible. d is the clock, and delays refusals.
func NewHasher(settings Settings, d *ResponseDelay) (*Hasher, error) {
	s := settings.Argon2
	if s.Iterations == 0 || s.Parallelism == 0 || s.Concurrent < 0 || s.Queue < 0 {
		return nil, fmt.Errorf("prepare hashing: impossible settings %+v", s) // Argon2 would panic, the queue never move
	}
	if s.Concurrent == 0 {
		s.Concurrent = runtime.GOMAXPROCS(0)
	}
	params := &argon2id.Params{Memory: s.MemoryKiB, Iterations: s.Iterations, Parallelism: s.Parallelism, SaltLength: 16, KeyLength: 32}
	return &Hasher{
		maxBytes: settings.MaxBytes, delay: d, costs: map[string]time.Duration{},
		params: params,
		queue:  newHashQueue(s.Concurrent, s.Queue),
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

// Hash encodes a new password, in NFC so that it can be typed on another system (RFC 8265, section 4.2). It waits for a
// place, and fails like Enter.
func (h *Hasher) Hash(ctx context.Context, c Client, password string) (string, error) {
	t, err := h.Enter(ctx, c, "")
	if err != nil {
		return "", err
	}
	defer t.Release()
	salt := make([]byte, h.params.SaltLength)
	_, _ = rand.Read(salt) // never fails
	key, err := h.memory.Key([]byte(norm.NFC.String(password)), salt, h.params)
	if err != nil {
		return "", err
	}
	return encodeArgon2(h.params, salt, key), nil
}

// Enter waits for a place to verify one password. name is what was typed at a login: of one name, one ticket exists at
// a time. "" is no name. Where Enter succeeds, the caller must call Release. It fails with *BusyError when the queue
// is full, or with the context's error when that ends first.
func (h *Hasher) Enter(ctx context.Context, c Client, name string) (*Ticket, error) {
	t := &Ticket{Client: c, name: name, hasher: h}
	if err := h.queue.enter(ctx, t); err != nil {
		return nil, err
	}
	t.placed, t.began = true, h.delay.Now()
	return t, nil
}

// Verify compares a password with an encoded hash and gives the ticket's place back; the ticket keeps its name. It
// costs one hash whatever encoded is: when that is empty or unreadable, or when the password cannot have been set, the
// dummy is hashed and ok is false. upgrade says that the hash should be replaced: its scheme or parameters are not the
// current ones. A ticket is good for one call.
func (t *Ticket) Verify(password, encoded string) (ok, upgrade bool, err error) {
	if !t.placed {
		return false, false, errors.New("password: the ticket has no place")
	}
	defer t.leave()
	h := t.hasher
	tooLong := len(password) > h.maxBytes && (encoded == "" || isOurs(encoded)) // Django took any
	if tooLong || !WellFormed(password) {
		password, encoded = "", h.dummy // before a book is normalised
	}
	ok, upgrade, err = h.compare(password, encoded)
	if errors.Is(err, errUnknownHash) {
		_, _, err = h.compare(password[:min(len(password), h.maxBytes)], h.dummy)
		ok = false
	}
	return ok, ok && upgrade, err
}

// DelayRefusal returns when a wrong password may be answered: it takes as long whatever kind the stored hash is of,
// counted from when the ticket got its place.
func (t *Ticket) DelayRefusal(ctx context.Context) {
	t.hasher.delay.Wait(ctx, t.began, time.Duration(t.hasher.refusal.Load()))
}

// Release gives back what the ticket holds: its place, unless Verify has done so, and its name. It may be called twice.
func (t *Ticket) Release() {
	t.leave()
	t.hasher.queue.release(t)
}

func (t *Ticket) leave() {
	if t.placed {
		t.placed = false
		t.hasher.queue.leave()
	}
}

// Usage is what a Hasher is doing, and has done.
type Usage struct {
	Running, Waiting int    // tickets with a place, and those in the queue
	Names            int    // of tickets that have one
	Written          uint64 // KiB, in all passes of all Argon2id hashes so far
}

// Usage says what is going on.
func (h *Hasher) Usage() Usage {
	q := h.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	return Usage{Running: q.places - q.free, Waiting: len(q.waiting), Names: len(q.names), Written: h.memory.Written()}
}

func isOurs(encoded string) bool { return strings.HasPrefix(encoded, "$argon2id$") }

func (h *Hasher) compare(password, encoded string) (ok, upgrade bool, err error) {
	if !isOurs(encoded) {
		ok, err = h.compareDjango(password, encoded)
		return ok, true, err
	}
	ok, params, err := h.compareArgon2(norm.NFC.String(password), encoded)
	return ok, err == nil && *params != *h.params, err
}

func (h *Hasher) compareArgon2(password, encoded string) (bool, *argon2id.Params, error) {
	params, salt, key, err := h.decodeArgon2(encoded)
	if err != nil {
		return false, nil, err
	}
	got, err := h.memory.Key([]byte(password), salt, params)
	return subtle.ConstantTimeCompare(key, got) == 1, params, err
}

// decodeArgon2 reads a stored hash, which says itself what it costs: look before it is computed. A number that is zero would be
// a panic.
func (h *Hasher) decodeArgon2(encoded string) (params *argon2id.Params, salt, key []byte, err error) {
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
// at most. A row that wants more would hold a place for minutes.
const (
	maxMemoryKiB = 256 << 10 // Django's own: 100 MiB
	maxWorkKiB   = 2 << 20   // memory written in all passes
	minKeyBytes  = 16        // a shorter key is no proof
)
