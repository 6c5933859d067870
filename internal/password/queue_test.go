package password

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestGateBounds(t *testing.T) {
	const concurrent, queue, clients = 2, 3, 50
	g := newHashQueue(concurrent, queue)
	var running, most, busy, done atomic.Int32
	release := make(chan struct{})
	var wg sync.WaitGroup
	answered := make(chan struct{}, clients)
	for range clients {
		wg.Go(func() {
			err := g.enter(context.Background(), fromNetwork("same"))
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
	idle(t, g, concurrent)
}

// idle fails where a place, a name or a turn of a gate that nobody uses is taken.
func idle(t *testing.T, g *hashQueue, concurrent int) {
	t.Helper()
	if g.free != concurrent || len(g.waiting) != 0 || len(g.names) != 0 || len(g.served) != 0 {
		t.Fatalf("afterwards the queue is %+v", g)
	}
}

// siteOf is 48 bits of an IPv6 network, 24 of an IPv4 address.
func siteOf(network string) string {
	bits, addr := 24, network
	if prefix, err := netip.ParsePrefix(network); err == nil {
		bits, addr = 48, prefix.Addr().String()
	}
	if ip, err := netip.ParseAddr(addr); err == nil {
		return netip.PrefixFrom(ip, bits).Masked().String()
	}
	return network
}

// fromNetwork is a ticket of a network, and fromKnown one from where somebody has logged in.
func fromNetwork(network string) *Ticket {
	return &Ticket{Client: Client{Network: network, Site: siteOf(network)}}
}

func fromKnown(network string) *Ticket {
	v := fromNetwork(network)
	v.Known = func() bool { return true }
	return v
}

// queued enters the gate in the background and returns once the request waits, or has been turned away.
func queued(ctx context.Context, g *hashQueue, v *Ticket, then func(error)) {
	var entered atomic.Bool
	go func() {
		err := g.enter(ctx, v)
		entered.Store(true)
		then(err)
	}()
	for waits := false; !waits && !entered.Load(); runtime.Gosched() {
		g.mu.Lock()
		waits = slices.Contains(g.waiting, v)
		g.mu.Unlock()
	}
}

// TestGateIsFair: places go round between known and other networks, then between sites, then between their networks.
func TestGateIsFair(t *testing.T) {
	const a, b = "2001:db8:a:1::/64", "2001:db8:b:1::/64"
	for _, test := range []struct {
		name   string
		visits []*Ticket
		want   []int // the order in which they enter
	}{
		{"two networks", []*Ticket{fromNetwork(a), fromNetwork(a), fromNetwork(a), fromNetwork(b)}, []int{0, 3, 1, 2}},
		{"a site with many networks", []*Ticket{
			fromNetwork("2001:db8:a:1::/64"), fromNetwork("2001:db8:a:2::/64"), fromNetwork("2001:db8:a:3::/64"), fromNetwork(b), fromNetwork(b),
		}, []int{0, 3, 1, 4, 2}},
		{"networks of one site", []*Ticket{fromNetwork("2001:db8:a:1::/64"), fromNetwork("2001:db8:a:1::/64"), fromNetwork("2001:db8:a:2::/64")}, []int{0, 2, 1}},
		{"addresses of one /24", []*Ticket{fromNetwork("192.0.2.1"), fromNetwork("192.0.2.2"), fromNetwork("192.0.2.3"), fromNetwork("198.51.100.1")}, []int{0, 3, 1, 2}},
		{"a known network among many sites", []*Ticket{
			fromNetwork("2001:db8:1:1::/64"), fromNetwork("2001:db8:2:1::/64"), fromNetwork("2001:db8:3:1::/64"), fromKnown(a), fromKnown(a),
		}, []int{0, 3, 1, 4, 2}},
		{"one name after the other", []*Ticket{{name: "held"}, {name: "ada"}, {name: "ada"}, {name: "bob"}}, []int{1, 2, 3}},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newHashQueue(1, 10)
			held := &Ticket{name: "held"}
			if err := g.enter(t.Context(), held); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			order := make(chan int)
			for i, v := range test.visits {
				queued(ctx, g, v, func(err error) {
					if err == nil {
						order <- i
					}
					g.release(v)
				})
			}
			for i, want := range test.want {
				g.leave()
				if got := <-order; got != want {
					t.Errorf("turn %d is of %d, want %d", i, got, want)
				}
			}
			cancel()
			g.leave()
			g.release(held)
		})
	}
}

// TestGateOneNameAtATime: of one name, one hash runs while others of it wait; hashes of other names do not wait for it.
func TestGateOneNameAtATime(t *testing.T) {
	g := newHashQueue(3, 10)
	first, second, other := &Ticket{name: "ada"}, &Ticket{name: "ada"}, &Ticket{name: "bob"}
	if err := g.enter(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	entered := make(chan error)
	queued(t.Context(), g, second, func(err error) { entered <- err })
	if err := g.enter(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	g.leave()
	select {
	case err := <-entered:
		t.Fatalf("the second hash of a name began before the name was free: %v", err)
	default:
	}
	g.release(second) // which does not hold it
	if g.names["ada"] != first {
		t.Error("a ticket that waits gives the name away")
	}
	g.release(first)
	if err := <-entered; err != nil {
		t.Fatal(err)
	}
	for _, v := range []*Ticket{first, second, other} {
		g.release(v)
	}
	g.leave()
	g.leave()
	idle(t, g, 3)
}

func TestGateWithdraws(t *testing.T) {
	g := newHashQueue(1, 1)
	if err := g.enter(t.Context(), &Ticket{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	queued(ctx, g, &Ticket{}, func(err error) { result <- err })
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("enter = %v", err)
	}
	g.leave()
	idle(t, g, 1)
}

// TestGateFloodMakesRoom: a queue full of one client's requests is no reason to turn another away.
func TestGateFloodMakesRoom(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // a queue that is wrong must not hang
	defer cancel()
	g := newHashQueue(1, 3)
	if err := g.enter(ctx, fromNetwork("flood")); err != nil {
		t.Fatal(err)
	}
	results := make([]chan error, 3)
	for i := range results {
		results[i] = make(chan error, 1)
		queued(ctx, g, fromNetwork("flood"), func(err error) { results[i] <- err })
	}
	quiet := make(chan error, 2)
	for range 2 { // the second would have a line as long as the flood's: it is the one to go
		go func() { quiet <- g.enter(ctx, fromNetwork("quiet")) }()
	}
	var full *BusyError
	if err := <-results[2]; !errors.As(err, &full) || full.RetryAfter <= 0 {
		t.Errorf("the flood's newest request: %v, want BusyError", err)
	}
	if err := <-quiet; !errors.As(err, &full) {
		t.Errorf("the quiet client's second request: %v, want BusyError", err)
	}
	if err := g.enter(ctx, fromNetwork("flood")); !errors.As(err, &full) {
		t.Errorf("one more of the flood: %v, want BusyError", err)
	}
	for _, waiting := range []chan error{results[0], quiet, results[1]} {
		g.leave()
		if err := <-waiting; err != nil {
			t.Errorf("a request that waited: %v", err)
		}
	}
	g.leave()
	idle(t, g, 1)
}

// TestGateSites: a queue that is full of one site's requests, each from another network of it, turns away nobody else.
func TestGateSites(t *testing.T) {
	g := newHashQueue(1, 8)
	if err := g.enter(t.Context(), &Ticket{}); err != nil {
		t.Fatal(err)
	}
	results := make(chan error, 20)
	for i := range 8 {
		queued(t.Context(), g, fromNetwork(fmt.Sprintf("2001:db8:a:%x::/64", i)), func(err error) { results <- err })
	}
	var full *BusyError
	if err := g.enter(t.Context(), fromNetwork("2001:db8:a:99::/64")); !errors.As(err, &full) {
		t.Errorf("one more network of the site: %v", err)
	}
	for range 4 {
		queued(t.Context(), g, fromNetwork("2001:db8:b:1::/64"), func(err error) { results <- err })
		if err := <-results; !errors.As(err, &full) {
			t.Errorf("the site loses nobody: %v", err)
		}
	}
	if err := g.enter(t.Context(), fromNetwork("2001:db8:b:1::/64")); !errors.As(err, &full) {
		t.Errorf("the other site has more than half of the queue: %v", err)
	}
	for range 8 {
		g.leave()
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	g.leave()
	idle(t, g, 1)
}

// TestGateKnownNetworks: half of the queue belongs to networks with a good login, from however many sites others come.
func TestGateKnownNetworks(t *testing.T) {
	g := newHashQueue(1, 8)
	if err := g.enter(t.Context(), &Ticket{}); err != nil {
		t.Fatal(err)
	}
	strange, known := make(chan error, 20), make(chan error, 20)
	for i := range 8 {
		queued(t.Context(), g, fromNetwork(fmt.Sprintf("2001:db8:%x:1::/64", i)), func(err error) { strange <- err })
	}
	var full *BusyError
	for range 4 { // all of one network: the longest line by now, but within what is theirs
		queued(t.Context(), g, fromKnown("192.0.2.1"), func(err error) { known <- err })
		if err := <-strange; !errors.As(err, &full) {
			t.Errorf("no stranger makes room: %v", err)
		}
	}
	if err := g.enter(t.Context(), fromNetwork("2001:db8:99:1::/64")); !errors.As(err, &full) {
		t.Errorf("a stranger takes a place of theirs: %v", err)
	}
	if err := g.enter(t.Context(), fromKnown("192.0.2.1")); !errors.As(err, &full) {
		t.Errorf("one network has more than half of the queue: %v", err)
	}
	other := make(chan error, 1)
	queued(t.Context(), g, fromKnown("198.51.100.1"), func(err error) { other <- err })
	select {
	case err := <-known:
		if !errors.As(err, &full) {
			t.Errorf("the longest known line goes on: %v", err)
		}
	case err := <-other:
		t.Fatalf("one known network keeps others out: %v", err)
	}
	for range 8 {
		g.leave()
		select {
		case err := <-other:
			if err != nil {
				t.Error(err)
			}
		case err := <-strange:
			if err != nil {
				t.Error(err)
			}
		case err := <-known:
			if err != nil {
				t.Error(err)
			}
		}
	}
	g.leave()
	idle(t, g, 1)
}

// TestGateWhenBothHappen: a request whose context ends while it is told something has a place to pass on if it
// was told that it may hash, and none if it was turned away.
func TestGateWhenBothHappen(t *testing.T) {
	tell := map[string]func(*hashQueue){
		"turn":     func(g *hashQueue) { g.free++; g.pass() },
		"eviction": func(g *hashQueue) { g.evict(fromNetwork("quiet")); g.free++; g.pass() },
	}
	for _, tell := range tell {
		for range 200 { // select picks either of two that are ready
			g := newHashQueue(1, 2)
			if err := g.enter(t.Context(), fromNetwork("flood")); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			left := make(chan struct{}, 2)
			for range 2 {
				queued(ctx, g, fromNetwork("flood"), func(err error) {
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
			idle(t, g, 1)
		}
	}
}

// TestGateKeepsCount lets clients come, give up and be turned away all at once: no place may be lost or made.
func TestGateKeepsCount(t *testing.T) {
	const concurrent, queue = 3, 5
	g := newHashQueue(concurrent, queue)
	var running atomic.Int32
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			for j := range 200 {
				ctx, cancel := context.WithCancel(t.Context())
				if (i+j)%3 == 0 {
					go cancel()
				}
				v := fromNetwork(fmt.Sprint(i % 7))
				if v.name = fmt.Sprint(j % 5); g.enter(ctx, v) == nil {
					if n := running.Add(1); n > concurrent {
						t.Errorf("%d at once", n)
					}
					running.Add(-1)
					g.leave()
					g.release(v)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	idle(t, g, concurrent)
}
