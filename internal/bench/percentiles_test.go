package bench

import (
	"slices"
	"time"
)

// Percentiles sorts times and returns the 50th and 99th percentile by nearest rank, or 0 without times.
func Percentiles(times []time.Duration) (p50, p99 time.Duration) {
	if len(times) == 0 {
		return 0, 0
	}
	slices.Sort(times)
	rank := func(percent int) time.Duration { return times[(len(times)*percent+99)/100-1] }
	return rank(50), rank(99)
}
