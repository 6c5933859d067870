//go:build linux

package bench

import (
	"flag"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"testing"

	"accountd/internal/bench/dataset"
	"accountd/internal/servertest"
)

var againstFlag = flag.String("against", "",
	"the `executable` of another version, which BenchmarkAgainst takes turns with")

// BenchmarkAgainst measures the program and another version of it in turns, with 16 clients each, and reports the
// rate of the program in percent of the other's:
//
//	go test -run '^$' -bench Against ./internal/bench -against /path/to/accountd -turns 10
func BenchmarkAgainst(b *testing.B) {
	if *againstFlag == "" {
		b.Skip("-against names no other version")
	}
	other, err := filepath.Abs(*againstFlag)
	if err != nil {
		b.Fatal(err)
	}
	ours := registered(b, servertest.Start(b, filepath.Join(data(b), "data")))
	theirs := registered(b, servertest.StartProgram(b, []string{other}, filepath.Join(data(b), "data")))
	p := schedule{turns: *turnsFlag, turn: *turnFlag}
	const clients = 16
	for _, o := range []operation{me, tokenAuth, refreshToken, register} {
		b.Run(o.name, func(b *testing.B) {
			var sides [2]contender
			for i, s := range []*server{ours, theirs} {
				sides[i] = s.contender(b, Plan{Clients: clients, Requests: o.requests(b, s, clients)})
			}
			mine, old := compare(b, p, sides[0], sides[1])
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(mine.Rate, "ours/s")
			b.ReportMetric(old.Rate, "theirs/s")
			b.ReportMetric(100*mine.Rate/old.Rate, "%")
		})
	}
}

// registered registers the users that the operations need. A data set would have a schema that an older version
// refuses.
func registered(b *testing.B, s *servertest.Server) *server {
	b.Helper()
	var running sync.WaitGroup
	turns := make(chan bool, 16)
	for i := range leastUsers {
		turns <- true
		running.Go(func() {
			defer func() { <-turns }()
			session, err := s.Register(http.DefaultClient, dataset.Username(i+1), dataset.Password)
			if err == nil && !session.Success {
				err = fmt.Errorf("register %s: got %s, want success", dataset.Username(i+1), session.Errors)
			}
			if err != nil {
				b.Error(err)
			}
		})
	}
	running.Wait()
	return &server{s, leastUsers}
}
