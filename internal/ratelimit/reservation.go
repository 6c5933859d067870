package ratelimit

import (
	"context"
	"slices"
	"sync"

	"accountd/internal/store"
)

// Reservations are the attempts in progress, in the order of arrival. Each may still turn out to be one that counts, so
// those after it treat it as such. The zero value is ready for use.
type Reservations struct {
	mu      sync.Mutex
	running []*Reservation // guarded by mu
	ended   chan struct{}  // closed, and replaced, when one of them has ended; guarded by mu; nil: nobody has waited yet
}

// Reservation is one attempt in progress.
type Reservation struct {
	list   *Reservations
	limits []Limit
}

// Reserve puts an attempt behind those in progress. The caller has to call End.
func (rs *Reservations) Reserve(limits []Limit) *Reservation {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r := &Reservation{rs, limits}
	rs.running = append(rs.running, r)
	return r
}

// Wait returns when the limits have room for the attempt even if all earlier attempts in progress count. It fails with
// *ExceededError when the counters in db say that a limit is reached, and with the context's error when that ends first.
func (r *Reservation) Wait(ctx context.Context, db *store.DB) error {
	for len(r.limits) > 0 {
		// The order matters: an attempt that ends between these two is counted twice, and none is left out.
		earlier, ended := r.earlier()
		wait := false
		err := db.Read(ctx, func(tx *store.Tx) error {
			if err := Check(ctx, tx, r.limits...); err != nil {
				return err
			}
			for _, l := range r.limits {
				c, err := load(ctx, tx, l)
				if err != nil {
					return err
				}
				n, _ := l.remaining(c, tx.Now.Unix())
				wait = wait || n <= earlier[id{l.Kind, l.Key}]
			}
			return nil
		})
		if err != nil || !wait {
			return err
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// id names a counter.
type id struct {
	kind Kind
	key  string
}

// earlier counts the attempts before r for each counter, and returns a channel that is closed when one of them ends.
func (r *Reservation) earlier() (map[id]int, <-chan struct{}) {
	rs := r.list
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.ended == nil {
		rs.ended = make(chan struct{})
	}
	counts := map[id]int{}
	for _, other := range rs.running {
		if other == r {
			break
		}
		for _, l := range other.limits {
			counts[id{l.Kind, l.Key}]++
		}
	}
	return counts, rs.ended
}

// End lets later attempts go on: what this one counts is in the database. It may be called twice.
func (r *Reservation) End() {
	rs := r.list
	rs.mu.Lock()
	defer rs.mu.Unlock()
	i := slices.Index(rs.running, r)
	if i < 0 {
		return
	}
	rs.running = slices.Delete(rs.running, i, i+1)
	if rs.ended != nil {
		close(rs.ended)
		rs.ended = nil
	}
}

// Len is how many attempts are in progress.
func (rs *Reservations) Len() int {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return len(rs.running)
}
