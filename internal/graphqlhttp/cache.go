package graphqlhttp

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/vektah/gqlparser/v2/ast"
)

// cache keeps validated documents by their text and evicts the least recently used ones. It bounds both their number
// and the memory that they take together, because anybody can send documents, and a parsed one is many times larger
// than its text.
type cache struct {
	mu        sync.Mutex
	documents *simplelru.LRU[string, keptDocument]
	bytes     int // sum of the documents' bytes
	budget    int
}

type keptDocument struct {
	*ast.QueryDocument
	bytes int
}

// What documents in the cache take, in bytes. TestCacheHoldsWhatItSays compares them with the heap.
const (
	bytesForDocument = 4 << 10 // the cache's budget per document
	entryBytes       = 512     // upper bound of an empty document and its place in the cache
	partBytes        = 256     // upper bound of one of scanned.parts, with its token and its place in a list
)

// keptBytes is an upper bound of what a document takes in the cache.
func keptBytes(query string, parts int) int {
	return entryBytes + len(query) + len(query)/8 + partBytes*parts
}

func newCache(documents int) (*cache, error) {
	c := &cache{budget: bytesForDocument * documents}
	var err error
	c.documents, err = simplelru.NewLRU(documents, func(_ string, doc keptDocument) { c.bytes -= doc.bytes })
	return c, err
}

func (c *cache) get(query string) *ast.QueryDocument {
	c.mu.Lock()
	defer c.mu.Unlock()
	doc, _ := c.documents.Get(query)
	return doc.QueryDocument
}

// add keeps doc, which takes bytes. doc must not refer to any text but query.
func (c *cache) add(query string, doc *ast.QueryDocument, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if bytes > c.budget || c.documents.Contains(query) {
		return
	}
	c.documents.Add(query, keptDocument{doc, bytes})
	for c.bytes += bytes; c.bytes > c.budget; {
		c.documents.RemoveOldest()
	}
}
