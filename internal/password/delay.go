package password

import (
	"context"
	"math/rand/v2"
	"time"
)

// ResponseDelay makes the time of responses constant, so that it does not reveal what was found or done. A response
// waits until a whole number of steps has passed since its beginning. The exported fields may be replaced before first
// use.
type ResponseDelay struct {
	Now    func() time.Time
	Timer  func(time.Duration) <-chan time.Time
	Jitter func() float64 // 0 to 1

	ended <-chan struct{}
	stop  func() // closes ended
}

// NewResponseDelay returns a ResponseDelay that reads the time from now.
func NewResponseDelay(now func() time.Time) *ResponseDelay {
	ctx, stop := context.WithCancel(context.Background())
	return &ResponseDelay{Now: now, Timer: time.After, Jitter: rand.Float64, ended: ctx.Done(), stop: stop}
}

// Wait returns when a whole number of steps, at least one, have passed since began. It returns at once if step is 0,
// when ctx ends, and after Stop. The caller should hold neither a transaction nor a place for a hash.
//
// Up to a tenth of a step is added at random. Otherwise hundreds of responses would reveal how long the work took: a
// timer fires a little sooner or later depending on how long it was set for.
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

// Stop ends all waits, present and future. It may be called twice.
func (d *ResponseDelay) Stop() { d.stop() }
