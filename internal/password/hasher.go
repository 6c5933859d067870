package password

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/alexedwards/argon2id"
	"golang.org/x/text/unicode/norm"

	"accountd/internal/argon2"
)

// Hasher hashes and verifies passwords, a bounded number at once. It is safe for concurrent use, except Measure.
type Hasher struct {
	params   *argon2id.Params // of new hashes
	maxBytes int              // of a password
	dummy    string           // a hash with a random key, so that no password matches
	queue    *hashQueue
	memory   *argon2.Pool

	delay   *ResponseDelay
	refusal atomic.Int64             // the step of DelayRefusal in nanoseconds; 0: no delay
	costs   map[string]time.Duration // of each kind of stored hash; Measure's
}

// NewHasher returns a Hasher that reads the time from d and delays refusals with it. It returns an error if the
// settings are impossible.
func NewHasher(settings Settings, d *ResponseDelay) (*Hasher, error) {
	s := settings.Argon2
	if s.Iterations == 0 || s.Parallelism == 0 || s.Concurrent < 0 || s.Queue < 0 {
		return nil, fmt.Errorf("prepare hashing: impossible settings %+v", s)
	}
	if s.Concurrent == 0 {
		s.Concurrent = runtime.GOMAXPROCS(0)
	}
	p := &argon2id.Params{
		Memory: s.MemoryKiB, Iterations: s.Iterations, Parallelism: s.Parallelism, SaltLength: 16, KeyLength: 32,
	}
	return &Hasher{
		params: p, maxBytes: settings.MaxBytes, queue: newHashQueue(s.Concurrent, s.Queue),
		dummy:  encodeArgon2id(p, randomBytes(p.SaltLength), randomBytes(p.KeyLength)),
		memory: argon2.NewPool(s.Concurrent, p), delay: d, costs: map[string]time.Duration{},
	}, nil
}

// Hash waits for a place and returns the encoded hash of a new password. It hashes the NFC form, so that the password
// can be typed on another system (RFC 8265, section 4.2). It returns the errors of Enter.
func (h *Hasher) Hash(ctx context.Context, c Client, password string) (string, error) {
	t, err := h.Enter(ctx, c, "")
	if err != nil {
		return "", err
	}
	defer t.Release()
	salt := randomBytes(h.params.SaltLength)
	key, err := h.memory.Key([]byte(norm.NFC.String(password)), salt, h.params)
	if err != nil {
		return "", err
	}
	return encodeArgon2id(h.params, salt, key), nil
}

// Enter waits for a place to verify one password. name is what was typed at a login, or "" for no name. Of several
// tickets with the same name, only one at a time gets a place. The caller must call Release. Enter returns *BusyError
// if the queue is full, or the error of ctx if that ends first.
func (h *Hasher) Enter(ctx context.Context, c Client, name string) (*Ticket, error) {
	t := &Ticket{Client: c, name: name, hasher: h}
	if err := h.queue.enter(ctx, t); err != nil {
		return nil, err
	}
	t.placed, t.began = true, h.delay.Now()
	return t, nil
}

// Verify reports whether a password matches an encoded hash, and whether that hash should be replaced, since its scheme
// or parameters are not the current ones. It gives the place of the ticket back, but not the name, so it can be called
// once.
//
// It costs one hash whatever encoded is. If encoded is empty or unknown, or the password cannot have been set, it
// computes the dummy hash and ok is false.
func (t *Ticket) Verify(password, encoded string) (ok, upgrade bool, err error) {
	if !t.placed {
		return false, false, errors.New("password: the ticket has no place")
	}
	defer t.leave()
	h := t.hasher
	tooLong := len(password) > h.maxBytes && (encoded == "" || isArgon2id(encoded)) // Django has no such limit
	if tooLong || !WellFormed(password) {
		password, encoded = "", h.dummy // a password of any length is not normalised
	}
	ok, upgrade, err = h.compare(password, encoded)
	if errors.Is(err, errUnknownHash) {
		_, _, err = h.compare(password[:min(len(password), h.maxBytes)], h.dummy)
		ok = false
	}
	return ok, ok && upgrade, err
}

// compare returns errUnknownHash without the cost of a hash.
func (h *Hasher) compare(password, encoded string) (ok, upgrade bool, err error) {
	if !isArgon2id(encoded) {
		ok, err = h.compareDjango(password, encoded)
		return ok, true, err
	}
	ok, p, err := h.compareArgon2id(norm.NFC.String(password), encoded)
	return ok, err == nil && *p != *h.params, err
}

// DelayRefusal waits until a wrong password may be answered: so long after the ticket got its place that the time does
// not reveal which kind of hash the account has. The ticket keeps its name until then.
func (t *Ticket) DelayRefusal(ctx context.Context) {
	t.hasher.delay.Wait(ctx, t.began, time.Duration(t.hasher.refusal.Load()))
}

// Release gives back what the ticket holds: the place, unless Verify has given it back, and the name. It may be called
// twice.
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

// Usage is the load of a Hasher.
type Usage struct {
	Running, Waiting int    // tickets with a place, tickets in the queue
	Names            int    // that tickets hold
	Written          uint64 // KiB of memory that all Argon2id hashes so far have written, in all passes
}

// Usage returns the present load.
func (h *Hasher) Usage() Usage {
	q := h.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	return Usage{Running: q.places - q.free, Waiting: len(q.waiting), Names: len(q.names), Written: h.memory.Written()}
}
