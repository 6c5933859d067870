//go:build linux

package bench

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkSize measures every operation on a file of few users and on one of many, in turns; on the larger one also
// the start and isolation. It needs two numbers in -users.
func BenchmarkSize(b *testing.B) {
	numbers := sizes(b)
	if len(numbers) < 2 {
		b.Skip("-users names one number only")
	}
	few, many := numbers[0], numbers[1]
	small, large := seeded(b, few), seeded(b, many)
	b.Run("start", func(b *testing.B) {
		measureStart(b, large, many)
	})
	for _, o := range bySize {
		b.Run(o.name, func(b *testing.B) {
			r := o.measureSizes(b, defaults(), start(b, small, few), start(b, large, many))
			b.ReportMetric(r.Floor.Rate, "few/s")
			b.ReportMetric(r.Ours.Rate, "many/s")
			b.ReportMetric(r.Floor.Rate/r.Ours.Rate, "times-the-cost")
			record(b, r)
		})
	}
	b.Run("isolation", func(b *testing.B) {
		measureIsolation(b, large, many)
	})
}

// measureSizes measures an operation on both files.
func (o operation) measureSizes(tb testing.TB, p schedule, small, large *server) Result {
	tb.Helper()
	const clients = 16
	by := func(s *server) contender {
		return s.contender(tb, Plan{Clients: clients, Requests: o.requests(tb, s, clients)})
	}
	ours, floor := compare(tb, p, by(large), by(small))
	// Pages may cost half as much again. The others cost the same, which turns of some seconds tell to about a fifth.
	bound, further := 1.2, targets(noTargets)
	if strings.HasPrefix(o.name, "users") {
		bound, further = 1.5, pagesAt16
	}
	return Result{
		Table: "size", Name: o.name, Clients: clients, Ours: ours, Floor: floor,
		Checks: append([]Check{{Value: floor.Rate / ours.Rate, Unit: "×", Bound: bound}}, further(clients, ours,
			floor)...),
	}
}

// count is a number of users.
func count(n int) string {
	if n >= 1000 {
		return fmt.Sprintf("%s,%03d", count(n/1000), n%1000)
	}
	return fmt.Sprint(n)
}
