package graphqlhttp

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// TestScratch: an answer does not depend on earlier requests that used the same memory, whatever their length, errors
// or panics.
func TestScratch(t *testing.T) {
	var bodies []string
	for _, query := range []string{
		"{ color }", "{ big }", "{ users { __typename } }", "{ names { name } }",
		"{ users { ... on Named { name } ... on User { friend { name } } } }",
		"{ me { name friend { friend { name } } } }",
		"{ me { name } me { age } ...F } fragment F on Query { me { friend { name } } }",
		"{ me { name broken } }", "{ strict }", "{ panics color }", "{ notList badInt big }", "{ nothing }", "{ color",
		"query($v: [String!]) { strs(v: $v) }",
	} {
		for _, n := range []int{0, 1, 3000} {
			body, err := json.Marshal(map[string]any{"query": query,
				"variables": map[string]any{"v": []string{strings.Repeat("v", n)}}})
			if err != nil {
				t.Fatal(err)
			}
			bodies = append(bodies, string(body))
		}
	}
	ask := func(s *site, body string) string {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		return fmt.Sprint(w.Code, w.Body)
	}
	want := map[string]string{}
	for _, body := range bodies {
		want[body] = ask(newSite(t), body)
	}
	s := newSite(t)
	var running sync.WaitGroup
	for c := range 8 {
		running.Go(func() {
			for i := range 20 * len(bodies) {
				body := bodies[(i*(c+1)+c)%len(bodies)]
				if got := ask(s, body); got != want[body] {
					t.Errorf("%.100s: %.300s, want %.300s", body, got, want[body])
					return
				}
			}
		})
	}
	running.Wait()
}

// TestScratchKeepsNothing: released memory holds no document and is not large.
func TestScratchKeepsNothing(t *testing.T) {
	s := newSite(t)
	x := &execution{handler: s.handler, scratch: new(scratch), ctx: t.Context()}
	const query = "{ me { name friend { a: name name } } ...F } fragment F on Query { me { age } }"
	doc, refused := s.handler.document(query)
	if refused != nil {
		t.Fatalf("got %s, want no error", refused.errs[0].Message)
	}
	x.run(doc.Operations[0])
	if want := `{"data":{"me":{"name":"bob","friend":{"a":"ann","name":"ann"},"age":7}`; string(x.out) != want+"}" {
		t.Errorf("got %s, want %s}", x.out, want)
	}
	kept := x.scratch
	kept.release()
	if len(kept.out)+len(kept.path)+len(kept.selections) > 0 {
		t.Errorf("got %+v, want nothing in it", kept)
	}
	for _, s := range kept.selections[:cap(kept.selections)] {
		if s.key != "" || s.field != nil || s.more != nil || s.def != nil || s.end != 0 {
			t.Errorf("got %+v kept, want zero", s)
		}
	}
	for _, s := range kept.path[:cap(kept.path)] {
		if s != (step{}) {
			t.Errorf("got %+v kept, want zero", s)
		}
	}
}

// BenchmarkHandler is one request with a kept document, without net/http.
func BenchmarkHandler(b *testing.B) {
	s := newSite(b)
	for _, bench := range []struct{ name, body string }{
		{"object", `{"query":"query Me { me { name age friend { name } } }","variables":null}`},
		{"variable", `{"query":"query S($v: String) { str(v: $v) }","variables":{"v":"text"}}`},
	} {
		b.Run(bench.name, func(b *testing.B) {
			body := strings.NewReader(bench.body)
			r := httptest.NewRequest("POST", "/", body)
			r.Header.Set("Content-Type", "application/json")
			w := &sink{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				body.Reset(bench.body)
				clear(w.header)
				s.handler.ServeHTTP(w, r)
			}
			if w.status != http.StatusOK || !strings.HasPrefix(string(w.body), `{"data":{`) {
				b.Errorf("got %d %s, want 200 and data", w.status, w.body)
			}
		})
	}
}

// sink is a ResponseWriter that stores the last answer.
type sink struct {
	header http.Header
	status int
	body   []byte
}

func (s *sink) Header() http.Header    { return s.header }
func (s *sink) WriteHeader(status int) { s.status = status }
func (s *sink) Write(p []byte) (int, error) {
	s.body = append(s.body[:0], p...)
	return len(p), nil
}
