//go:build linux

// Package bench measures the built program over HTTP, each operation beside its floor: the best that the machine does
// for the part that cannot be avoided. Both take turns in one run, because the speed of a machine changes within
// seconds, and ratios depend less on that than absolute figures.
//
//	go test -run '^$' -bench . ./internal/bench
//	bash testdata/bench/run
//
// The first prints the figures; the second also measures a file of a million users, and writes docs/performance.md.
package bench

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	turnsFlag = flag.Int("turns", 3, "how often what is measured and its floor take `turns`")
	turnFlag  = flag.Duration("turn", time.Second, "how long a turn is")
	usersFlag = flag.String("users", "1000",
		"how many users there are; with two `numbers`, such as 1000,1000000, operations on two such files take "+
			"turns as well")
	dirFlag = flag.String("dir", "", "the `directory` for data, on the disk that is to be measured (default: a "+
		"temporary one)")
	resultsFlag = flag.String("results", "", "the `file` that the results are written to")
	commandFlag = flag.String("command", "go test -run '^$' -bench . ./internal/bench",
		"the `command` that the results name")
)

func TestMain(m *testing.M) {
	if os.Getenv(workerVariable) != "" {
		if err := work(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// run runs tests and benchmarks, and writes the results of the benchmarks.
func run(m *testing.M) (int, error) {
	s := schedule{turns: *turnsFlag, turn: *turnFlag}
	if err := s.check(); err != nil {
		return 1, err
	}
	if flag.Lookup("test.bench").Value.String() == "" {
		return m.Run(), nil
	}
	about, err := describe(*dirFlag)
	if err != nil {
		return 1, err
	}
	code := m.Run()
	if code != 0 || len(recorded.list) == 0 {
		return code, nil
	}
	fmt.Printf("settings that differ from the defaults: %s\n", about.Settings)
	for _, missed := range Missed(recorded.list) {
		fmt.Printf("MISSED  %s\n", missed)
	}
	if *resultsFlag == "" {
		return code, nil
	}
	file, err := os.Create(*resultsFlag)
	if err != nil {
		return 1, err
	}
	if err := Write(file, Measured{Run: about, Results: recorded.list}); err != nil {
		return 1, err
	}
	return code, file.Close()
}

// recorded are the results of the benchmarks.
var recorded struct {
	sync.Mutex
	list []Result // guarded
}

// record keeps a result and replaces that of an earlier run of the same benchmark.
func record(b *testing.B, r Result) {
	recorded.Lock()
	defer recorded.Unlock()
	same := func(old Result) bool {
		return old.Table == r.Table && old.Name == r.Name && old.Clients == r.Clients
	}
	if i := slices.IndexFunc(recorded.list, same); i >= 0 {
		recorded.list[i] = r
	} else {
		recorded.list = append(recorded.list, r)
	}
	b.ReportMetric(0, "ns/op") // the time of the whole measurement means nothing
}

// sizes parses the flag users.
func sizes(tb testing.TB) (list []int) {
	tb.Helper()
	for field := range strings.SplitSeq(*usersFlag, ",") {
		n, err := strconv.Atoi(field)
		if err != nil || n < leastUsers {
			tb.Fatalf("got -users %s, want one number or two, of %d at least", *usersFlag, leastUsers)
		}
		list = append(list, n)
	}
	if len(list) > 2 || len(list) == 2 && list[0] >= list[1] {
		tb.Fatalf("got -users %s, want one number, or two and the smaller one first", *usersFlag)
	}
	return list
}

// defaults returns the schedule that the flags set.
func defaults() schedule { return schedule{turns: *turnsFlag, turn: *turnFlag} }
