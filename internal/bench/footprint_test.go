//go:build linux

package bench

import (
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"accountd/internal/servertest"
)

// starts is the number of starts; their median counts.
const starts = 11

// rest is the time after the first response until a server counts as idle and has returned the memory of its start.
const rest = time.Second

// BenchmarkStart measures the time from the start of the process to its first response, on an existing file, and its
// idle memory.
func BenchmarkStart(b *testing.B) {
	measureStart(b, seeded(b, sizes(b)[0]), sizes(b)[0])
}

func measureStart(b *testing.B, dir string, users int) {
	var took []time.Duration
	var idle float64
	for i := range starts + 1 {
		begin := time.Now()
		s := start(b, dir, users)
		if _, err := s.Ask(http.DefaultClient, "", `{ me { id } }`, nil); err != nil {
			b.Fatal(err)
		}
		if i > 0 { // the first finds the file as it was seeded
			took = append(took, time.Since(begin))
		}
		if i == starts {
			time.Sleep(rest)
			var err error
			if idle, err = memory(s.Cmd.Process.Pid, "VmRSS"); err != nil {
				b.Fatal(err)
			}
		}
		if err := s.Stop(); err != nil {
			b.Fatal(err)
		}
	}
	slices.Sort(took)
	median := took[len(took)/2].Seconds() * 1000
	b.ReportMetric(median, "start-ms")
	b.ReportMetric(idle, "idle-MiB")
	fact(b, "start to first answer, "+count(users)+" users", Check{Value: median, Unit: "ms", Bound: 50})
	fact(b, "idle memory, "+count(users)+" users", Check{Value: idle, Unit: "MiB", Bound: 25})
}

// BenchmarkBinary is the size of the program as it is released: without symbols.
func BenchmarkBinary(b *testing.B) {
	file, err := os.Stat(servertest.Binary(b))
	if err != nil {
		b.Fatal(err)
	}
	size := float64(file.Size()) / 1e6
	b.ReportMetric(size, "MB")
	fact(b, "the binary, without symbols", Check{Value: size, Unit: "MB", Bound: 16})
}
