package accounts

import (
	"context"
	"sync"
	"time"
)

// retryAfter is what a client is told to wait when the gate is full: a queue is worked off in about that.
const retryAfter = 2 * time.Second

// gate lets a bounded number of hashes run at once, because each costs a core and megabytes. Who has to
// wait queues behind requests of the same client only; clients take turns, so that one that floods the server
// delays itself. When the queue is full, a BusyError goes at once to whoever made it so: the newest request of
// the client with the longest line, which may be the one that asks.
type gate struct {
	mu      sync.Mutex
	free    int                     // hashes that may start now
	room    int                     // requests that may still queue
	waiting map[string][]chan error // by client, in order of arrival; told nil when it is their turn
	turns   []string                // clients with somebody waiting, the next first
}

func newGate(concurrent, queue int) *gate {
	return &gate{free: concurrent, room: queue, waiting: map[string][]chan error{}}
}

// enter returns when the caller may hash; it has to call leave afterwards. It fails with *BusyError when the
// queue is full, or with the context's error when that ends first.
func (g *gate) enter(ctx context.Context, client string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	g.mu.Lock()
	if g.free > 0 {
		g.free--
		g.mu.Unlock()
		return nil
	}
	if g.room == 0 && !g.evict(client) {
		g.mu.Unlock()
		return &BusyError{RetryAfter: retryAfter}
	}
	g.room--
	turn := make(chan error, 1) // buffered: who tells holds the lock
	if len(g.waiting[client]) == 0 {
		g.turns = append(g.turns, client)
	}
	g.waiting[client] = append(g.waiting[client], turn)
	g.mu.Unlock()

	select {
	case err := <-turn:
		return err
	case <-ctx.Done():
		if !g.withdraw(client, turn) && <-turn == nil {
			g.leave() // the turn came at the same moment: pass it on
		}
		return ctx.Err()
	}
}

// leave gives the place back, or on to the client whose turn it is.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pass()
}

// pass does the work of leave; the caller holds mu.
func (g *gate) pass() {
	if len(g.turns) == 0 {
		g.free++
		return
	}
	client := g.turns[0]
	queue := g.waiting[client]
	queue[0] <- nil
	g.room++
	g.turns = g.turns[1:]
	if len(queue) == 1 {
		delete(g.waiting, client)
		return
	}
	g.waiting[client] = queue[1:]
	g.turns = append(g.turns, client)
}

// evict makes room for one request of client at the cost of the client with the longest line, if that stays
// no shorter than client's own becomes: else a flood would fill the queue and turn everybody else away.
func (g *gate) evict(client string) bool {
	longest := ""
	for _, name := range g.turns {
		if len(g.waiting[name]) > len(g.waiting[longest]) {
			longest = name
		}
	}
	queue := g.waiting[longest]
	if len(queue) < len(g.waiting[client])+2 {
		return false
	}
	last := len(queue) - 1
	queue[last] <- &BusyError{RetryAfter: retryAfter}
	g.waiting[longest] = queue[:last:last]
	g.room++
	return true
}

// withdraw takes a waiting request out of the queue; false when it has been told already.
func (g *gate) withdraw(client string, turn chan error) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	queue := g.waiting[client]
	for i, waiting := range queue {
		if waiting != turn {
			continue
		}
		g.room++
		if len(queue) > 1 {
			g.waiting[client] = append(queue[:i:i], queue[i+1:]...)
			return true
		}
		delete(g.waiting, client)
		for j, name := range g.turns {
			if name == client {
				g.turns = append(g.turns[:j:j], g.turns[j+1:]...)
				break
			}
		}
		return true
	}
	return false
}
