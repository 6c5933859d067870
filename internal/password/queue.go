package password

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// hashQueue lets a bounded number of hashes run at once, since each takes a core and megabytes of memory. Other tickets
// wait.
//
// A free place goes to the class of networks (known or other) whose last turn is the longest ago, within the class to
// such a site, and within the site to such a network. So a flood delays only itself, even if it comes from many
// networks of one site. Only one hash at a time runs for a name.
//
// A ticket that comes to a full queue displaces the newest ticket of the longest line, or is refused if its own line
// is the longest. Half of the queue is reserved for known networks, so that a flood from many sites cannot displace
// them.
type hashQueue struct {
	places, queue int // hashes at once; tickets that may wait

	// mu guards the fields below and is held for moments only.
	mu      sync.Mutex
	free    int                // places
	waiting []*Ticket          // in the order of arrival
	names   map[string]*Ticket // the ticket that holds each name
	turns   uint64             // how many there have been
	served  map[string]uint64  // the last turn of each site and each network that waits
	classes map[bool]uint64    // the last turn of known and of other networks
}

// Client is the sender of a request for a hash. The queue is fair between clients.
type Client struct {
	Network string      // an IPv4 address, or the first 64 bits of an IPv6 address; "": none
	Site    string      // a group of networks that one owner can have at little cost
	Known   func() bool // whether users have logged in from the network; called if the ticket has to wait; nil: no
}

// Ticket is one request for a hash, from when it gets a place until Release. It is not safe for concurrent use.
type Ticket struct {
	Client
	name   string // what was typed at a login; "": none
	hasher *Hasher
	placed bool      // it holds a place
	began  time.Time // when it got the place

	// Set if the ticket has to wait:
	isKnown bool
	turn    chan error // receives nil for a place, or *BusyError
}

// BusyError says that the queue is full. Nothing has happened; the same request may be sent again after RetryAfter.
type BusyError struct{ RetryAfter time.Duration }

func (e *BusyError) Error() string {
	return fmt.Sprintf("The server is busy. Please try again in %d seconds.", int(e.RetryAfter/time.Second))
}

// errBusy asks the client to wait about as long as a full queue takes.
var errBusy = &BusyError{RetryAfter: 2 * time.Second}

func newHashQueue(concurrent, queue int) *hashQueue {
	return &hashQueue{
		places: concurrent, free: concurrent, queue: queue,
		names: map[string]*Ticket{}, served: map[string]uint64{}, classes: map[bool]uint64{},
	}
}

// enter waits for a place. The caller must call leave after the hash, and release to give the name back. It returns
// *BusyError if the queue is full, or the error of ctx if that ends first; the ticket then holds nothing.
func (q *hashQueue) enter(ctx context.Context, t *Ticket) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.mu.Lock()
	placed := q.admit(t)
	q.mu.Unlock()
	if placed {
		return nil
	}
	t.isKnown = t.Known != nil && t.Known() // may read the database, so without q.mu
	t.turn = make(chan error, 1)            // buffered: senders hold q.mu
	q.wait(t)
	select {
	case err := <-t.turn:
		return err
	case <-ctx.Done():
		q.mu.Lock()
		waited := q.remove(t)
		q.mu.Unlock()
		if !waited && <-t.turn == nil { // it got a place at the same moment
			q.leave()
			q.release(t)
		}
		return ctx.Err()
	}
}

// mayRun reports whether no other ticket holds the name. Requires q.mu held.
func (q *hashQueue) mayRun(t *Ticket) bool { return t.name == "" || q.names[t.name] == nil }

// admit gives t a place, and reports whether there was one for it. Requires q.mu held.
func (q *hashQueue) admit(t *Ticket) bool {
	if q.free == 0 || !q.mayRun(t) {
		return false
	}
	q.free--
	if t.name != "" {
		q.names[t.name] = t
	}
	return true
}

// wait adds t to the queue, and sends to t.turn if it need not wait or there is no room.
func (q *hashQueue) wait(t *Ticket) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.admit(t) { // a place may have become free since enter
		t.turn <- nil
		return
	}
	if len(q.waiting) >= q.queue && !q.evict(t) {
		t.turn <- errBusy
		return
	}
	q.turns++
	for _, line := range []string{t.Site, t.Network} {
		if _, ok := q.served[line]; !ok {
			q.served[line] = q.turns // behind those that wait already
		}
	}
	q.waiting = append(q.waiting, t)
}

