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

func TestQueueBounds(t *testing.T) {
	const concurrent, queue, clients = 2, 3, 50
	q := newHashQueue(concurrent, queue)
	var running, most, busy, done atomic.Int32
	release := make(chan struct{})
	var wg sync.WaitGroup
	answered := make(chan struct{}, clients)
	for range clients {
		wg.Go(func() {
			err := q.enter(context.Background(), fromNetwork("same"))
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
			q.leave()
		})
	}
	for range clients - concurrent - queue {
		<-answered
	}
	close(release)
	wg.Wait()
	if most.Load() > concurrent || busy.Load() != clients-concurrent-queue || done.Load() != concurrent+queue {
		t.Errorf("at most %d at once, %d busy, %d done, want %d, %d, %d", most.Load(), busy.Load(), done.Load(),
			concurrent, clients-concurrent-queue, concurrent+queue)
	}
	idle(t, q, concurrent)
}

// idle fails if a place, a name or a turn is taken in a queue that no ticket uses.
func idle(t *testing.T, q *hashQueue, concurrent int) {
	t.Helper()
	if q.free != concurrent || len(q.waiting) != 0 || len(q.names) != 0 || len(q.served) != 0 {
		t.Fatalf("afterwards the queue is %+v, want %d free places and nothing else", q, concurrent)
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

// fromNetwork is a ticket from a network, and fromKnown one from a known network.
func fromNetwork(network string) *Ticket {
	return &Ticket{Client: Client{Network: network, Site: siteOf(network)}}
}

func fromKnown(network string) *Ticket {
	v := fromNetwork(network)
	v.Known = func() bool { return true }
	return v
}

// queued enters the queue in the background and returns once the ticket waits, or has been refused.
func queued(ctx context.Context, q *hashQueue, v *Ticket, then func(error)) {
	var entered atomic.Bool
	go func() {
		err := q.enter(ctx, v)
		entered.Store(true)
		then(err)
	}()
	for waits := false; !waits && !entered.Load(); runtime.Gosched() {
		q.mu.Lock()
		waits = slices.Contains(q.waiting, v)
		q.mu.Unlock()
	}
}

// TestQueueIsFair: known and other networks take turns, then sites, then the networks of a site.
func TestQueueIsFair(t *testing.T) {
	const a, b = "2001:db8:a:1::/64", "2001:db8:b:1::/64"
	for _, test := range []struct {
		name    string
		tickets []*Ticket
		want    []int // the order in which they enter
	}{
		{"two networks", []*Ticket{fromNetwork(a), fromNetwork(a), fromNetwork(a), fromNetwork(b)}, []int{0, 3, 1, 2}},
		{"a site with many networks", []*Ticket{
			fromNetwork("2001:db8:a:1::/64"), fromNetwork("2001:db8:a:2::/64"), fromNetwork("2001:db8:a:3::/64"),
			fromNetwork(b), fromNetwork(b),
		}, []int{0, 3, 1, 4, 2}},
		{"networks of one site", []*Ticket{
			fromNetwork("2001:db8:a:1::/64"), fromNetwork("2001:db8:a:1::/64"), fromNetwork("2001:db8:a:2::/64"),
		}, []int{0, 2, 1}},
		{"addresses of one /24", []*Ticket{
			fromNetwork("192.0.2.1"), fromNetwork("192.0.2.2"), fromNetwork("192.0.2.3"), fromNetwork("198.51.100.1"),
		}, []int{0, 3, 1, 2}},
		{"a known network among many sites", []*Ticket{
			fromNetwork("2001:db8:1:1::/64"), fromNetwork("2001:db8:2:1::/64"), fromNetwork("2001:db8:3:1::/64"),
			fromKnown(a), fromKnown(a),
		}, []int{0, 3, 1, 4, 2}},
		{"one name after the other", []*Ticket{
			{name: "held"}, {name: "ada"}, {name: "ada"}, {name: "bob"},
		}, []int{1, 2, 3}},
	} {
		t.Run(test.name, func(t *testing.T) {
			q := newHashQueue(1, 10)
			held := &Ticket{name: "held"}
			if err := q.enter(t.Context(), held); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			order := make(chan int)
			for i, v := range test.tickets {
				queued(ctx, q, v, func(err error) {
					if err == nil {
						order <- i
					}
					q.release(v)
				})
			}
			for i, want := range test.want {
				q.leave()
				if got := <-order; got != want {
					t.Errorf("turn %d is of %d, want %d", i, got, want)
				}
			}
			cancel()
			q.leave()
			q.release(held)
		})
	}
}

// TestQueueOneNameAtATime: hashes of one name run one after the other, and those of other names do not wait for them.
func TestQueueOneNameAtATime(t *testing.T) {
	q := newHashQueue(3, 10)
	first, second, other := &Ticket{name: "ada"}, &Ticket{name: "ada"}, &Ticket{name: "bob"}
	if err := q.enter(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	entered := make(chan error)
	queued(t.Context(), q, second, func(err error) { entered <- err })
	if err := q.enter(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	q.leave()
	select {
	case err := <-entered:
		t.Fatalf("the second hash of a name: got a start with %v, want a wait for the first", err)
	default:
	}
	q.release(second) // which does not hold it
	if q.names["ada"] != first {
		t.Error("a ticket that waits: got the name released, want it kept")
	}
	q.release(first)
	if err := <-entered; err != nil {
		t.Fatal(err)
	}
	for _, v := range []*Ticket{first, second, other} {
		q.release(v)
	}
	q.leave()
	q.leave()
	idle(t, q, 3)
}

func TestQueueWithdraws(t *testing.T) {
	q := newHashQueue(1, 1)
	if err := q.enter(t.Context(), &Ticket{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	queued(ctx, q, &Ticket{}, func(err error) { result <- err })
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("enter = %v, want context.Canceled", err)
	}
	q.leave()
	idle(t, q, 1)
}

// TestQueueFloodMakesRoom: a client is not refused because another fills the queue.
func TestQueueFloodMakesRoom(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // a queue that is wrong must not hang
	defer cancel()
	q := newHashQueue(1, 3)
	if err := q.enter(ctx, fromNetwork("flood")); err != nil {
		t.Fatal(err)
	}
	results := make([]chan error, 3)
	for i := range results {
		results[i] = make(chan error, 1)
		queued(ctx, q, fromNetwork("flood"), func(err error) { results[i] <- err })
	}
	quiet := make(chan error, 2)
	for range 2 { // the second would have a line as long as the flood's: it is the one to go
		go func() { quiet <- q.enter(ctx, fromNetwork("quiet")) }()
	}
	var full *BusyError
	if err := <-results[2]; !errors.As(err, &full) || full.RetryAfter <= 0 {
		t.Errorf("the flood's newest request: %v, want BusyError", err)
	}
	if err := <-quiet; !errors.As(err, &full) {
		t.Errorf("the quiet client's second request: %v, want BusyError", err)
	}
	if err := q.enter(ctx, fromNetwork("flood")); !errors.As(err, &full) {
		t.Errorf("one more of the flood: %v, want BusyError", err)
	}
	for _, waiting := range []chan error{results[0], quiet, results[1]} {
		q.leave()
		if err := <-waiting; err != nil {
			t.Errorf("a request that waits: got %v, want no error", err)
		}
	}
	q.leave()
	idle(t, q, 1)
}

// TestQueueSites: other sites are not refused because one fills the queue, each ticket from another network.
func TestQueueSites(t *testing.T) {
	q := newHashQueue(1, 8)
	if err := q.enter(t.Context(), &Ticket{}); err != nil {
		t.Fatal(err)
	}
	results := make(chan error, 20)
	for i := range 8 {
		queued(t.Context(), q, fromNetwork(fmt.Sprintf("2001:db8:a:%x::/64", i)), func(err error) { results <- err })
	}
	var full *BusyError
	if err := q.enter(t.Context(), fromNetwork("2001:db8:a:99::/64")); !errors.As(err, &full) {
		t.Errorf("one more network of the site: %v, want BusyError", err)
	}
	for range 4 {
		queued(t.Context(), q, fromNetwork("2001:db8:b:1::/64"), func(err error) { results <- err })
		if err := <-results; !errors.As(err, &full) {
			t.Errorf("a ticket of the site: %v, want BusyError", err)
		}
	}
	if err := q.enter(t.Context(), fromNetwork("2001:db8:b:1::/64")); !errors.As(err, &full) {
		t.Errorf("more than half of the queue for the other site: %v, want BusyError", err)
	}
	for range 8 {
		q.leave()
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	q.leave()
	idle(t, q, 1)
}

// TestQueueKnownNetworks: half of the queue is for known networks, from however many sites others come.
func TestQueueKnownNetworks(t *testing.T) {
	q := newHashQueue(1, 8)
	if err := q.enter(t.Context(), &Ticket{}); err != nil {
		t.Fatal(err)
	}
	others, known := make(chan error, 20), make(chan error, 20)
	for i := range 8 {
		queued(t.Context(), q, fromNetwork(fmt.Sprintf("2001:db8:%x:1::/64", i)), func(err error) { others <- err })
	}
	var full *BusyError
	for range 4 { // all of one network: the longest line by now, but within what is theirs
		queued(t.Context(), q, fromKnown("192.0.2.1"), func(err error) { known <- err })
		if err := <-others; !errors.As(err, &full) {
			t.Errorf("a ticket of another network: %v, want BusyError", err)
		}
	}
	if err := q.enter(t.Context(), fromNetwork("2001:db8:99:1::/64")); !errors.As(err, &full) {
		t.Errorf("another network in the reserved half: %v, want BusyError", err)
	}
	if err := q.enter(t.Context(), fromKnown("192.0.2.1")); !errors.As(err, &full) {
		t.Errorf("more than half of the queue for one network: %v, want BusyError", err)
	}
	other := make(chan error, 1)
	queued(t.Context(), q, fromKnown("198.51.100.1"), func(err error) { other <- err })
	select {
	case err := <-known:
		if !errors.As(err, &full) {
			t.Errorf("the newest ticket of the longest known line: %v, want BusyError", err)
		}
	case err := <-other:
		t.Fatalf("a ticket of another known network: %v, want it to wait", err)
	}
	for range 8 {
		q.leave()
		select {
		case err := <-other:
			if err != nil {
				t.Error(err)
			}
		case err := <-others:
			if err != nil {
				t.Error(err)
			}
		case err := <-known:
			if err != nil {
				t.Error(err)
			}
		}
	}
	q.leave()
	idle(t, q, 1)
}

// TestQueueWhenBothHappen: a ticket whose context ends at the moment when it gets a place passes the place on. A ticket
// that is refused at that moment has no place to pass on.
func TestQueueWhenBothHappen(t *testing.T) {
	endings := map[string]func(*hashQueue){
		"turn":     func(q *hashQueue) { q.free++; q.pass() },
		"eviction": func(q *hashQueue) { q.evict(fromNetwork("quiet")); q.free++; q.pass() },
	}
	for _, end := range endings {
		for range 200 { // select picks either of two that are ready
			q := newHashQueue(1, 2)
			if err := q.enter(t.Context(), fromNetwork("flood")); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			left := make(chan struct{}, 2)
			for range 2 {
				queued(ctx, q, fromNetwork("flood"), func(err error) {
					if err == nil {
						q.leave()
					}
					left <- struct{}{}
				})
			}
			q.mu.Lock() // keeps those that give up from leaving the queue by themselves
			cancel()
			runtime.Gosched()
			end(q)
			q.mu.Unlock()
			<-left
			<-left
			idle(t, q, 1)
		}
	}
}

// TestQueueKeepsCount: no place is lost or made while clients come, give up and are refused at once.
func TestQueueKeepsCount(t *testing.T) {
	const concurrent, queue = 3, 5
	q := newHashQueue(concurrent, queue)
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
				if v.name = fmt.Sprint(j % 5); q.enter(ctx, v) == nil {
					if n := running.Add(1); n > concurrent {
						t.Errorf("%d at once, want at most %d", n, concurrent)
					}
					running.Add(-1)
					q.leave()
					q.release(v)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	idle(t, q, concurrent)
}
