package password

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// retryAfter is what a client is told to wait when the queue is full. A full queue takes about that long.
const retryAfter = 2 * time.Second

// hashQueue lets a bounded number of hashes run at once, because each costs a core and megabytes. The others wait in a
// queue.
//
// Places go round in turns: between known networks, which have had a good login, and others; then between sites; then
// between the networks of a site. So a flood delays itself, from however many networks of its site it comes. Of one
// name, one hash runs at a time.
//
// A full queue makes room at the cost of the longest line. The newest request of that line fails with *BusyError, which
// may be the one that has just come. Half of the queue is for known networks: a flood from many sites cannot push them
// out of it.
type hashQueue struct {
	places  int // hashes at once
	queue   int // requests that may wait
	mu      sync.Mutex
	free    int                // hashes that may start now
	waiting []*Ticket          // in the order of arrival
	names   map[string]*Ticket // typed names with a guess in progress, and the ticket that holds each
	turns   uint64             // how many there have been
	served  map[string]uint64  // the last turn of each site and network that waits
	classes map[bool]uint64    // the last turn of known and of other networks
}

// Client is who asks for a hash.
type Client struct {
	Network string      // an IPv4 address, or the first 64 bits of an IPv6 address; "": none
	Site    string      // what the network lies in: the networks that one owner can have for little
	Known   func() bool // whether the network has had a good login; called where the ticket has to wait; nil: no
}

// Ticket is one request for a hash. It enters the queue once.
type Ticket struct {
	Client
	name   string // what was typed at a login; "": none, and any number of these hashes run at once
	hasher *Hasher
	placed bool      // it holds a place
	began  time.Time // when it got that

	// Where the ticket has to wait:
	isKnown bool
	turn    chan error // told nil when it may hash
}

// BusyError says that too many passwords are being hashed. Nothing has happened; the same request may
// be sent again after RetryAfter.
type BusyError struct{ RetryAfter time.Duration }

func (e *BusyError) Error() string {
	return fmt.Sprintf("The server is busy. Please try again in %d seconds.", int(e.RetryAfter/time.Second))
}

func newHashQueue(concurrent, queue int) *hashQueue {
	return &hashQueue{
		places: concurrent, free: concurrent, queue: queue,
		names: map[string]*Ticket{}, served: map[string]uint64{}, classes: map[bool]uint64{},
	}
}

// enter returns when the caller may hash. The caller has to call leave after the hash, and release when the name is
// free again. enter fails with *BusyError when the queue is full, or with the context's error when that ends first.
func (q *hashQueue) enter(ctx context.Context, t *Ticket) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if q.enterAtOnce(t) {
		return nil
	}
	t.isKnown = t.Known != nil && t.Known() // may read the database: not under the lock
	t.turn = make(chan error, 1)            // buffered: the lock is held while it is told
	if !q.wait(t) {
		return &BusyError{RetryAfter: retryAfter}
	}
	select {
	case err := <-t.turn:
		return err
	case <-ctx.Done():
		if !q.withdraw(t) && <-t.turn == nil { // the turn came at the same moment
			q.leave()
			q.release(t)
		}
		return ctx.Err()
	}
}

// enterAtOnce takes a free place.
func (q *hashQueue) enterAtOnce(t *Ticket) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.free == 0 || !q.mayRun(t) {
		return false
	}
	q.admit(t)
	return true
}

// mayRun reports whether no other hash of the name runs. Requires q.mu held.
func (q *hashQueue) mayRun(t *Ticket) bool { return t.name == "" || q.names[t.name] == nil }

// admit gives t a place. Requires q.mu held.
func (q *hashQueue) admit(t *Ticket) {
	q.free--
	if t.name != "" {
		q.names[t.name] = t
	}
}

// wait puts t into the queue, and reports whether there is room for it.
func (q *hashQueue) wait(t *Ticket) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	mayRun := q.free > 0 && q.mayRun(t) // a place may have become free meanwhile
	if !mayRun && len(q.waiting) >= q.queue && !q.evict(t) {
		return false
	}
	q.turns++
	for _, line := range []string{t.Site, t.Network} {
		if _, ok := q.served[line]; !ok {
			q.served[line] = q.turns // behind those that wait already
		}
	}
	q.waiting = append(q.waiting, t)
	q.pass()
	return true
}

