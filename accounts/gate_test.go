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
)

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
