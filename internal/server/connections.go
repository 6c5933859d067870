package server

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// connections bounds how many are open at once. When there are too many, the one that has waited longest for its
// client's next request is closed: clients that open connections and send nothing, or send a header without end, give
// way to those that ask. Only where every connection has a request in hand is the new one closed. A limit on accepting
// would let such clients keep everybody else out.
type connections struct {
	limit int

	mu      sync.Mutex
	waiting *list.List                 // guarded by mu; of net.Conn, the longest first
	open    map[net.Conn]*list.Element // guarded by mu; of waiting, nil for those with a request
}

func newConnections(limit int) *connections {
	return &connections{limit: limit, waiting: list.New(), open: map[net.Conn]*list.Element{}}
}

// changed is the ConnState of the server. A connection is active from when the header of a request is complete.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	if excess := c.note(conn, state); excess != nil {
		_ = excess.Close() // nothing is under way on it
	}
}

// note keeps the books, and returns the connection to close, nil for none.
func (c *connections) note(conn net.Conn, state http.ConnState) (excess net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	place, known := c.open[conn]
	if place != nil {
		c.waiting.Remove(place)
	}
	delete(c.open, conn)
	switch {
	case state == http.StateNew, known && state == http.StateIdle:
		c.open[conn] = c.waiting.PushBack(conn)
	case known && state == http.StateActive:
		c.open[conn] = nil
	}
	if len(c.open) <= c.limit {
		return nil
	}
	excess = c.waiting.Front().Value.(net.Conn) // at least conn itself: only a new one makes too many
	c.waiting.Remove(c.waiting.Front())
	delete(c.open, excess)
	return excess
}
