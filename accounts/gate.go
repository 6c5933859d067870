package accounts

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// retryAfter is what a client is told to wait when the queue is full. A full queue takes about that long.
const retryAfter = 2 * time.Second

// gate lets a bounded number of hashes run at once, because each costs a core and megabytes. The others wait in a
// queue.
//
// Places go round in turns: between known networks, which have had a good login, and others; then between sites; then
// between the networks of a site. So a flood delays itself, from however many networks of its site it comes. Of one
// name, one hash runs at a time.
//
// A full queue makes room at the cost of the longest line. The newest request of that line fails with *BusyError, which
// may be the one that has just come. Half of the queue is for known networks: a flood from many sites cannot push them
// out of it.
type gate struct {
	mu      sync.Mutex
	free    int               // hashes that may start now
	queue   int               // requests that may wait
	waiting []*visit          // in the order of arrival
	names   map[string]*visit // typed names with a guess in progress, and the visit that holds each
	turns   uint64            // how many there have been
	served  map[string]uint64 // the last turn of each site and network that waits
	classes map[bool]uint64   // the last turn of known and of other networks
}

// visit is one request for a hash. It enters once.
type visit struct {
	network string      // of the client: an IPv4 address, or the first 64 bits of an IPv6 address
	name    string      // what was typed at a login; "": none, and any number of these hashes run at once
	known   func() bool // whether the network is known; asked where the visit has to wait; nil: no

	// Where the visit has to wait:
	site    string // siteOf the network
	isKnown bool
	turn    chan error // told nil when it may hash
}

func newGate(concurrent, queue int) *gate {
	return &gate{
		free: concurrent, queue: queue,
		names: map[string]*visit{}, served: map[string]uint64{}, classes: map[bool]uint64{},
	}
}

// enter returns when the caller may hash. The caller has to call leave after the hash, and release when the name is
// free again. enter fails with *BusyError when the queue is full, or with the context's error when that ends first.
func (g *gate) enter(ctx context.Context, v *visit) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if g.enterAtOnce(v) {
		return nil
	}
	v.site, _ = siteOf(v.network)
	v.isKnown = v.known != nil && v.known() // may read the database: not under the lock
	v.turn = make(chan error, 1)            // buffered: the lock is held while it is told
	if !g.wait(v) {
		return &BusyError{RetryAfter: retryAfter}
	}
	select {
	case err := <-v.turn:
		return err
	case <-ctx.Done():
		if !g.withdraw(v) && <-v.turn == nil { // the turn came at the same moment
			g.leave()
			g.release(v)
		}
		return ctx.Err()
	}
}

// enterAtOnce takes a free place.
func (g *gate) enterAtOnce(v *visit) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.free == 0 || !g.mayRun(v) {
		return false
	}
	g.admit(v)
	return true
}

// mayRun reports whether no other hash of the name runs. Requires g.mu held.
func (g *gate) mayRun(v *visit) bool { return v.name == "" || g.names[v.name] == nil }

// admit gives v a place. Requires g.mu held.
func (g *gate) admit(v *visit) {
	g.free--
	if v.name != "" {
		g.names[v.name] = v
	}
}

// wait puts v into the queue, and reports whether there is room for it.
func (g *gate) wait(v *visit) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	mayRun := g.free > 0 && g.mayRun(v) // a place may have become free meanwhile
	if !mayRun && len(g.waiting) >= g.queue && !g.evict(v) {
		return false
	}
	g.turns++
	for _, line := range []string{v.site, v.network} {
		if _, ok := g.served[line]; !ok {
			g.served[line] = g.turns // behind those that wait already
		}
	}
	g.waiting = append(g.waiting, v)
	g.pass()
	return true
}

// leave gives a place back.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.free++
	g.pass()
}

// release lets the next hash of v's name run. It does nothing where v holds no name, and may be called twice.
func (g *gate) release(v *visit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if v.name != "" && g.names[v.name] == v {
		delete(g.names, v.name)
		g.pass()
	}
}