// leave gives a place back. It is to be called once for each successful enter.
func (q *hashQueue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.free++
	q.pass()
}

// release gives the name of t back, if t holds it. It may be called twice.
func (q *hashQueue) release(t *Ticket) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if t.name != "" && q.names[t.name] == t {
		delete(q.names, t.name)
		q.pass()
	}
}

// pass gives free places to the tickets whose turn it is. Requires q.mu held.
func (q *hashQueue) pass() {
	for q.free > 0 {
		ready := filter(q.waiting, q.mayRun)
		if len(ready) == 0 {
			return
		}
		next := slices.MinFunc(ready, func(t, u *Ticket) int {
			return cmp.Or(
				cmp.Compare(q.classes[t.isKnown], q.classes[u.isKnown]),
				cmp.Compare(q.served[t.Site], q.served[u.Site]),
				cmp.Compare(q.served[t.Network], q.served[u.Network]),
			)
		})
		q.admit(next)
		q.turns++
		q.classes[next.isKnown], q.served[next.Site], q.served[next.Network] = q.turns, q.turns, q.turns
		q.remove(next)
		next.turn <- nil
	}
}

// remove takes t out of the queue, and reports whether t was in it. Requires q.mu held.
func (q *hashQueue) remove(t *Ticket) bool {
	i := slices.Index(q.waiting, t)
	if i < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	if !slices.ContainsFunc(q.waiting, func(u *Ticket) bool { return u.Site == t.Site }) {
		delete(q.served, t.Site)
	}
	if !slices.ContainsFunc(q.waiting, func(u *Ticket) bool { return u.Network == t.Network }) {
		delete(q.served, t.Network)
	}
	return true
}

// evict refuses a ticket to make room for t in a full queue: the newest ticket of the longest line, if that line does
// not become shorter than the line of t. Lines of sites are compared first, then those of the networks of t's site.
// Other networks never displace known ones that use no more than the half reserved for them, and known networks take
// back what is missing to that half. It reports false if t itself is to be refused. Requires q.mu held.
func (q *hashQueue) evict(t *Ticket) bool {
	others := filter(q.waiting, func(u *Ticket) bool { return !u.isKnown })
	own := filter(q.waiting, func(u *Ticket) bool { return bySite(u) == bySite(t) })
	ownNetwork := filter(own, func(u *Ticket) bool { return u.Network == t.Network })
	known, reserved, candidates := len(q.waiting)-len(others), q.queue/2, q.waiting
	if !t.isKnown && known <= reserved {
		candidates = others
	}
	var line []*Ticket
	switch longest := longestLine(candidates, bySite); {
	case t.isKnown && known < reserved:
		line = longestLine(longestLine(others, bySite), byNetwork)
	case len(longest) >= len(own)+2:
		line = longestLine(longest, byNetwork)
	default:
		line = longestLine(own, byNetwork)
		if len(line) < len(ownNetwork)+2 {
			return false
		}
	}
	newest := line[len(line)-1]
	q.remove(newest)
	newest.turn <- errBusy
	return true
}

// bySite is the line of a ticket: the known networks of a site are one line, its other networks another.
func bySite(t *Ticket) string {
	if t.isKnown {
		return t.Site + " known"
	}
	return t.Site
}

func byNetwork(t *Ticket) string { return t.Network }

// longestLine returns the most tickets with one key, in their order. Of lines of one length the oldest is returned.
func longestLine(tickets []*Ticket, key func(*Ticket) string) (longest []*Ticket) {
	lines := map[string][]*Ticket{}
	for _, t := range tickets {
		lines[key(t)] = append(lines[key(t)], t)
	}
	for _, t := range tickets {
		if line := lines[key(t)]; len(line) > len(longest) {
			longest = line
		}
	}
	return longest
}

// filter returns the tickets for which the function is returns true.
func filter(tickets []*Ticket, is func(*Ticket) bool) []*Ticket {
	return slices.DeleteFunc(slices.Clone(tickets), func(t *Ticket) bool { return !is(t) })
}
