package graphqlhttp

import (
	"strings"
	"sync"
	"testing"
	"time"
)

func TestExecution(t *testing.T) {
	s := newSite(t)
	tests := []struct{ name, query, variables, want string }{
		{"fields come in the order of the query", `{ z: color me { zip name age } agent color }`, "",
			`{"data":{"z":"GREEN","me":{"zip":"z","name":"bob","age":7},"agent":"","color":"GREEN"}}`},
		{"equal keys are one field", `{ me { name } ...F me { age friend { name } } } fragment F on Query { me { ` +
			`friend { age } zip } }`, "",
			`{"data":{"me":{"name":"bob","friend":{"age":7,"name":"ann"},"zip":"z","age":7}}}`},
		{"skip and include", `query($y: Boolean!, $n: Boolean = false) { me @skip(if: $n) { name @include(if: $y) ` +
			`age @skip(if: $y) } color @include(if: $n) }`, `{"y":true}`,
			`{"data":{"me":{"name":"bob"}}}`},
		{"all skipped", `{ me { name @skip(if: true) } }`, "", `{"data":{"me":{}}}`},
		{"typename", `{ __typename me { __typename } users { t: __typename } }`, "",
			`{"data":{"__typename":"Query","me":{"__typename":"User"},"users":[{"t":"User"},{"t":"User"}]}}`},
		{"fragments of an interface and of another type", `{ me { ... on Named { ... on Pet { legs } name } ` +
			`... on User { age } ...N } } fragment N on Named { __typename }`, "",
			`{"data":{"me":{"name":"bob","age":7,"__typename":"User"}}}`},
		{"a list of objects", `{ users { name friend { name age } } users { ... on User { age friend { zip } } ` +
			`... on Named { n: name } } color }`, "",
			`{"data":{"users":[{"name":"bob","friend":{"name":"ann","age":7,"zip":"z"},"age":7,"n":"bob"},` +
				`{"name":"eve","friend":{"name":"ann","age":7,"zip":"z"},"age":7,"n":"eve"}],"color":"GREEN"}}`},
		{"nil pointers and nil slices", `{ noUser { name } empty }`, "", `{"data":{"noUser":null,"empty":[]}}`},
		{"every character survives", `{ weird }`, "", `{"data":{"weird":"\u003ca\u003e\u2028\"\\\n😀"}}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			status, got := s.post(t, test.query, test.variables)
			if status != 200 || got != test.want {
				t.Errorf("got status %d, want 200\n got %s\nwant %s", status, got, test.want)
			}
		})
	}
}

func TestFailingResolvers(t *testing.T) {
	const internal = `"extensions":{"code":"internal","requestId":"req-1"}}`
	tests := []struct {
		name, query, want string
		logged            string // "": nothing is
	}{
		{"the value beside an error is dropped", `{ fails { name } }`,
			`{"errors":[{"message":"internal server error","locations":[{"line":1,"column":3}],"path":["fails"],` +
				internal + `],"data":{"fails":null}}`,
			"no such table: users"},
		{"a panic is masked", `{ color panics }`,
			`{"errors":[{"message":"internal server error","locations":[{"line":1,"column":9}],"path":["panics"],` +
				internal + `],"data":{"color":"GREEN","panics":null}}`,
			"assignment to entry in nil map"},
		{"an error for the client, though wrapped", `{ a: refuses { name } }`,
			`{"errors":[{"message":"Not you.","locations":[{"line":1,"column":3}],"path":["a"],` +
				`"extensions":{"code":"permission_denied"}}],"data":{"a":null}}`, ""},
		{"null where it may not be takes its parent", `{ me { name none age } color }`,
			`{"errors":[{"message":"internal server error","locations":[{"line":1,"column":13}],"path":["me","none"],` +
				internal + `],"data":{"me":null,"color":"GREEN"}}`,
			"not nullable"},
		{"the nearest parent that may be null", `{ me { name friend { broken } age } }`,
			`{"errors":[{"message":"internal server error","locations":[{"line":1,"column":22}],"path":["me",` +
				`"friend","broken"],` + internal + `],"data":{"me":{"name":"bob","friend":null,"age":7}}}`,
			"disk on fire"},
		{"an item that is none", `{ names { name } }`,
			`{"errors":[{"message":"internal server error","locations":[{"line":1,"column":11}],` +
				`"path":["names",2,"name"],` + internal + `],"data":{"names":[{"name":"bob"},null,null]}}`,
			"a string is no user"},
		{"a null item takes the list", `{ strict color }`,
			`{"errors":[{"message":"internal server error","locations":[{"line":1,"column":3}],"path":["strict",1],` +
				internal + `],"data":{"strict":null,"color":"GREEN"}}`,
			"not nullable"},
		{"an Int of 33 bits", `{ badInt }`,
			`{"errors":[{"message":"internal server error","locations":[{"line":1,"column":3}],"path":["badInt"],` +
				internal + `],"data":{"badInt":null}}`,
			"Int cannot represent"},
		{"no value of an enum", `{ badColor }`,
			`{"errors":[{"message":"internal server error","locations":[{"line":1,"column":3}],"path":["badColor"],` +
				internal + `],"data":{"badColor":null}}`,
			"Color cannot represent"},
		{"no list", `{ notList }`,
			`{"errors":[{"message":"internal server error","locations":[{"line":1,"column":3}],"path":["notList"],` +
				internal + `],"data":{"notList":null}}`,
			"not a list"},
		{"no thunks", `{ thunk }`,
			`{"errors":[{"message":"internal server error","locations":[{"line":1,"column":3}],"path":["thunk"],` +
				internal + `],"data":{"thunk":null}}`,
			"cannot represent"},
		{"errors come in the order of the query", `{ p: panics x: refuses { name } f: fails { name } }`,
			`{"errors":[{"message":"internal server error","locations":[{"line":1,"column":3}],"path":["p"],` +
				internal + `,` +
				`{"message":"Not you.","locations":[{"line":1,"column":13}],"path":["x"],` +
				`"extensions":{"code":"permission_denied"}},` +
				`{"message":"internal server error","locations":[{"line":1,"column":33}],"path":["f"],` + internal +
				`],"data":{"p":null,"x":null,"f":null}}`,
			"no such table"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newSite(t)
			for range 3 { // the same each time
				status, got := s.post(t, test.query, "")
				if status != 200 || got != test.want {
					t.Fatalf("got status %d, want 200\n got %s\nwant %s", status, got, test.want)
				}
				if strings.Contains(got, "SECRET") {
					t.Fatalf("got %s, want only selected fields", got)
				}
			}
			log := s.log.String()
			if (test.logged == "") != (log == "") || !strings.Contains(log, test.logged) || test.logged != "" &&
				!strings.Contains(log, "request=req-1") {
				t.Errorf("got the log %q, want %q", log, test.logged)
			}
		})
	}
}

func TestBusyAndLate(t *testing.T) {
	s := newSite(t, func(s *Settings) { s.Limits.Timeout = time.Millisecond })
	body := func(query string) string { return `{"query":"` + query + `"}` }
	for _, test := range []struct{ query, message, retry string }{
		{"{ busy color }", "Later.", "2"},
		{"{ waits }", "The request took longer than 1ms.", "1"},
	} {
		for _, accept := range []string{"application/json", "application/graphql-response+json"} {
			resp := s.do(t, "POST", "", body(test.query), "Content-Type", "application/json", "Accept", accept)
			resp.Body.Close()
			_, answer := s.send(t, "POST", "", body(test.query), "Content-Type", "application/json", "Accept", accept)
			if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != test.retry || codeOf(t, answer) != "busy" ||
				!strings.Contains(answer, test.message) || !strings.Contains(answer, `"retryAfter":`+test.retry) {
				t.Errorf("%s as %s: got status %d, Retry-After %q and %s, want 503, %q and %q", test.query, accept,
					resp.StatusCode, resp.Header.Get("Retry-After"), answer, test.retry, test.message)
			}
		}
	}
}

func TestMutationsRunInOrder(t *testing.T) {
	s := newSite(t)
	status, got := s.post(t, `mutation { c: bump(v: "3") a: bump(v: "1") b: bump(v: "2") login(v: "4") }`, "")
	if want := `{"data":{"c":"3","a":"1","b":"2","login":"4"}}`; status != 200 || got != want {
		t.Errorf("got status %d and %s, want %s", status, got, want)
	}
	if calls := strings.Join(s.takeCalls(), " "); calls != "bump 3 bump 1 bump 2 login 4" {
		t.Errorf("got the calls %s, want bump 3 bump 1 bump 2 login 4", calls)
	}
}

func TestOneExclusiveMutation(t *testing.T) {
	s := newSite(t)
	tests := []struct {
		query   string
		refused bool
	}{
		{`mutation { login(v: "1") bump(v: "2") }`, false},
		{`mutation { login(v: "1") login(v: "1") }`, false}, // one field, executed once
		{`mutation { a: login(v: "1") b: login(v: "2") }`, true},
		{`mutation { a: login(v: "1") ...F } fragment F on Mutation { ... { b: login(v: "2") } }`, true},
		{`mutation A { login(v: "1") } mutation B { login(v: "2") }`, true}, // no operationName: refused for that
		{`mutation { a: login(v: "1") @skip(if: true) b: login(v: "2") }`, true},
	}
	for _, test := range tests {
		status, got := s.post(t, test.query, "")
		refused := status == 400 && (codeOf(t, got) == CodeOneCredentialMutation || codeOf(t, got) == CodeOperation)
		if refused != test.refused || refused && len(s.takeCalls()) > 0 {
			t.Errorf("%s: got status %d and %s, want refused: %t", test.query, status, got, test.refused)
		}
		s.takeCalls()
	}
}

func TestAnswerIsBounded(t *testing.T) {
	s := newSite(t, func(s *Settings) { s.Limits.Response = 4000; s.Limits.Errors = 2 })
	if status, got := s.post(t, `{ big a: big b: big }`, ""); status != 400 || codeOf(t, got) != CodeTooLarge ||
		strings.Contains(got, "data") {
		t.Errorf("got status %d and %.300s, want 400 and code %s", status, got, CodeTooLarge)
	}
	if _, got := s.post(t, `{ a: panics b: panics c: panics }`, ""); strings.Count(got, "message") != 2 ||
		!strings.Contains(got, `"c":null`) {
		t.Errorf("%s: want two errors", got)
	}
	if _, got := s.post(t, `{ a b c d }`, ""); strings.Count(got, "message") != 2 {
		t.Errorf("%s: want two errors", got)
	}
}

// TestConcurrentRequests lets the race detector see documents, schema and tables that requests share.
func TestConcurrentRequests(t *testing.T) {
	s := newSite(t, func(s *Settings) { s.Limits.Documents = 2 })
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				for _, q := range []string{`{ me { name friend { age } } color paint(v: RED) }`,
					`{ __schema { types { name fields { name } } } }`, `{ users { __typename } }`} {
					if status, got := s.post(t, q, ""); status != 200 {
						t.Errorf("got status %d and %s, want status 200", status, got)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}