// pass gives free places to those whose turn it is. Requires g.mu held.
func (g *gate) pass() {
	for g.free > 0 {
		next := g.next()
		if next == nil {
			return
		}
		g.admit(next)
		g.turns++
		g.classes[next.isKnown], g.served[next.site], g.served[next.network] = g.turns, g.turns, g.turns
		g.remove(next)
		next.turn <- nil
	}
}

// next is the visit whose class, then site, then network has waited for a turn the longest. nil: nobody may run.
// Requires g.mu held.
func (g *gate) next() *visit {
	var first *visit
	for _, v := range g.waiting {
		if g.mayRun(v) && (first == nil || g.before(v, first)) {
			first = v
		}
	}
	return first
}

func (g *gate) before(v, w *visit) bool {
	return cmp.Or(
		cmp.Compare(g.classes[v.isKnown], g.classes[w.isKnown]),
		cmp.Compare(g.served[v.site], g.served[w.site]),
		cmp.Compare(g.served[v.network], g.served[w.network]),
	) < 0
}

// remove takes v out of the queue, and reports whether it was there. Requires g.mu held.
func (g *gate) remove(v *visit) bool {
	i := slices.Index(g.waiting, v)
	if i < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	if !slices.ContainsFunc(g.waiting, func(w *visit) bool { return w.site == v.site }) {
		delete(g.served, v.site)
	}
	if !slices.ContainsFunc(g.waiting, func(w *visit) bool { return w.network == v.network }) {
		delete(g.served, v.network)
	}
	return true
}

// withdraw takes v out of the queue. It reports false when v has been told already.
func (g *gate) withdraw(v *visit) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.remove(v)
}

// knownShare is the part of the queue that known networks have for themselves: one half.
const knownShare = 2

// evict makes room in a full queue for v. The newest request of the longest line goes, if that line stays no shorter
// than v's own becomes. Lines of sites are compared first, then those of networks in v's site. Known networks lose
// nothing of their share to others, and take it back from them. Requires g.mu held.
func (g *gate) evict(v *visit) bool {
	known, others := split(g.waiting, func(w *visit) bool { return w.isKnown })
	theirs := g.queue / knownShare
	if v.isKnown && len(known) < theirs {
		return g.refuseNewest(longestLine(longestLine(others, bySite), byNetwork))
	}
	candidates := g.waiting
	if !v.isKnown && len(known) <= theirs {
		candidates = others
	}
	own, _ := split(g.waiting, func(w *visit) bool { return bySite(w) == bySite(v) })
	if longest := longestLine(candidates, bySite); len(longest) >= len(own)+2 {
		return g.refuseNewest(longestLine(longest, byNetwork))
	}
	ownNetwork, _ := split(own, func(w *visit) bool { return w.network == v.network })
	longest := longestLine(own, byNetwork)
	return len(longest) >= len(ownNetwork)+2 && g.refuseNewest(longest)
}

// refuseNewest turns the last of a line away. Requires g.mu held.
func (g *gate) refuseNewest(line []*visit) bool {
	newest := line[len(line)-1]
	g.remove(newest)
	newest.turn <- &BusyError{RetryAfter: retryAfter}
	return true
}

// bySite is the line of a visit: known networks of a site and its other networks are two.
func bySite(v *visit) string {
	if v.isKnown {
		return v.site + " known"
	}
	return v.site
}

func byNetwork(v *visit) string { return v.network }

// longestLine is the most visits with one key, in their order. Of several lines as long it is the one that came first.
func longestLine(visits []*visit, key func(*visit) string) (longest []*visit) {
	lines := map[string][]*visit{}
	for _, v := range visits {
		lines[key(v)] = append(lines[key(v)], v)
	}
	for _, v := range visits {
		if line := lines[key(v)]; len(line) > len(longest) {
			longest = line
		}
	}
	return longest
}

func split(visits []*visit, is func(*visit) bool) (those, others []*visit) {
	for _, v := range visits {
		if is(v) {
			those = append(those, v)
		} else {
			others = append(others, v)
		}
	}
	return those, others
}
