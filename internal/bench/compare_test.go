//go:build linux

package bench

import (
	"fmt"
	"testing"
	"time"
)

// schedule is the number and length of turns.
type schedule struct {
	turns int
	turn  time.Duration
}

// check refuses a schedule that outlasts access tokens (five minutes) or idle connections.
func (p schedule) check() error {
	const most, idle = 4 * time.Minute, time.Minute // connections are closed after two minutes without a request
	if p.turns < 1 || p.turn <= 0 || p.turn > idle || 2*time.Duration(p.turns)*p.turn > most {
		return fmt.Errorf("-turns %d -turn %s: both take that many turns of that length, of at most %s and %s together",
			p.turns, p.turn, idle, most)
	}
	return nil
}

// contender is one of two things that are measured in turns.
type contender struct {
	turn func(time.Duration, bool) (Turn, error) // of a worker
	pid  int                                     // of the process whose time and memory count
}

// measured is the sum of a contender's turns so far.
type measured struct {
	done, busy int
	took, cpu  time.Duration
	p50, p99   time.Duration
	longest    time.Duration
}

// take measures one turn.
func (c contender) take(tb testing.TB, m *measured, d time.Duration) {
	tb.Helper()
	before, err := cpuTime(c.pid)
	if err != nil {
		tb.Fatal(err)
	}
	turn, err := c.turn(d, false)
	if err != nil {
		tb.Fatal(err)
	}
	after, err := cpuTime(c.pid)
	if err != nil {
		tb.Fatal(err)
	}
	m.done += turn.Done
	m.busy += turn.Busy
	m.took += turn.Elapsed
	m.cpu += after - before
	m.p50, m.p99 = turn.P50, turn.P99
}

// side returns the figures of a contender.
func (c contender) side(tb testing.TB, m measured) Side {
	tb.Helper()
	if m.done == 0 {
		tb.Fatalf("got no answer in %s, want some: turns are too short", m.took)
	}
	peak, err := memory(c.pid, "VmHWM")
	if err != nil {
		tb.Fatal(err)
	}
	millis := func(d time.Duration) float64 { return d.Seconds() * 1000 }
	return Side{
		Rate: float64(m.done) / m.took.Seconds(), P50: millis(m.p50), P99: millis(m.p99),
		CPU: millis(m.cpu) / float64(m.done), Peak: peak,
	}
}

// compare measures both in turns, after one turn that does not count.
func compare(tb testing.TB, p schedule, ours, floor contender) (oursSide, floorSide Side) {
	tb.Helper()
	for _, c := range []contender{floor, ours} {
		if _, err := c.turn(p.turn/4, true); err != nil {
			tb.Fatal(err)
		}
	}
	var mine, bare measured
	for range p.turns {
		floor.take(tb, &bare, p.turn)
		ours.take(tb, &mine, p.turn)
	}
	return ours.side(tb, mine), floor.side(tb, bare)
}
