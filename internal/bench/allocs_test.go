//go:build linux

package bench

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"accountd/accountdtest"
)

// allocationsFile has the number and bytes of allocations of a request, by operation.
var allocationsFile = filepath.Join("testdata", "allocations.json")

// allocated is what one request allocates.
type allocated struct {
	Times int `json:"allocations"`
	Bytes int `json:"bytes"`
}

// TestAllocations compares the allocations of a request, from HTTP to SQLite and back, with
// testdata/allocations.json. They are the same on every machine. One more fails; some fewer have to be recorded, so
// that the file stays true: -update writes what is measured.
func TestAllocations(t *testing.T) {
	if underRaceDetector() {
		t.Skip("the race detector allocates as well")
	}
	// what a test logs is kept by allocating
	s := accountdtest.New(t, accountdtest.Config("[log]\nlevel = \"error\"\n"))
	got, vague := map[string]allocated{}, map[string]int{}
	for _, test := range allocating(t, s) {
		test.request.Path = "/graphql"
		plan := Plan{Address: strings.TrimPrefix(s.URL, "http://"), Clients: 1, Requests: []Request{test.request}}
		got[test.name], vague[test.name] = allocations(t, plan, test.runs), test.vague
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
	var want map[string]allocated
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatalf("%s: got %v, want JSON", allocationsFile, err)
	}
	for _, problem := range checkAllocations(want, got, vague) {
		t.Error(problem)
	}
}

// checkAllocations compares the allocations of requests with the recorded ones. It tolerates vague more allocations and
// one percent more bytes, because bytes depend on the lengths of texts. It also tolerates two allocations and six
// percent of bytes less: on a busy machine a part of one request's allocations may count for the next.
func checkAllocations(want, got map[string]allocated, vague map[string]int) (problems []string) {
	const renew = "go test ./internal/bench -run '^TestAllocations$' -update"
	for _, name := range slices.Sorted(maps.Keys(got)) {
		limit, ok := want[name]
		if !ok {
			problems = append(problems, fmt.Sprintf("%s has no figure in %s: %s", name, allocationsFile, renew))
			continue
		}
		for _, of := range []struct {
			what                    string
			got, limit, more, fewer int
		}{
			{"times", got[name].Times, limit.Times, vague[name], vague[name] + 2},
			{"bytes", got[name].Bytes, limit.Bytes, limit.Bytes / 100, limit.Bytes * 6 / 100},
		} {
			switch {
			case of.got > of.limit+of.more:
				problems = append(problems,
					fmt.Sprintf("%s allocates %d %s, and %d were allowed (and %d more): find out what "+
						"is new, with -memprofile; if it has to be, %s",
						name, of.got, of.what, of.limit, of.more, renew))
			case of.got < of.limit-of.fewer:
				problems = append(problems,
					fmt.Sprintf("%s allocates %d %s, where the figure is %d: lower the figure, so that "+
						"it does not grow again unseen: %s",
						name, of.got, of.what, of.limit, renew))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if _, ok := got[name]; !ok {
			problems = append(problems, fmt.Sprintf("%s is in %s and is not measured: %s", name, allocationsFile,
				renew))
		}
	}
	return problems
}

type allocatingRequest struct {
	name    string
	runs    int // of which the lower quartile is taken
	vague   int // more allocations that mean nothing
	request Request
}

// allocating returns the requests, for a server with 30 users.
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
		{"me", 300, 0, Request{Token: token, Body: meBody, Want: admin.Username}},
		{"verifyToken", 300, 0, Request{Body: verifyBody(token), Want: admin.Username}},
		{"users, page of 20", 300, 0, Request{Token: token, Body: pageBody("null", ""), Want: nextPage}},
		{"users, substring", 300, 0, Request{Token: token, Body: pageBody("null", "user"), Want: nextPage}},
		{"refreshToken", 100, 0, Request{Body: refreshBody, Want: `"success":true`, Chain: refresh,
			Next: `"refreshToken":"`}},
		// fewer than limits.sessions_per_user
		{"tokenAuth", 30, 0, Request{Body: loginBody(admin.Username, admin.Password), Want: `"success":true`}},
		// vague: indexes grow
		{"register", 100, 4, Request{Body: registerBody("new{n}", admin.Password), Want: `"success":true`}},
	}
}

// allocations returns the allocations of a request on a kept-alive connection; the client allocates next to nothing.
// Each request is measured by itself, and the lower quartile counts: background work of the server is in few of
// them, and up to half have one more block of 16 bytes, in which Go puts smaller objects.
func allocations(t *testing.T, plan Plan, runs int) allocated {
	t.Helper()
	l, err := NewLoad(plan)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	once := func() {
		if err := l.Once(); err != nil {
			t.Fatal(err)
		}
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection empties pools
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))  // a pool has a part for each
	for range 5 {                                    // statements are prepared, documents kept
		once()
	}
	times, bytes := make([]int, runs), make([]int, runs)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range runs {
		once()
		runtime.ReadMemStats(&after)
		times[i], bytes[i] = int(after.Mallocs-before.Mallocs), int(after.TotalAlloc-before.TotalAlloc)
		before = after
	}
	slices.Sort(times)
	slices.Sort(bytes)
	return allocated{Times: times[runs/4], Bytes: bytes[runs/4]}
}

// underRaceDetector reports whether this test was built with -race.
func underRaceDetector() bool {
	build, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(build.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// TestCheckAllocations: more allocations are refused. Fewer, and requests that only one side has, have to be recorded.
func TestCheckAllocations(t *testing.T) {
	one := func(times, bytes int) map[string]allocated { return map[string]allocated{"me": {times, bytes}} }
	for _, test := range []struct {
		name      string
		want, got map[string]allocated
		vague     int
		problem   string // "" for none
	}{
		{"same", one(200, 5000), one(200, 5000), 0, ""},
		{"one more", one(200, 5000), one(201, 5000), 0, "me allocates 201 times, and 200 were allowed"},
		{"two fewer", one(200, 5000), one(198, 5000), 0, ""},
		{"three fewer", one(200, 5000), one(197, 5000), 0,
			"me allocates 197 times, where the figure is 200: lower the figure"},
		{"as vague", one(200, 5000), one(202, 5000), 2, ""},
		{"as vague, fewer", one(200, 5000), one(196, 5000), 2, ""},
		{"more than vague", one(200, 5000), one(203, 5000), 2, "me allocates 203 times"},
		{"one percent of bytes", one(200, 5000), one(200, 5050), 0, ""},
		{"more bytes", one(200, 5000), one(200, 5051), 0, "me allocates 5051 bytes, and 5000 were allowed"},
		{"six percent of bytes fewer", one(200, 5000), one(200, 4700), 0, ""},
		{"fewer bytes", one(200, 5000), one(200, 4699), 0,
			"me allocates 4699 bytes, where the figure is 5000: lower the figure"},
		{"new", nil, one(1, 1), 0, "me has no figure"},
		{"gone", one(1, 1), nil, 0, "is not measured"},
	} {
		t.Run(test.name, func(t *testing.T) {
			problems := checkAllocations(test.want, test.got, map[string]int{"me": test.vague})
			if test.problem == "" && len(problems) > 0 || test.problem != "" && (len(problems) != 1 ||
				!strings.Contains(problems[0], test.problem)) {
				t.Errorf("got the problems %q, want %q", problems, test.problem)
			}
		})
	}
}
