package ratelimit

import (
	"context"
	"slices"
	"sync"

	"accountd/internal/store"
)

// Reservations are the attempts in progress, in the order of arrival. Whether an attempt counts is known at its end;
// until then it counts for those behind it. The zero value is ready for use.
type Reservations struct {
	mu       sync.Mutex
	attempts []*Reservation // guarded by mu
	ended    chan struct{}  // closed when one of the attempts ends; nil: nobody waits for that; guarded by mu
}

// Reservation is one attempt in progress.
type Reservation struct {
	all    *Reservations
	limits []Limit
}

// Reserve puts an attempt behind those in progress. The caller has to call End.
func (all *Reservations) Reserve(limits []Limit) *Reservation {
	all.mu.Lock()
	defer all.mu.Unlock()
	r := &Reservation{all, limits}
	all.attempts = append(all.attempts, r)
	return r
}

// Wait returns when the limits allow the attempt even if all attempts before it count. It fails with *ExceededError
// when a limit is reached by what is counted in db, and with the context's error when that ends first.
func (r *Reservation) Wait(ctx context.Context, db *store.DB) error {
	for len(r.limits) > 0 {
		// The order matters: an attempt that ends between these two counts twice. In the other order it would not count.
		pending, ended := r.pending()
		wait := false
		err := db.Read(ctx, func(tx *store.Tx) (err error) {
			wait, err = check(ctx, tx, r.limits, pending)
			return err
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

// pending counts the attempts before r by limit. The channel is closed when an attempt ends.
func (r *Reservation) pending() (counts map[Limit]int, ended <-chan struct{}) {
	r.all.mu.Lock()
	defer r.all.mu.Unlock()
	if r.all.ended == nil {
		r.all.ended = make(chan struct{})
	}
	counts = map[Limit]int{}
	for _, earlier := range r.all.attempts[:slices.Index(r.all.attempts, r)] {
		for _, l := range earlier.limits {
			counts[l]++
		}
	}
	return counts, r.all.ended
}

// End lets the attempts behind this one go on. An attempt that counts has to be in the database by then. End may be
// called twice.
func (r *Reservation) End() {
	r.all.mu.Lock()
	defer r.all.mu.Unlock()
	i := slices.Index(r.all.attempts, r)
	if i < 0 {
		return
	}
	r.all.attempts = slices.Delete(r.all.attempts, i, i+1)
	if r.all.ended != nil {
		close(r.all.ended)
		r.all.ended = nil
	}
}
