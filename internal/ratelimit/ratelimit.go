// Package ratelimit counts attempts in the database and refuses those beyond a limit. Counters survive restarts.
//
// A Limit names one counter by a kind and a key, and says how many attempts a window of time allows. A window begins
// with its first attempt. With Lockout, a full counter refuses everything for the length of the window, and for twice
// as long each further time. Reservations make attempts that run at the same time count like attempts in sequence.
//
// Keys are stored as they are given: callers pseudonymise what the database should not reveal. Functions that take a
// transaction leave the commit to the caller.
//
// Tables: throttles, and throttle_sizes, which triggers keep.
package ratelimit

import (
	"context"
	"fmt"
	"math"
	"time"

	"accountd/internal/store"
)

// Rate is how many attempts a window of time allows.
type Rate struct {
	Count int           // 0: any number
	Per   time.Duration // whole seconds
}

// Kind is a namespace of keys.
type Kind string

// Counter names what is counted.
type Counter struct {
	Kind Kind
	Key  string
}

// Limit is a counter and the rules by which it is full.
type Limit struct {
	Counter
	Rate

	// Lockout starts a new window with the attempt that fills the counter, and doubles its length each time the
	// counter is filled, up to maxLockout, until the counter is reset.
	Lockout bool

	MaxConsecutive int // attempts after which the counter is full until it is reset; 0: no such bound
	MaxKeys        int // counters of this kind, of which the least recently used are deleted; 0: no bound
}

// Enforced reports whether the limit can be reached at all.
func (l Limit) Enforced() bool { return l.Count > 0 || l.MaxConsecutive > 0 }

// maxLockout is the longest window that Lockout extends a shorter one to.
const maxLockout = 24 * time.Hour

// ExceededError says that a limit is reached. Nothing has happened; another attempt makes sense after RetryAfter.
type ExceededError struct{ RetryAfter time.Duration }

func (e *ExceededError) Error() string {
	return fmt.Sprintf("There were too many attempts. Please try again in %d seconds.", int(e.RetryAfter/time.Second))
}

// record is what is stored of a counter.
type record struct {
	since       int64 // unix seconds: the window began
	count       int   // attempts in the window
	consecutive int   // attempts since the last reset
	refused     int   // attempts since the last reset that were refused
}

// forever is the end of a window that only a reset ends.
const forever int64 = math.MaxInt64

// remaining is how many more attempts are allowed at now, in unix seconds. If that is 0, until is the end of the
// window.
func (l Limit) remaining(r record, now int64) (n int, until int64) {
	n = math.MaxInt
	if l.MaxConsecutive > 0 {
		if n = l.MaxConsecutive - r.consecutive; n <= 0 {
			return 0, forever
		}
	}
	if l.Count > 0 {
		r = l.at(r, now)
		if n = min(n, l.Count-r.count); n <= 0 {
			return 0, r.since + l.window(r)
		}
	}
	return n, 0
}

// add is the record after one more attempt at now.
func (l Limit) add(r record, now int64) record {
	r = l.at(r, now)
	r.count++
	r.consecutive++
	if l.Lockout && r.count == l.Count {
		r.since = now
	}
	return r
}

// at is the record at now, in a new window if the old one is over. A clock that was set back ends a window, which
// would otherwise last until the clock has caught up. A lockout begins again instead: a wrong clock must not allow more
// attempts.
func (l Limit) at(r record, now int64) record {
	switch {
	case now < r.since && l.Lockout:
		r.since = now
	case now < r.since || now >= r.since+l.window(r):
		r.since, r.count = now, 0
	}
	return r
}

// window is the length of the record's window in seconds.
func (l Limit) window(r record) int64 {
	per := l.Per
	if l.Lockout && r.count >= l.Count && l.Count > 0 {
		for n := 2 * l.Count; n <= r.consecutive && per < maxLockout; n += l.Count {
			per = min(2*per, maxLockout)
		}
	}
	return int64(per / time.Second)
}

// Check fails with *ExceededError when one of the limits is reached.
func Check(ctx context.Context, tx *store.Tx, limits ...Limit) error {
	_, err := check(ctx, tx, limits, nil)
	return err
}

// check is Check. It also reports whether a limit would be reached if the pending attempts counted as well.
func check(ctx context.Context, tx *store.Tx, limits []Limit, pending map[Limit]int) (wait bool, err error) {
	now, until := tx.Now.Unix(), int64(0)
	for _, l := range limits {
		r, err := load(ctx, tx, l.Counter)
		if err != nil {
			return false, err
		}
		n, end := l.remaining(r, now)
		until = max(until, end)
		wait = wait || n <= pending[l]
	}
	if until > 0 {
		return false, &ExceededError{RetryAfter: time.Duration(until-now) * time.Second}
	}
	return wait, nil
}

// Count counts an attempt, or fails with *ExceededError and counts nothing.
func Count(ctx context.Context, tx *store.Tx, limits ...Limit) error {
	if err := Check(ctx, tx, limits...); err != nil {
		return err
	}
	return Add(ctx, tx, false, limits...)
}

// Add counts an attempt even if a limit is reached. refused says that the attempt was refused: a full counter counts
// refused attempts separately. A limit that is not Enforced counts nothing.
func Add(ctx context.Context, tx *store.Tx, refused bool, limits ...Limit) error {
	now := tx.Now.Unix()
	for _, l := range limits {
		if !l.Enforced() {
			continue
		}
		r, err := load(ctx, tx, l.Counter)
		if err != nil {
			return err
		}
		if n, _ := l.remaining(r, now); refused && n == 0 {
			r = l.at(r, now)
			r.refused++
		} else {
			r = l.add(r, now)
		}
		if err := save(ctx, tx, l, r); err != nil {
			return err
		}
	}
	return nil
}

// State describes a full counter.
type State struct {
	Consecutive int       // attempts since the last reset
	Refused     int       // refused attempts since the last reset
	Until       time.Time // zero: until it is reset
}

// Full is the state of a limit that is reached, nil for any other.
func Full(ctx context.Context, tx *store.Tx, l Limit) (*State, error) {
	r, err := load(ctx, tx, l.Counter)
	if err != nil {
		return nil, err
	}
	n, until := l.remaining(r, tx.Now.Unix())
	if n > 0 {
		return nil, nil
	}
	state := &State{Consecutive: r.consecutive, Refused: r.refused}
	if until != forever {
		state.Until = time.Unix(until, 0).UTC()
	}
	return state, nil
}
