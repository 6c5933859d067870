package bench

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Plan is a number of clients and their requests.
type Plan struct {
	Address  string    // host:port
	Clients  int       // at once
	Requests []Request // client c sends those with the numbers c, c+Clients and so on, again and again

	// Busy accepts 503 with Retry-After: the client waits that long, and the response counts as busy.
	Busy bool
}

// Request is a POST of JSON. In Body, {n} is replaced by a unique text of letters and digits, and {chain} by Chain.
// Each response replaces Chain by the string that follows Next in it.
type Request struct {
	Path  string
	Token string // access token; "" for none
	Body  string
	Want  string // what the answer contains, with status 200, if it is right

	Chain, Next string
}

// Turn is the result of one turn of measuring.
type Turn struct {
	Done    int           // right answers
	Busy    int           // 503
	Elapsed time.Duration // until the last answer to what was asked in that while
	P50     time.Duration // of the right answers of all turns but warm ones
	P99     time.Duration // likewise

	// Longest is, of what keeps others waiting, for how long it did so at most, in all turns.
	Longest time.Duration
}

// Load is a closed loop of clients that send requests as fast as the server answers, each over one connection that is
// kept alive. They connect at their first request, since a server closes idle connections. A client costs far less than
// net/http's, because it shares the cores with the server. Each answer is checked; the first wrong one ends the run.
type Load struct {
	clients []*client
	times   []time.Duration // of all right answers so far
}

// NewLoad returns the clients of a plan.
func NewLoad(p Plan) (*Load, error) {
	if p.Clients < 1 || len(p.Requests) == 0 {
		return nil, errors.New("a plan needs clients and requests")
	}
	l := &Load{}
	for number := range p.Clients {
		l.clients = append(l.clients, newClient(p, number))
	}
	return l, nil
}

// connect makes the connections that are not there yet.
func (l *Load) connect() error {
	for _, c := range l.clients {
		if err := c.connect(); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the connections.
func (l *Load) Close() {
	for _, c := range l.clients {
		c.close()
	}
}

// Turn lets all clients ask for d, and once at least. A warm turn leaves no trace in the percentiles.
func (l *Load) Turn(d time.Duration, warm bool) (Turn, error) {
	if err := l.connect(); err != nil {
		return Turn{}, err
	}
	start := time.Now()
	failed := make([]error, len(l.clients))
	var running sync.WaitGroup
	for i, c := range l.clients {
		running.Go(func() { failed[i] = c.ask(start.Add(d)) })
	}
	running.Wait()
	turn := Turn{Elapsed: time.Since(start)}
	for i, c := range l.clients {
		if failed[i] != nil {
			return Turn{}, fmt.Errorf("client %d: %w", i, failed[i])
		}
		turn.Done += len(c.times)
		turn.Busy += c.busy
		if !warm {
			l.times = append(l.times, c.times...)
		}
		c.times, c.busy = c.times[:0], 0
	}
	turn.P50, turn.P99 = Percentiles(l.times)
	return turn, nil
}

// Once lets each client ask once, one after the other. It leaves no trace in the percentiles, and allocates next to
// nothing.
func (l *Load) Once() error {
	if err := l.connect(); err != nil {
		return err
	}
	for i, c := range l.clients {
		if retry, err := c.once(); err != nil {
			return fmt.Errorf("client %d: %w", i, err)
		} else if retry > 0 {
			return fmt.Errorf("client %d: the server is busy", i)
		}
	}
	return nil
}
