package password

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// ResponseDelay lets answers come at times that do not tell what was found on the way to them. Its exported fields may
// be replaced before it is used.
type ResponseDelay struct {
	Now    func() time.Time
	Timer  func(time.Duration) <-chan time.Time
	Jitter func() float64 // 0 to 1
	ended  chan struct{}  // closed by stop
	stop   func()
}

// NewResponseDelay goes by the clock now.
func NewResponseDelay(now func() time.Time) *ResponseDelay {
	d := &ResponseDelay{Now: now, Timer: time.After, Jitter: rand.Float64, ended: make(chan struct{})}
	d.stop = sync.OnceFunc(func() { close(d.ended) })
	return d
}

// Wait returns when a whole number of steps, at least one, have passed since began; at once where step is 0, with
// ctx, and when nobody is to wait any more. Whoever calls it holds no place for a hash and no
// transaction.
//
// It is late by up to a tenth of a step, by chance: a timer rings a little sooner or later by how much of its time was left, and
// hundreds of answers would tell.
func (d *ResponseDelay) Wait(ctx context.Context, began time.Time, step time.Duration) {
	if step <= 0 {
		return
	}
	took := max(d.Now().Sub(began), 0) // a clock can be set back
	left := step - took%step
	if took > 0 && left == step {
		return
	}
	left += time.Duration(d.Jitter() * float64(step/10))
	select {
	case <-d.Timer(left):
	case <-ctx.Done():
	case <-d.ended:
	}
}

// Stop ends all waits, and no later one begins.
func (d *ResponseDelay) Stop() { d.stop() }
