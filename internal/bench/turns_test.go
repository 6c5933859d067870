package bench

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// serve starts a server and returns its address.
func serve(t *testing.T, handler http.HandlerFunc) (address string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func oneTurn(t *testing.T, p Plan, d time.Duration) (Turn, error) {
	t.Helper()
	l, err := NewLoad(p)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Turn(d, false)
}

func TestTurn(t *testing.T) {
	var mu sync.Mutex
	asked, peers := 0, map[string]string{} // which token each connection sends
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		asked++
		if before, ok := peers[r.RemoteAddr]; ok && before != r.Header.Get("Authorization") {
			t.Errorf("one connection: got the tokens %q and %q, want one", before, r.Header.Get("Authorization"))
		}
		peers[r.RemoteAddr] = r.Header.Get("Authorization")
		if r.Method != http.MethodPost || r.URL.Path != "/graphql" || string(body) != "{}" {
			t.Errorf("got the request %s %s %q, want POST /graphql {}", r.Method, r.URL.Path, body)
		}
		fmt.Fprint(w, "right")
	})
	requests := make([]Request, 3)
	for i := range requests {
		requests[i] = Request{Path: "/graphql", Token: fmt.Sprint("token", i), Body: "{}", Want: "igh"}
	}
	got, err := oneTurn(t, Plan{Address: address, Clients: 3, Requests: requests}, 20*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if got.Done != asked || got.Done < 3 || got.Busy != 0 || got.P50 <= 0 || got.P99 < got.P50 ||
		got.Elapsed < 20*time.Millisecond {
		t.Errorf("got %+v of %d requests, want all of them counted, at least 3, none busy", got, asked)
	}
	if len(peers) != 3 {
		t.Errorf("got %d connections, want one for each of 3 clients", len(peers))
	}
}

// TestBodies: names are unique, and the string of a response is in the next request.
func TestBodies(t *testing.T) {
	var mu sync.Mutex
	names, expected := map[string]bool{}, map[string]bool{"first": true, "second": true}
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		name, chain, _ := strings.Cut(string(body), " ")
		mu.Lock()
		defer mu.Unlock()
		if names[name] || !expected[chain] {
			t.Errorf("got the body %q, want a new name and an expected chain", body)
		}
		names[name] = true
		delete(expected, chain)
		next := fmt.Sprint("chain", len(names))
		expected[next] = true
		fmt.Fprintf(w, `{"token":"%s"}`, next)
	})
	request := Request{Path: "/", Body: "{n} {chain}", Chain: "first", Next: `"token":"`}
	other := request
	other.Chain = "second"
	l, err := NewLoad(Plan{Address: address, Clients: 2, Requests: []Request{request, other}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 3 {
		if err := l.Once(); err != nil {
			t.Fatal(err)
		}
	}
	if len(names) != 6 {
		t.Errorf("got the names %v, want 6", names)
	}
}

// TestWrongAnswers: a wrong response ends the run with an error that shows it.
func TestWrongAnswers(t *testing.T) {
	for _, test := range []struct {
		name, err string
		plan      Plan
		request   Request
		answer    http.HandlerFunc
	}{
		{name: "status", err: "answers 429", answer: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTooManyRequests)
			fmt.Fprint(w, "right")
		}},
		{name: "text", err: `200 "wrong", which should be 200 and contain "right"`, answer: func(w http.ResponseWriter,
			_ *http.Request) {
			fmt.Fprint(w, "wrong")
		}},
		{name: "busy that is not allowed", err: "answers 503", answer: busy},
		{name: "busy without a time", err: "answers 503", plan: Plan{Busy: true}, answer: func(w http.ResponseWriter,
			_ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}},
		{name: "no chain", err: `has nothing after "\"token\":\""`, request: Request{Body: "{chain}",
			Next: `"token":"`},
			answer: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "right") }},
		{name: "no length", err: "no Content-Length", answer: func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "right")
			_ = http.NewResponseController(w).Flush()
		}},
		{name: "closed", err: "the server has closed the connection", answer: func(http.ResponseWriter,
			*http.Request) {
			panic(http.ErrAbortHandler)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.plan.Address, test.plan.Clients = serve(t, test.answer), 1
			test.request.Path, test.request.Want = "/graphql", "right"
			test.plan.Requests = []Request{test.request}
			_, err := oneTurn(t, test.plan, 10*time.Millisecond)
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("got %v, want an error with %s", err, test.err)
			}
		})
	}
}

func busy(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusServiceUnavailable)
}

func TestBusy(t *testing.T) {
	plan := Plan{Address: serve(t, busy), Clients: 2, Requests: []Request{{Path: "/", Body: "{}"}}, Busy: true}
	got, err := oneTurn(t, plan, 20*time.Millisecond)
	if err != nil || got.Done != 0 || got.Busy != 2 || got.P99 != 0 {
		t.Errorf("got %+v, %v; want 2 busy and none done", got, err)
	}
}

func TestOnce(t *testing.T) {
	asked := make(chan bool, 10)
	plan := Plan{Clients: 2, Requests: []Request{{Path: "/", Body: "{}", Want: "right"}}, Busy: true}
	for _, test := range []struct {
		name, err string
		answer    http.HandlerFunc
		asked     int
	}{
		{"right", "", func(w http.ResponseWriter, _ *http.Request) { asked <- true; fmt.Fprint(w, "right") }, 2},
		{"wrong", `contain "right"`, func(w http.ResponseWriter, _ *http.Request) {
			asked <- true
			fmt.Fprint(w,
				"wrong")
		},
			1},
		{"busy", "busy", func(w http.ResponseWriter, r *http.Request) { asked <- true; busy(w, r) }, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			plan.Address = serve(t, test.answer)
			l, err := NewLoad(plan)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			err = l.Once()
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("got %v, want %q", err, test.err)
			}
			if len(asked) != test.asked {
				t.Errorf("got %d requests, want %d", len(asked), test.asked)
			}
			for len(asked) > 0 {
				<-asked
			}
		})
	}
}

func TestNewLoadRefuses(t *testing.T) {
	for name, plan := range map[string]Plan{"no client": {Requests: []Request{{Path: "/"}}},
		"no request": {Clients: 1}} {
		if _, err := NewLoad(plan); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
}

func TestNoServer(t *testing.T) {
	l, err := NewLoad(Plan{Address: "127.0.0.1:0", Clients: 1, Requests: []Request{{Path: "/"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Turn(time.Millisecond, false); err == nil {
		t.Error("a turn without a server: got no error, want one")
	}
	if err := l.Once(); err == nil {
		t.Error("a request without a server: got no error, want one")
	}
	l.Close()
}

func TestPercentiles(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(100 - i)
	}
	for _, test := range []struct {
		name  string
		times []time.Duration
		want  [2]time.Duration
	}{
		{"none", nil, [2]time.Duration{0, 0}},
		{"one", []time.Duration{7}, [2]time.Duration{7, 7}},
		{"three", []time.Duration{3, 1, 2}, [2]time.Duration{2, 3}},
		{"hundred", hundred, [2]time.Duration{50, 99}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p50, p99 := Percentiles(test.times)
			if diff := cmp.Diff(test.want, [2]time.Duration{p50, p99}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
