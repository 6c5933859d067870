package accounts

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"
	"golang.org/x/crypto/bcrypt"
)

var cheap = Argon2Settings{MemoryKiB: 8, Iterations: 1, Parallelism: 1, Concurrent: 2, Queue: 64}

func testHasher(t *testing.T) *hasher {
	t.Helper()
	h, err := newHasher(cheap)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHashAndVerify(t *testing.T) {
	h, ctx := testHasher(t), t.Context()
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
			encoded, err := h.Hash(ctx, "", test.set)
			if err != nil {
				t.Fatal(err)
			}
			ok, upgrade, err := h.Verify(ctx, "", test.typed, encoded)
			if err != nil || ok != test.ok || upgrade {
				t.Errorf("Verify = %t, upgrade %t, %v; want %t", ok, upgrade, err, test.ok)
			}
		})
	}
}

// TestVerifyRefuses: what cannot be verified is a no after the cost of one hash, and absurd costs are not paid.
func TestVerifyRefuses(t *testing.T) {
	h := testHasher(t)
	for _, encoded := range []string{
		"", "!", "plain", "$argon2id$", "$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
		"$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$", "$argon2id$v=19$m=8,t=0,p=1$c2FsdHNhbHQ$aGFzaGhhc2g", "$argon2id$v=19$m=8,t=1,p=0$c2FsdHNhbHQ$aGFzaGhhc2g",
		"pbkdf2_sha256$999999999$salt$AAAA", "pbkdf2_sha256$x$y", "scrypt$1073741824$s$8$1$AAAA", "bcrypt$$2b$31$" + strings.Repeat("a", 53),
		"argon2$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
	} {
		for _, typed := range []string{"", "\x00", encoded} {
			ok, upgrade, err := h.Verify(t.Context(), "", typed, encoded)
			if ok || upgrade || err != nil {
				t.Errorf("Verify(%q, %q) = %t, %t, %v", typed, encoded, ok, upgrade, err)
			}
		}
	}
}

