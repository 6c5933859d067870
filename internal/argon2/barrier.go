package argon2

import "sync"

// barrier lets those who meet at it go on when all have come.
type barrier struct {
	mu      sync.Mutex
	met     sync.Cond
	members int
	waiting int
	round   uint64 // how often all have met
}

func newBarrier(members int) *barrier {
	b := &barrier{members: members}
	b.met.L = &b.mu
	return b
}

// wait returns when every member waits.
func (b *barrier) wait() {
	b.mu.Lock()
	defer b.mu.Unlock()
	round := b.round
	b.waiting++
	b.meet()
	for round == b.round {
		b.met.Wait()
	}
}

// leave makes the others wait for one member less.
func (b *barrier) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.members--
	b.meet()
}

// meet lets all go on if they are there; the caller holds mu.
func (b *barrier) meet() {
	if b.waiting == b.members {
		b.waiting = 0
		b.round++
		b.met.Broadcast()
	}
}
