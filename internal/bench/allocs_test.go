package bench

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"accountd/accountdtest"
	"accountd/internal/bench/load"
)

var update = flag.Bool("update", false, "write testdata/allocations.json, or docs/performance.md and its charts, anew")

// allocationsFile has how often memory is allocated for a request, by operation.
var allocationsFile = filepath.Join("testdata", "allocations.json")

// TestAllocations holds how often the whole server allocates memory for a request, from HTTP to SQLite and back, against
// testdata/allocations.json. Unlike time, that is the same on every machine. Few more are let pass, and not many fewer, so
// that the file stays true: -update writes what is measured.
func TestAllocations(t *testing.T) {
	if underRaceDetector() {
		t.Skip("the race detector allocates as well")
	}
	s := accountdtest.New(t, accountdtest.Config("[log]\nlevel = \"error\"\n")) // what a test logs is kept by allocating
	got := map[string]int{}
	for _, test := range allocating(t, s) {
		test.request.Path = "/graphql"
		plan := load.Plan{Address: strings.TrimPrefix(s.URL, "http://"), Clients: 1, Requests: []load.Request{test.request}}
		got[test.name] = allocations(t, plan, test.runs)
	}
	if *update {
		text, err := json.MarshalIndent(got, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(allocationsFile, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(allocationsFile)
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]int
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatalf("%s: %v", allocationsFile, err)
	}
	for _, problem := range judge(want, got) {
		t.Error(problem)
	}
}

// judge compares allocations for each request.
func judge(want, got map[string]int) (problems []string) {
	const renew = "go test ./internal/bench -run '^TestAllocations$' -update"
	for _, name := range slices.Sorted(maps.Keys(got)) {
		limit, ok := want[name]
		more := max(2, limit/50)
		switch {
		case !ok:
			problems = append(problems, fmt.Sprintf("%s has no figure in %s: %s", name, allocationsFile, renew))
		case got[name] > limit+more:
			problems = append(problems, fmt.Sprintf("%s allocates %d times, and %d were allowed (and %d more): find out what is new, with -memprofile; if it has to be, %s",
				name, got[name], limit, more, renew))
		case got[name] < limit-max(2, limit/10):
			problems = append(problems, fmt.Sprintf("%s allocates %d times, where the figure is %d: lower the figure, so that it does not grow again unseen: %s",
				name, got[name], limit, renew))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if _, ok := got[name]; !ok {
			problems = append(problems, fmt.Sprintf("%s is in %s and is not measured: %s", name, allocationsFile, renew))
		}
	}
	return problems
}

type allocatingRequest struct {
	name    string
	runs    int // of which the mean is taken
	request load.Request
}

// allocating are the requests, on a server with 30 users.
func allocating(t *testing.T, s *accountdtest.Server) []allocatingRequest {
	t.Helper()
	admin := s.User(t, accountdtest.Staff)
	for range 30 {
		s.User(t)
	}
	session := func() (token, refresh string) {
		answer, err := s.Client(t, admin).Post(s.URL+"/graphql", "application/json", strings.NewReader(ask(
			`mutation L($u: String, $p: String!) { tokenAuth(username: $u, password: $p) { token refreshToken } }`,
			`{"u":`+text(admin.Username)+`,"p":`+text(admin.Password)+`}`)))
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var out struct {
			Data struct {
				TokenAuth struct{ Token, RefreshToken string }
			}
		}
		if err := json.NewDecoder(answer.Body).Decode(&out); err != nil {
			t.Fatal(err)
		}
		return out.Data.TokenAuth.Token, out.Data.TokenAuth.RefreshToken
	}
	token, refresh := session()
	return []allocatingRequest{
		{"me", 300, load.Request{Token: token, Body: meBody, Want: admin.Username}},
		{"verifyToken", 300, load.Request{Body: verifyBody(token), Want: admin.Username}},
		{"users, page of 20", 300, load.Request{Token: token, Body: pageBody("null", ""), Want: `"hasNextPage":true`}},
		{"refreshToken", 100, load.Request{Body: refreshBody, Want: `"success":true`, Chain: refresh, Next: `"refreshToken":"`}},
		{"tokenAuth", 30, load.Request{Body: loginBody(admin.Username, admin.Password), Want: `"success":true`}}, // fewer than limits.sessions_per_user
		{"register", 100, load.Request{Body: registerBody("new{n}", admin.Password), Want: `"success":true`}},
	}
}

// allocations is how often memory is allocated for a request on a connection that is kept. The client's part of it is next to
// nothing, and what the server does by itself meanwhile is less than one a request.
func allocations(t *testing.T, plan load.Plan, runs int) int {
	t.Helper()
	l, err := load.New(plan)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	once := func() {
		if err := l.Once(); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 { // statements are prepared, documents kept
		once()
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection empties pools
	return int(math.Round(testing.AllocsPerRun(runs, once)))
}

// underRaceDetector reports whether this test was built with -race.
func underRaceDetector() bool {
	build, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(build.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// TestJudge: more is refused, much less is asked to be written down, and so is what is on one side only.
func TestJudge(t *testing.T) {
	for _, test := range []struct {
		name      string
		want, got map[string]int
		problem   string // "" for none
	}{
		{"same", map[string]int{"me": 200}, map[string]int{"me": 200}, ""},
		{"two percent", map[string]int{"me": 200}, map[string]int{"me": 204}, ""},
		{"more", map[string]int{"me": 200}, map[string]int{"me": 205}, "me allocates 205 times, and 200 were allowed"},
		{"two of few", map[string]int{"me": 20}, map[string]int{"me": 22}, ""},
		{"more of few", map[string]int{"me": 20}, map[string]int{"me": 23}, "me allocates 23 times"},
		{"ten percent less", map[string]int{"me": 200}, map[string]int{"me": 180}, ""},
		{"less", map[string]int{"me": 200}, map[string]int{"me": 179}, "lower the figure"},
		{"new", nil, map[string]int{"me": 1}, "me has no figure"},
		{"gone", map[string]int{"me": 1}, nil, "is not measured"},
	} {
		t.Run(test.name, func(t *testing.T) {
			problems := judge(test.want, test.got)
			if test.problem == "" && len(problems) > 0 || test.problem != "" && (len(problems) != 1 || !strings.Contains(problems[0], test.problem)) {
				t.Errorf("%q, which should be %q", problems, test.problem)
			}
		})
	}
}
