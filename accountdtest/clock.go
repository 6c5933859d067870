package accountdtest

import (
	"sync"
	"time"
)

// Clock is the server's. It stands still until it is moved, and starts at the time of New.
type Clock struct {
	mu  sync.Mutex
	now time.Time // guarded by mu
}

func newClock(now time.Time) *Clock { return &Clock{now: now} }

// Now is the server's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Set makes it that time.
func (c *Clock) Set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// Advance lets d pass.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
