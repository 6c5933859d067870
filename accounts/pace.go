package accounts

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// pace lets answers come at times that do not tell what was found on the way to them.
type pace struct {
	now   func() time.Time
	timer func(time.Duration) <-chan time.Time
	late  func() float64 // 0 to 1
	ended chan struct{}  // closed by end
	end   func()         // from now on nobody waits
}

func newPace(now func() time.Time) *pace {
	p := &pace{now: now, timer: time.After, late: rand.Float64, ended: make(chan struct{})}
	p.end = sync.OnceFunc(func() { close(p.ended) })
	return p
}

// wait returns when a whole number of steps, at least one, have passed since began; at once where step is 0, with
// ctx, and when nobody is to wait any more. Whoever calls it holds no place for a hash and no
// transaction.
//
// It is late by up to a tenth of a step, by chance: a timer rings a little sooner or later by how much of its time was left, and
// hundreds of answers would tell.
func (p *pace) wait(ctx context.Context, began time.Time, step time.Duration) {
	if step <= 0 {
		return
	}
	took := max(p.now().Sub(began), 0) // a clock can be set back
	left := step - took%step
	if took > 0 && left == step {
		return
	}
	left += time.Duration(p.late() * float64(step/10))
	select {
	case <-p.timer(left):
	case <-ctx.Done():
	case <-p.ended:
	}
}

// evenly begins the time of an operation that mails somebody or nobody. What it returns is to be deferred, before
// anything that takes a place or a transaction, and returns when the answer is due.
//
// The time begins with the operation and not with its request: what precedes it there a client can make slow, by
// a body that arrives in pieces or by other fields, until one outcome is in time and another is not.
func (s *Service) evenly(ctx context.Context) (due func()) {
	began := s.pace.now()
	return func() { s.pace.wait(ctx, began, s.settings.UniformTime) }
}

// Drain sends the answers that wait for their time, and keeps no later one waiting: the server is about to end.
func (s *Service) Drain() { s.pace.end() }
