//go:build linux

package bench

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"accountd/internal/bench/dataset"
)

// targets are the checks of an operation for a number of clients.
type targets func(clients int, ours, floor Side) []Check

// operation is something that clients ask for.
type operation struct {
	name     string
	table    string // of its results: its floor; "size": it is only measured on two files
	requests func(tb testing.TB, s *server, clients int) []Request
	targets  targets
	bare     bool // done by a bare handler with a transaction, not by the program
}

var (
	me           = operation{"me", "http", meRequests, ratioAt(16, 40), false}
	verifyToken  = operation{"verifyToken", "http", verifyRequests, ratioAt(16, 40), false}
	firstPage    = operation{"users, first page of 20", "http", pageRequests(0, "", nextPage), pagesAt16, false}
	farPage      = operation{"users, far page by cursor", "http", pageRequests(90, "", nextPage), pagesAt16, false}
	filteredPage = operation{"users, substring of 4 digits", "http", pageRequests(0, "0003", nextPage), pagesAt16,
		false}
	everybody = operation{"users, substring that all names have", "size", pageRequests(0, "ser0", nextPage), pagesAt16,
		false}
	oneUser = operation{"users, a whole name", "size", pageRequests(0, dataset.Username(leastUsers/2),
		dataset.Username(leastUsers/2)), pagesAt16, false}
	signature    = operation{"verifyToken", "signature", verifyRequests, noTargets, false}
	tokenAuth    = operation{"tokenAuth", "hash", loginRequests, hashesAt16, false}
	register     = operation{"register", "hash", registerRequests, hashesAt16, false}
	refreshToken = operation{"refreshToken", "transaction", refreshRequests, refreshes, false}

	// committing is no operation of the program: it shows what HTTP leaves of the floor.
	committing = operation{"a bare handler with such a transaction", "transaction", refreshRequests, noTargets, true}
)

// operations are those that have a floor, in the order of the tables; bySize are those that are measured on two files.
var (
	operations = []operation{me, verifyToken, firstPage, farPage, filteredPage, tokenAuth, register, refreshToken,
		committing, signature}
	bySize = []operation{me, verifyToken, firstPage, farPage, filteredPage, everybody, oneUser, tokenAuth, register,
		refreshToken}
)

// title is the unique name of the operation.
func (o operation) title() string {
	if o.table == signature.table {
		return o.name + " beside signatures"
	}
	return o.name
}

func meRequests(tb testing.TB, s *server, clients int) (list []Request) {
	for i, session := range s.login(tb, clients) {
		list = append(list, Request{Path: "/graphql", Token: session.Token, Body: meBody,
			Want: dataset.Username(i + 1)})
	}
	return list
}

func verifyRequests(tb testing.TB, s *server, clients int) (list []Request) {
	for i, session := range s.login(tb, clients) {
		list = append(list, Request{Path: "/graphql", Body: verifyBody(session.Token), Want: dataset.Username(i + 1)})
	}
	return list
}

// refreshRequests uses a session for each client, and each refresh token once.
func refreshRequests(tb testing.TB, s *server, clients int) (list []Request) {
	for _, session := range s.login(tb, clients) {
		list = append(list, Request{Path: "/graphql", Body: refreshBody, Want: `"success":true`,
			Chain: session.RefreshToken,
			Next:  `"refreshToken":"`})
	}
	return list
}

// loginRequests spreads logins over many users, so that none has many sessions.
func loginRequests(testing.TB, *server, int) (list []Request) {
	for i := range leastUsers {
		list = append(list, Request{Path: "/graphql", Body: loginBody(dataset.Username(i+1), dataset.Password),
			Want: `"success":true`})
	}
	return list
}

// registerRequests uses names that no earlier run has registered.
func registerRequests(testing.TB, *server, int) []Request {
	return []Request{{Path: "/graphql", Body: registerBody("new"+stamp()+"x{n}", dataset.Password),
		Want: `"success":true`}}
}

// nextPage is part of every page but the last.
const nextPage = `"hasNextPage":true`

// pageRequests asks for 20 users whose names contain part, after percent of all users.
func pageRequests(percent int, part, want string) func(testing.TB, *server, int) []Request {
	return func(tb testing.TB, s *server, _ int) []Request {
		admin, err := s.loginAs(dataset.Admin)
		if err != nil {
			tb.Fatal(err)
		}
		after := "null"
		if percent > 0 {
			after = text(s.cursor(tb, admin.Token, s.users*percent/100))
		}
		return []Request{{Path: "/graphql", Token: admin.Token, Body: pageBody(after, part), Want: want}}
	}
}

func noTargets(int, Side, Side) []Check { return nil }

// ratioAt is a target in percent of the floor, for a number of clients.
func ratioAt(at int, percent float64) targets {
	return func(clients int, ours, floor Side) []Check {
		if clients != at {
			return nil
		}
		return []Check{{Value: 100 * ours.Rate / floor.Rate, Unit: "%", Bound: percent, Least: true}}
	}
}

