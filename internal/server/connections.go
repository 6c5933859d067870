package server

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// connections limits the number of open connections. Beyond the limit, the connection that has waited longest for a
// request is closed, so that clients which send nothing, or an endless header, cannot keep others out. A limit on
// accepting would let them. If every connection has a request, the new one is closed.
type connections struct {
	limit int

	mu      sync.Mutex
	waiting *list.List                 // guarded by mu; of net.Conn without a request, the longest wait first
	open    map[net.Conn]*list.Element // guarded by mu; the element of waiting, nil for one with a request
}

func newConnections(limit int) *connections {
	return &connections{limit: limit, waiting: list.New(), open: map[net.Conn]*list.Element{}}
}

// changed is the ConnState hook. net/http calls a connection active once the header of a request is complete.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	if excess := c.note(conn, state); excess != nil {
		_ = excess.Close() // it has no request
	}
}

// note records a state and returns the connection to close, or nil.
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
	excess = c.waiting.Front().Value.(net.Conn) // not empty: only a new connection, which waits, exceeds the limit
	c.waiting.Remove(c.waiting.Front())
	delete(c.open, excess)
	return excess
}
