//go:build linux

package bench

import (
	"runtime"
	"testing"
	"time"
)

const (
	stormLogins  = 64  // clients that log in
	stormReaders = 16  // clients that ask for me
	crowd        = 500 // clients that log in where memory is looked at
)

// BenchmarkStorm measures me during logins as fast as possible. Both need the cores, so the target is half of the
// rate alone. For comparison, me is also measured beside as many bare hashes as there are cores.
func BenchmarkStorm(b *testing.B) {
	s := fresh(b, sizes(b)[0])
	readers := Plan{Clients: stormReaders, Requests: meRequests(b, s, stormReaders)}
	alone, beside, greedy := s.contender(b, readers), s.contender(b, readers), s.contender(b, readers)
	logins := s.contender(b, Plan{Clients: stormLogins, Requests: loginRequests(b, s, stormLogins), Busy: true})
	hashes := itself(startWorker(b, task{Kind: "hash", Threads: runtime.NumCPU()}))

	var aloneDone, besideDone, greedyDone, stormDone measured
	p := defaults()
	for _, c := range []contender{alone, beside, greedy, logins, hashes} {
		if _, err := c.turn(p.turn/4, true); err != nil {
			b.Fatal(err)
		}
	}
	for range p.turns {
		alone.take(b, &aloneDone, p.turn)
		during(b, logins, &stormDone, p.turn, func() { beside.take(b, &besideDone, p.turn) })
		during(b, hashes, &measured{}, p.turn, func() { greedy.take(b, &greedyDone, p.turn) })
	}
	quiet, storm, bare := alone.side(b, aloneDone), beside.side(b, besideDone), greedy.side(b, greedyDone)
	stormed := logins.side(b, stormDone)
	b.ReportMetric(storm.P99, "p99-ms")
	b.ReportMetric(100*storm.Rate/quiet.Rate, "%-of-alone")
	b.ReportMetric(100*storm.Rate/bare.Rate, "%-of-beside-hashes")
	b.ReportMetric(stormed.Rate, "logins/s")
	fact(b, "me, p99 while 64 clients log in", Check{Value: storm.P99, Unit: "ms", Bound: 25})
	fact(b, "me, rate while 64 clients log in, of its rate alone", Check{Value: 100 * storm.Rate / quiet.Rate,
		Unit:  "%",
		Bound: 50, Least: true})
	fact(b, "the same, of its rate beside bare hashes of another program on all cores",
		Check{Value: 100 * storm.Rate / bare.Rate, Unit: "%"})
	fact(b, "logins at the same time", Check{Value: stormed.Rate, Unit: "/s"})
	fact(b, "logins at the same time that are answered `busy`",
		Check{Value: 100 * float64(stormDone.busy) / float64(stormDone.done+stormDone.busy), Unit: "%"})
}

// during runs f while the other one takes a turn, which begins before and ends after it.
func during(b *testing.B, other contender, m *measured, turn time.Duration, f func()) {
	b.Helper()
	const lead = 300 * time.Millisecond
	ended := make(chan error, 1)
	go func() {
		done, err := other.turn(turn+2*lead, false)
		m.done += done.Done
		m.busy += done.Busy
		m.took += done.Elapsed
		m.longest = done.Longest
		ended <- err
	}()
	time.Sleep(lead)
	f()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}

// BenchmarkMemory measures the peak memory of a server during 500 parallel logins. Most get `busy` and come back.
func BenchmarkMemory(b *testing.B) {
	s := fresh(b, sizes(b)[0])
	logins := s.contender(b, Plan{Clients: crowd, Requests: loginRequests(b, s, crowd), Busy: true})
	var m measured
	logins.take(b, &m, max(defaults().turn*3, 3*time.Second))
	side := logins.side(b, m)
	b.ReportMetric(side.Peak, "peak-MiB")
	b.ReportMetric(float64(m.busy), "busy")
	const own, hash = 60, 19 // MiB
	fact(b, "most memory while 500 clients log in", Check{Value: side.Peak, Unit: "MiB",
		Bound: float64(own + hash*runtime.NumCPU())})
}

// fact records a figure that is not a rate.
func fact(b *testing.B, name string, c Check) {
	record(b, Result{Table: "limits", Name: name, Checks: []Check{c}})
}