func TestOlderHashesAreUpgraded(t *testing.T) {
	h := testHasher(t)
	older, err := argon2id.CreateHash("quiet-otter-42", &argon2id.Params{Memory: 16, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := bcrypt.GenerateFromPassword([]byte("quiet-otter-42"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for _, encoded := range []string{older, "argon2" + older, "bcrypt$" + string(raw)} {
		if ok, upgrade, err := h.Verify(t.Context(), "", "quiet-otter-42", encoded); !ok || !upgrade || err != nil {
			t.Errorf("%s: %t, upgrade %t, %v", encoded, ok, upgrade, err)
		}
		if ok, upgrade, err := h.Verify(t.Context(), "", "wrong", encoded); ok || upgrade || err != nil {
			t.Errorf("%s with a wrong password: %t, upgrade %t, %v", encoded, ok, upgrade, err)
		}
	}
}

func TestDjangoVectors(t *testing.T) {
	type vector struct{ Password, Encoded string }
	cases := readVectors[vector](t, "pbkdf2_sha256.jsonl")
	if len(cases) != 14 {
		t.Fatalf("%d cases, want 14", len(cases))
	}
	h := testHasher(t)
	for _, c := range cases {
		if ok, upgrade, err := h.Verify(t.Context(), "", c.Password, c.Encoded); !ok || !upgrade || err != nil {
			t.Errorf("%q: %t, %t, %v", c.Password, ok, upgrade, err)
		}
		if ok, _, err := h.Verify(t.Context(), "", c.Password+"x", c.Encoded); ok || err != nil {
			t.Errorf("%q and one more: %t, %v", c.Password, ok, err)
		}
	}
}

// TestDjangoHashes: one password per scheme and kind (ASCII; decomposed letters and an emoji, taken as they
// are; longer than bcrypt's 72 bytes).
func TestDjangoHashes(t *testing.T) {
	type vector struct{ Password, Encoded string }
	cases := readVectors[vector](t, "django_hashes.jsonl")
	if len(cases) != 15 {
		t.Fatalf("%d cases, want 15", len(cases))
	}
	h := testHasher(t)
	for _, c := range cases {
		if ok, upgrade, err := h.Verify(t.Context(), "", c.Password, c.Encoded); !ok || !upgrade || err != nil {
			t.Errorf("%q, %s: %t, upgrade %t, %v", c.Password, c.Encoded, ok, upgrade, err)
		}
		if ok, upgrade, err := h.Verify(t.Context(), "", "x"+c.Password, c.Encoded); ok || upgrade || err != nil {
			t.Errorf("x and %q, %s: %t, upgrade %t, %v", c.Password, c.Encoded, ok, upgrade, err)
		}
	}
}

// TestStoredCostIsBounded asks what is decoded, not how long it takes: the dearest of these would hold a place
// at the gate for minutes.
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
		{"empty key", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$", false},
		{"short key", "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g", false},
	}
	for _, test := range tests {
		if _, err := h.decodeArgon2(test.encoded); (err == nil) != test.ok {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	dear := &hasher{params: &argon2id.Params{Memory: 1 << 20, Iterations: 4}}
	if _, err := dear.decodeArgon2("$argon2id$v=19$m=1048576,t=4,p=1" + tail); err != nil {
		t.Errorf("what the settings ask for is refused: %v", err)
	}
	key := strings.Repeat("A", 86) + "=="
	for _, encoded := range []string{"scrypt$1048576$s$4$1$" + key, "scrypt$16384$s$8$64$" + key, "scrypt$16$s$1$1$AAAA"} {
		if _, err := h.compareDjango("x", encoded); !errors.Is(err, errUnknownHash) {
			t.Errorf("%s: %v", encoded, err)
		}
	}
}

func TestImpossibleSettings(t *testing.T) {
	for _, s := range []Argon2Settings{
		{MemoryKiB: 8, Parallelism: 1}, {MemoryKiB: 8, Iterations: 1},
		{MemoryKiB: 8, Iterations: 1, Parallelism: 1, Concurrent: -1}, {MemoryKiB: 8, Iterations: 1, Parallelism: 1, Queue: -1},
	} {
		if _, err := newHasher(s); err == nil {
			t.Errorf("%+v is accepted", s)
		}
	}
}

func TestGateBounds(t *testing.T) {
	const concurrent, queue, clients = 2, 3, 50
	g := newGate(concurrent, queue)
	var running, most, busy, done atomic.Int32
	release := make(chan struct{})
	var wg sync.WaitGroup
	answered := make(chan struct{}, clients)
	for range clients {
		wg.Go(func() {
			err := g.enter(context.Background(), "same")
			var full *BusyError
			if errors.As(err, &full) {
				busy.Add(1)
				answered <- struct{}{}
				return
			}
			now := running.Add(1)
			for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
			}
			<-release
			running.Add(-1)
			done.Add(1)
			g.leave()
		})
	}
	for range clients - concurrent - queue {
		<-answered
	}
	close(release)
	wg.Wait()
	if most.Load() > concurrent || busy.Load() != clients-concurrent-queue || done.Load() != concurrent+queue {
		t.Errorf("at most %d at once, %d busy, %d done", most.Load(), busy.Load(), done.Load())
	}
	if g.free != concurrent || g.room != queue || len(g.waiting) != 0 || len(g.turns) != 0 {
		t.Errorf("afterwards the gate is %+v", g)
	}
}

// queued enters the gate in the background and returns once the request waits.
func queued(ctx context.Context, g *gate, client string, then func(error)) {
	g.mu.Lock()
	before := g.room
	g.mu.Unlock()
	go func() { then(g.enter(ctx, client)) }()
	for {
		g.mu.Lock()
		waits := g.room == before-1
		g.mu.Unlock()
		if waits {
			return
		}
	}
}

func TestGateIsFair(t *testing.T) {
	g := newGate(1, 10)
	if err := g.enter(t.Context(), "first"); err != nil {
		t.Fatal(err)
	}
	order := make(chan string)
	for _, client := range []string{"flood", "flood", "flood", "quiet"} {
		queued(t.Context(), g, client, func(err error) { order <- fmt.Sprint(client, err) })
	}
	var got []string
	for range 4 {
		g.leave()
		got = append(got, <-order)
	}
	if want := "flood<nil> quiet<nil> flood<nil> flood<nil>"; strings.Join(got, " ") != want {
		t.Errorf("order %v, want %s", got, want)
	}
}

func TestGateWithdraws(t *testing.T) {
	g := newGate(1, 1)
	if err := g.enter(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	queued(ctx, g, "b", func(err error) { result <- err })
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("enter = %v", err)
	}
	g.leave()
	if g.free != 1 || g.room != 1 || len(g.waiting) != 0 || len(g.turns) != 0 {
		t.Errorf("afterwards the gate is %+v", g)
	}
}

// TestGateFloodMakesRoom: a queue full of one client's requests is no reason to turn another away.
func TestGateFloodMakesRoom(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // a queue that is wrong must not hang
	defer cancel()
	g := newGate(1, 3)
	if err := g.enter(ctx, "flood"); err != nil {
		t.Fatal(err)
	}
	results := make([]chan error, 3)
	for i := range results {
		results[i] = make(chan error, 1)
		queued(ctx, g, "flood", func(err error) { results[i] <- err })
	}
	quiet := make(chan error, 2)
	for range 2 { // the second would have a line as long as the flood's: it is the one to go
		go func() { quiet <- g.enter(ctx, "quiet") }()
	}
	var full *BusyError
	if err := <-results[2]; !errors.As(err, &full) || full.RetryAfter <= 0 {
		t.Errorf("the flood's newest request: %v, want BusyError", err)
	}
	if err := <-quiet; !errors.As(err, &full) {
		t.Errorf("the quiet client's second request: %v, want BusyError", err)
	}
	if err := g.enter(ctx, "flood"); !errors.As(err, &full) {
		t.Errorf("one more of the flood: %v, want BusyError", err)
	}
	for _, waiting := range []chan error{results[0], quiet, results[1]} {
		g.leave()
		if err := <-waiting; err != nil {
			t.Errorf("a request that waited: %v", err)
		}
	}
	g.leave()
	if g.free != 1 || g.room != 3 || len(g.waiting) != 0 || len(g.turns) != 0 {
		t.Errorf("afterwards the gate is %+v", g)
	}
}

// TestGateWhenBothHappen: a request whose context ends while it is told something has a place to pass on if it
// was told that it may hash, and none if it was turned away.
func TestGateWhenBothHappen(t *testing.T) {
	tell := map[string]func(*gate){
		"turn":     func(g *gate) { g.pass() },
		"eviction": func(g *gate) { g.evict("quiet"); g.pass() },
	}
	for name, tell := range tell {
		for range 200 { // select picks either of two that are ready
			g := newGate(1, 2)
			if err := g.enter(t.Context(), "flood"); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			left := make(chan struct{}, 2)
			for range 2 {
				queued(ctx, g, "flood", func(err error) {
					if err == nil {
						g.leave()
					}
					left <- struct{}{}
				})
			}
			g.mu.Lock() // keeps those that give up from leaving the queue by themselves
			cancel()
			runtime.Gosched()
			tell(g)
			g.mu.Unlock()
			<-left
			<-left
			if g.free != 1 || g.room != 2 || len(g.waiting) != 0 || len(g.turns) != 0 {
				t.Fatalf("%s: afterwards the gate is %+v", name, g)
			}
		}
	}
}

// TestGateKeepsCount lets clients come, give up and be turned away all at once: no place may be lost or made.
func TestGateKeepsCount(t *testing.T) {
	const concurrent, queue = 3, 5
	g := newGate(concurrent, queue)
	var running atomic.Int32
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			for j := range 200 {
				ctx, cancel := context.WithCancel(t.Context())
				if (i+j)%3 == 0 {
					go cancel()
				}
				if g.enter(ctx, fmt.Sprint(i%7)) == nil {
					if n := running.Add(1); n > concurrent {
						t.Errorf("%d at once", n)
					}
					running.Add(-1)
					g.leave()
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if g.free != concurrent || g.room != queue || len(g.waiting) != 0 || len(g.turns) != 0 {
		t.Errorf("afterwards the gate is %+v", g)
	}
}
