package bench

import (
	"slices"
	"time"
)

// Percentiles sorts times and returns the least that half of them, and 99 of 100, do not exceed (nearest rank); 0 of
// none.
func Percentiles(times []time.Duration) (p50, p99 time.Duration) {
	if len(times) == 0 {
		return 0, 0
	}
	slices.Sort(times)
	rank := func(percent int) time.Duration { return times[(len(times)*percent+99)/100-1] }
	return rank(50), rank(99)
}
