package accountdtest

import (
	"sync"
	"time"
)

// Clock is the clock of a server. It starts at the time of New and stands still until the test moves it.
type Clock struct {
	mu  sync.Mutex
	now time.Time // guarded by mu
}

func newClock(now time.Time) *Clock { return &Clock{now: now} }

// Now returns the time of the server.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Set sets the time.
func (c *Clock) Set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// Advance moves the time by d.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
