package graphqlhttp

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"
)

func TestCacheIsBounded(t *testing.T) {
	c, err := newCache(3)
	if err != nil {
		t.Fatal(err)
	}
	add := func(query string, bytes int) { c.add(query, &ast.QueryDocument{}, bytes) }
	for i := range 10 {
		add(fmt.Sprint(i), 100)
		add(fmt.Sprint(i), 100) // adding it again changes nothing
	}
	if n := c.documents.Len(); n != 3 || c.bytes != 300 {
		t.Errorf("got %d documents, %d bytes, want 3, 300", n, c.bytes)
	}
	add("large", c.budget-150) // one small document stays
	if n := c.documents.Len(); n != 2 || c.bytes != c.budget-50 {
		t.Errorf("got %d documents, %d bytes, want 2, %d", n, c.bytes, c.budget-50)
	}
	add("larger than the budget", c.budget+1)
	if n := c.documents.Len(); n != 2 || c.get("9") == nil || c.get("large") == nil {
		t.Errorf("got %d documents, want 9 and large", n)
	}
}

// heavy are valid documents that take many times the memory of their text. The number makes each a different one.
var heavy = map[string]func(i int) string{
	"equal fields":     func(i int) string { return fmt.Sprintf("{me{%s}}#%d", strings.Repeat("age ", 240), i) },
	"two equal fields": func(i int) string { return fmt.Sprintf("{me{age age}}#%d", i) },
	"few fields":       func(i int) string { return fmt.Sprintf("{me{age name zip}}#%d", i) },
	"typenames in fragments": func(i int) string {
		return fmt.Sprintf("{%s}#%d", strings.Repeat("...{__typename}", 100),
			i)
	},
	"inline fragments": func(i int) string {
		return fmt.Sprintf("{me{%s}}#%d", strings.Repeat("...{age}", 120),
			i)
	},
	"48 inline fragments": func(i int) string {
		return fmt.Sprintf("{me{%s}}#%d", strings.Repeat("...{age}", 48),
			i)
	},
	"aliases": func(i int) string { return fmt.Sprintf("{me{a:age b:age c:age d:age e:age}}#%d", i) },
	"objects": func(i int) string { return fmt.Sprintf("{%s}#%d", strings.Repeat("me{age}", 60), i) },
	"directives": func(i int) string {
		return fmt.Sprintf("{%s}#%d", strings.Repeat("me@skip(if:true){age}",
			20), i)
	},
	"lists": func(i int) string {
		return fmt.Sprintf("{any(v:[%s])}#%d", strings.Repeat("1 ", 900),
			i)
	},
	"lists of lists": func(i int) string {
		return fmt.Sprintf("{any(v:[%s])}#%d", strings.Repeat("[]", 400),
			i)
	},
	"input objects": func(i int) string {
		return fmt.Sprintf("{any(v:[%s])}#%d", strings.Repeat("{a:1}", 180),
			i)
	},
	"spreads": func(i int) string {
		return fmt.Sprintf("{me{%s}}fragment A on User{age}#%d", strings.Repeat("...A ", 240), i)
	},
	"fragments": func(i int) string {
		text := fmt.Sprintf("{me{...F0}}#%d\n", i)
		for n := range 29 {
			text += fmt.Sprintf("fragment F%d on User{...F%d}", n, n+1)
		}
		return text + "fragment F29 on User{age}"
	},
	"variables": func(i int) string {
		head, body := "", ""
		for n := range 50 {
			head += fmt.Sprintf("$v%d:[[String]]=null ", n)
			body += fmt.Sprintf("$v%d ", n)
		}
		return fmt.Sprintf("query(%s){any(v:[%s])}#%d", head, body, i)
	},
	"operations": func(i int) string {
		text := ""
		for n := range 120 {
			text += fmt.Sprintf("query A%d{me{age}}", n)
		}
		return fmt.Sprintf("%s#%d", text, i)
	},
	"comments":  func(i int) string { return fmt.Sprintf("{me{%s}}#%d", strings.Repeat("age#\n#\n", 240), i) },
	"long text": func(i int) string { return fmt.Sprintf("{me{age}}#%s%d", strings.Repeat("x", 16_000), i) },
}

