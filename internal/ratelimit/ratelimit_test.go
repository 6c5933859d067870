package ratelimit

import (
	"testing"
	"time"
)

// TestLimit: when a counter is full and for how long, by the clock.
func TestLimit(t *testing.T) {
	fixed := Limit{Rate: Rate{2, time.Minute}}
	growing := Limit{Rate: Rate{2, time.Minute}, Lockout: true, MaxConsecutive: 9}
	const never = -1
	type step struct {
		at    int64 // seconds since the start
		adds  int
		until int64 // 0: it has room; never: there is no end
	}
	tests := []struct {
		name  string
		limit Limit
		steps []step
	}{
		{"a window begins with the first", fixed, []step{
			{0, 1, 0}, {30, 1, 60}, {59, 0, 60}, {60, 0, 0}, {60, 1, 0}, {119, 1, 120},
		}},
		{"one that is over is forgotten", fixed, []step{{0, 1, 0}, {61, 1, 0}, {62, 1, 121}}},
		{"a clock that was set back ends a window", fixed, []step{{1000, 2, 1060}, {10, 0, 0}, {10, 2, 70}}},
		{"a clock that was set back does not end a lockout", growing, []step{{1000, 2, 1060}, {10, 0, 70}}},
		{"nor does it reset it", growing, []step{{1000, 1, 0}, {10, 1, 70}, {70, 0, 0}}},
		{"a lockout begins with the last", growing, []step{{0, 1, 0}, {59, 1, 119}, {118, 0, 119}, {119, 0, 0}}},
		{"it doubles", growing, []step{{0, 2, 60}, {60, 2, 180}, {180, 2, 420}, {420, 2, 900}}},
		{"slow ones lock nothing out, and count in a row", growing, []step{
			{0, 1, 0}, {100, 1, 0}, {200, 1, 0}, {300, 1, 0}, {400, 1, 0}, {500, 1, 0}, {600, 1, 0}, {700, 1, 0},
			{800, 1, never}, {1 << 30, 0, never},
		}},
		{"off", Limit{}, []step{{0, 1000, 0}}},
		{"only in a row", Limit{MaxConsecutive: 3}, []step{{0, 2, 0}, {1 << 30, 1, never}}},
		{"up to a day", Limit{Rate: Rate{1, 10 * time.Hour}, Lockout: true}, []step{
			{0, 1, 36000}, {36000, 1, 36000 + 72000}, {108000, 1, 108000 + 86400}, {194400, 1, 194400 + 86400},
		}},
		{"or as long as the rate says", Limit{Rate: Rate{1, 48 * time.Hour}, Lockout: true}, []step{
			{0, 1, 172800}, {172800, 1, 345600},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			const start = 1_800_000_000
			var state record
			for i, step := range test.steps {
				for range step.adds {
					if n, _ := test.limit.remaining(state, start+step.at); n == 0 {
						t.Fatalf("step %d: none remaining, want at least one", i)
					}
					state = test.limit.add(state, start+step.at)
				}
				n, until := test.limit.remaining(state, start+step.at)
				want := start + step.until
				if step.until == never {
					want = forever
				}
				if full := step.until != 0; (n == 0) != full || full && until != want {
					t.Errorf("step %d: %d remaining, until %d; want full %t, %d", i, n, until-start, full, want-start)
				}
			}
		})
	}
}
