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
	attempts []*attempt    // guarded by mu
	ended    chan struct{} // closed when one of the attempts ends; nil: no attempt waits; guarded by mu
}

type attempt struct{ limits []Limit }

// Reserve returns when the limits allow one more attempt even if all attempts before it count. It fails with
// *ExceededError when a limit is reached by what is counted in db, and with the context's error when that ends first.
//
// The caller has to call end, after an attempt that counts is in db. It may be called twice.
func (rs *Reservations) Reserve(ctx context.Context, db *store.DB, limits []Limit) (end func(), err error) {
	a := &attempt{limits}
	rs.mu.Lock()
	rs.attempts = append(rs.attempts, a)
	rs.mu.Unlock()
	for wait := len(limits) > 0; wait; {
		// The order matters: an attempt that ends between these two counts twice. In the other order it would not
		// count.
		pending, ended := rs.before(a)
		err := db.Read(ctx, func(tx *store.Tx) (err error) {
			wait, err = check(ctx, tx, limits, pending)
			return err
		})
		if err == nil && wait {
			select {
			case <-ended:
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		if err != nil {
			rs.end(a)
			return nil, err
		}
	}
	return func() { rs.end(a) }, nil
}

// before counts the attempts before a by limit. The channel is closed when an attempt ends.
func (rs *Reservations) before(a *attempt) (counts map[Limit]int, ended <-chan struct{}) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.ended == nil {
		rs.ended = make(chan struct{})
	}
	counts = map[Limit]int{}
	for _, earlier := range rs.attempts[:slices.Index(rs.attempts, a)] {
		for _, l := range earlier.limits {
			counts[l]++
		}
	}
	return counts, rs.ended
}

func (rs *Reservations) end(a *attempt) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	i := slices.Index(rs.attempts, a)
	if i < 0 {
		return
	}
	rs.attempts = slices.Delete(rs.attempts, i, i+1)
	if rs.ended != nil {
		close(rs.ended)
		rs.ended = nil
	}
}