// hashesAt16 has a second target: the 99th percentile is at most twice the average wait.
func hashesAt16(clients int, ours, floor Side) []Check {
	list := ratioAt(16, 95)(clients, ours, floor)
	if list == nil {
		return nil
	}
	return append(list, Check{What: "p99", Value: ours.P99, Unit: "ms", Bound: 2 * float64(clients) / ours.Rate * 1000})
}

func refreshes(clients int, ours, floor Side) []Check {
	if clients == 1 {
		return ratioAt(1, 60)(clients, ours, floor)
	}
	return ratioAt(64, 150)(clients, ours, floor)
}

func pagesAt16(clients int, ours, _ Side) []Check {
	if clients != 16 {
		return nil
	}
	return []Check{{Value: ours.Rate, Unit: "/s", Bound: 6000, Least: true}}
}

// measure measures an operation and its floor.
func (o operation) measure(tb testing.TB, p schedule, s *server, clients int) Result {
	tb.Helper()
	plan := Plan{Clients: clients, Requests: o.requests(tb, s, clients)}
	ours, floor := compare(tb, p, o.contender(tb, s, plan), o.floor(tb, s, plan))
	return Result{Table: o.table, Name: o.name, Clients: clients, Ours: ours, Floor: floor, Checks: o.targets(clients,
		ours, floor)}
}

// contender returns the program that is measured.
func (o operation) contender(tb testing.TB, s *server, plan Plan) contender {
	tb.Helper()
	if o.bare {
		return s.bare(tb, plan, data(tb))
	}
	return s.contender(tb, plan)
}

// bare is a handler that answers as many bytes to the same requests; with a directory, after a durable transaction
// in it.
func (s *server) bare(tb testing.TB, plan Plan, dir string) contender {
	tb.Helper()
	bare := startWorker(tb, task{Kind: "handler", Answer: s.answerSize(tb, plan.Requests[0]), Dir: dir})
	asked := Plan{Address: bare.Address, Clients: plan.Clients}
	for _, r := range plan.Requests {
		r.Want, r.Next = "x", ""
		asked.Requests = append(asked.Requests, r)
	}
	return contender{startWorker(tb, task{Kind: "load", Plan: asked}).turn, bare.cmd.Process.Pid}
}

// floor returns the minimum that the operation is compared with.
func (o operation) floor(tb testing.TB, s *server, plan Plan) contender {
	tb.Helper()
	switch o.table {
	case "http":
		return s.bare(tb, plan, "")
	case "hash", "signature":
		return itself(startWorker(tb, task{Kind: o.table, Threads: min(plan.Clients, runtime.NumCPU())}))
	default:
		return itself(startWorker(tb, task{Kind: "transaction", Dir: data(tb)}))
	}
}

// itself is a worker that does the work by itself.
func itself(w *worker) contender { return contender{w.turn, w.cmd.Process.Pid} }

// BenchmarkOperations measures every operation for one, 16 and 64 clients, each on a new server and file.
func BenchmarkOperations(b *testing.B) {
	for _, o := range operations {
		b.Run(o.title(), func(b *testing.B) {
			for _, clients := range []int{1, 16, 64} {
				b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
					r := o.measure(b, defaults(), fresh(b, sizes(b)[0]), clients)
					b.ReportMetric(r.Ours.Rate, "requests/s")
					b.ReportMetric(r.Ours.P50, "p50-ms")
					b.ReportMetric(r.Ours.P99, "p99-ms")
					b.ReportMetric(r.Ours.CPU, "cpu-ms/request")
					b.ReportMetric(r.Ours.Peak, "peak-MiB")
					b.ReportMetric(r.Floor.Rate, "floor/s")
					b.ReportMetric(r.Floor.CPU, "floor-cpu-ms")
					b.ReportMetric(100*r.Ratio(), "%-of-floor")
					record(b, r)
				})
			}
		})
	}
}

// TestOperations: every operation can be measured, with two clients and short turns.
func TestOperations(t *testing.T) {
	if underRaceDetector() {
		t.Skip("the built program has no race detector")
	}
	s, p := fresh(t, leastUsers), schedule{turns: 1, turn: 50 * time.Millisecond}
	for _, o := range operations {
		t.Run(o.title(), func(t *testing.T) {
			r := o.measure(t, p, s, 2)
			if r.Ours.Rate <= 0 || r.Floor.Rate <= 0 || r.Ours.P99 <= 0 || r.Ours.Peak < 5 || r.Floor.Peak < 1 {
				t.Errorf("got %+v, want rates, a p99, and memory of at least 5 and 1 MiB", r)
			}
		})
	}
	for _, o := range []operation{firstPage, everybody, oneUser} {
		t.Run("two files, "+o.name, func(t *testing.T) {
			r := o.measureSizes(t, p, s, s)
			if r.Ours.Rate <= 0 || r.Floor.Rate <= 0 || len(r.Checks) != 2 {
				t.Errorf("got %+v, want rates and two checks", r)
			}
		})
	}
}