// leave gives a place back.
func (q *hashQueue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.free++
	q.pass()
}

// release lets the next hash of t's name run. It does nothing where t holds no name, and may be called twice.
func (q *hashQueue) release(t *Ticket) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if t.name != "" && q.names[t.name] == t {
		delete(q.names, t.name)
		q.pass()
	}
}

// pass gives free places to those whose turn it is. Requires q.mu held.
func (q *hashQueue) pass() {
	for q.free > 0 {
		next := q.next()
		if next == nil {
			return
		}
		q.admit(next)
		q.turns++
		q.classes[next.isKnown], q.served[next.Site], q.served[next.Network] = q.turns, q.turns, q.turns
		q.remove(next)
		next.turn <- nil
	}
}

// next is the ticket whose class, then site, then network has waited for a turn the longest. nil: nobody may run.
// Requires q.mu held.
func (q *hashQueue) next() *Ticket {
	var first *Ticket
	for _, t := range q.waiting {
		if q.mayRun(t) && (first == nil || q.before(t, first)) {
			first = t
		}
	}
	return first
}

func (q *hashQueue) before(t, u *Ticket) bool {
	return cmp.Or(
		cmp.Compare(q.classes[t.isKnown], q.classes[u.isKnown]),
		cmp.Compare(q.served[t.Site], q.served[u.Site]),
		cmp.Compare(q.served[t.Network], q.served[u.Network]),
	) < 0
}

// remove takes t out of the queue, and reports whether it was there. Requires q.mu held.
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

// withdraw takes t out of the queue. It reports false when t has been told already.
func (q *hashQueue) withdraw(t *Ticket) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.remove(t)
}

// knownShare is the part of the queue that known networks have for themselves: one half.
const knownShare = 2

// evict makes room in a full queue for t. The newest request of the longest line goes, if that line stays no shorter
// than t's own becomes. Lines of sites are compared first, then those of networks in t's site. Known networks lose
// nothing of their share to others, and take it back from them. Requires q.mu held.
func (q *hashQueue) evict(t *Ticket) bool {
	known, others := split(q.waiting, func(u *Ticket) bool { return u.isKnown })
	theirs := q.queue / knownShare
	if t.isKnown && len(known) < theirs {
		return q.refuseNewest(longestLine(longestLine(others, bySite), byNetwork))
	}
	candidates := q.waiting
	if !t.isKnown && len(known) <= theirs {
		candidates = others
	}
	own, _ := split(q.waiting, func(u *Ticket) bool { return bySite(u) == bySite(t) })
	if longest := longestLine(candidates, bySite); len(longest) >= len(own)+2 {
		return q.refuseNewest(longestLine(longest, byNetwork))
	}
	ownNetwork, _ := split(own, func(u *Ticket) bool { return u.Network == t.Network })
	longest := longestLine(own, byNetwork)
	return len(longest) >= len(ownNetwork)+2 && q.refuseNewest(longest)
}

// refuseNewest turns the last of a line away. Requires q.mu held.
func (q *hashQueue) refuseNewest(line []*Ticket) bool {
	newest := line[len(line)-1]
	q.remove(newest)
	newest.turn <- &BusyError{RetryAfter: retryAfter}
	return true
}

// bySite is the line of a visit: known networks of a site and its other networks are two.
func bySite(t *Ticket) string {
	if t.isKnown {
		return t.Site + " known"
	}
	return t.Site
}

func byNetwork(t *Ticket) string { return t.Network }

// longestLine is the most visits with one key, in their order. Of several lines as long it is the one that came first.
func longestLine(visits []*Ticket, key func(*Ticket) string) (longest []*Ticket) {
	lines := map[string][]*Ticket{}
	for _, t := range visits {
		lines[key(t)] = append(lines[key(t)], t)
	}
	for _, t := range visits {
		if line := lines[key(t)]; len(line) > len(longest) {
			longest = line
		}
	}
	return longest
}

func split(visits []*Ticket, is func(*Ticket) bool) (those, others []*Ticket) {
	for _, t := range visits {
		if is(t) {
			those = append(those, t)
		} else {
			others = append(others, t)
		}
	}
	return those, others
}