// TestCacheHoldsWhatItSays fills a cache with the largest documents that are valid. The heap must not grow by more
// than the cache counts.
func TestCacheHoldsWhatItSays(t *testing.T) {
	limits := testLimits
	limits.Documents = 250
	for name, text := range heavy {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, func(s *Settings) { s.Limits = limits })
			for i := range 20 { // what is made once
				s.document(t, text(-i))
			}
			s.handler.documents.documents.Purge()
			before := liveHeap()
			for i := range 275 {
				s.document(t, text(i+1))
			}
			held, c := liveHeap()-before, s.handler.documents
			t.Logf("%d documents hold %d KiB, counted as %d KiB", c.documents.Len(), held>>10, c.bytes>>10)
			const noise = 32 << 10
			if held > c.bytes+noise || c.bytes > 1<<20 {
				t.Errorf("got %d bytes of heap for %d documents counted as %d, want at most %d more and 1 MiB counted",
					held, c.documents.Len(), c.bytes, noise)
			}
			if c.documents.Len() < 4 {
				t.Errorf("got %d documents, want at least 4", c.documents.Len())
			}
			runtime.KeepAlive(s)
		})
	}
}

func (s *site) document(tb testing.TB, query string) *ast.QueryDocument {
	tb.Helper()
	doc, refused := s.handler.document(query)
	if refused != nil {
		tb.Fatalf("%.100s: got %s, want no error", query, refused.errs[0].Message)
	}
	return doc
}

func liveHeap() int {
	runtime.GC()
	runtime.GC() // what the first one frees in pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestCacheKeepsNoLongerText: a query that shares memory with a longer text, such as a URL, is copied.
func TestCacheKeepsNoLongerText(t *testing.T) {
	s := newSite(t)
	before := liveHeap()
	for i := range 100 {
		text := fmt.Sprintf("{color}#%03d%s", i, strings.Repeat("x", 1<<20))
		s.document(t, text[:len("{color}#000")])
	}
	if held := liveHeap() - before; held > 1<<20 {
		t.Errorf("got %d bytes of heap for 100 documents of 11 bytes, want at most 1 MiB", held)
	}
	if n := s.handler.documents.documents.Len(); n != 100 {
		t.Errorf("got %d documents, want 100", n)
	}
}

// TestStringsAreNotKept: a document with a string, which may be a password, is not kept for the next request.
func TestStringsAreNotKept(t *testing.T) {
	for name, test := range map[string]struct {
		query string
		kept  bool
	}{
		"argument":     {`{ str(v: "secret") }`, false},
		"block string": {`{ str(v: """secret""") }`, false},
		"in a list":    {`{ strs(v: ["secret"]) }`, false},
		"in an object": {`{ find(filter: {name: "secret"}) }`, false},
		"default":      {`query($v: String = "secret") { str(v: $v) }`, false},
		"no value":     {`"what" query A { color }`, false},
		"comment":      {"{ color } # \"\n", true},
		"variable":     {`query($v: String) { str(v: $v) }`, true},
		"number":       {`{ int(v: 1) }`, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			first := s.document(t, test.query)
			if again := s.document(t, test.query); (again == first) != test.kept ||
				(s.handler.documents.documents.Len() == 1) != test.kept {
				t.Errorf("got kept %t, want %t", again == first, test.kept)
			}
		})
	}
}

// BenchmarkDocument compares a kept document with one that has a string, which is parsed and validated each time.
func BenchmarkDocument(b *testing.B) {
	s := newSite(b)
	for name, query := range map[string]string{
		"kept":   `query F($a: String!, $b: String) { find(filter: {name: $a}) str(v: $b) me { name age } }`,
		"string": `{ find(filter: {name: "quiet-otter"}) str(v: "42") me { name age } }`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.document(b, query)
			}
		})
	}
}
