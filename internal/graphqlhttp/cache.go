package graphqlhttp

import (
	"reflect"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/lexer"
)

// cache keeps validated documents by their text, the least recently used ones leaving first. Their number is bounded, and so
// is the memory that they take together: anybody can send documents, and a parsed one is many times larger than its text.
type cache struct {
	mu        sync.Mutex
	documents *simplelru.LRU[string, keptDocument]
	bytes     int // of all documents, by heldBytes
	budget    int
}

type keptDocument struct {
	*ast.QueryDocument
	bytes int
}

// bytesForDocument is the memory that a cache has for each of its documents on average: one with twelve fields and two variables takes
// as much.
const bytesForDocument = 4 << 10

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

// add keeps doc, which nobody else has yet: comments are taken out of it. Nothing of it may refer to a text other than query.
func (c *cache) add(query string, doc *ast.QueryDocument) {
	bytes := heldBytes(query, doc)
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

// weight adds up the memory of a document in bytes, a little more than it is. On the way it takes out the comments, which nobody reads.
type weight int

// heldBytes is at least the memory that a kept document takes, with its text and its place in the cache.
func heldBytes(query string, doc *ast.QueryDocument) int {
	w := entryBytes + documentBytes + weight(len(query)+len(query)/8)
	w.position(doc.Position)
	doc.Comment = nil
	w += pointerBytes * weight(cap(doc.Operations)+cap(doc.Fragments))
	for _, op := range doc.Operations {
		op.Comment = nil
		w += operationBytes
		w.position(op.Position)
		w.variables(op.VariableDefinitions)
		w.directives(op.Directives)
		w.selections(op.SelectionSet)
	}
	for _, f := range doc.Fragments {
		f.Comment = nil
		w += fragmentBytes
		w.position(f.Position)
		w.variables(f.VariableDefinition)
		w.directives(f.Directives)
		w.selections(f.SelectionSet)
	}
	return int(w)
}

func (w *weight) selections(set ast.SelectionSet) {
	*w += interfaceBytes * weight(cap(set))
	for _, s := range set {
		w.position(s.GetPosition())
		switch s := s.(type) {
		case *ast.Field:
			s.Comment = nil
			*w += fieldBytes
			if s.Name == "__typename" {
				*w += typenameBytes // validation makes a definition for each
			}
			w.arguments(s.Arguments)
			w.directives(s.Directives)
			w.selections(s.SelectionSet)
		case *ast.InlineFragment:
			s.Comment = nil
			*w += inlineBytes
			w.directives(s.Directives)
			w.selections(s.SelectionSet)
		case *ast.FragmentSpread:
			s.Comment = nil
			*w += spreadBytes
			w.directives(s.Directives)
		}
	}
}

func (w *weight) variables(list ast.VariableDefinitionList) {
	*w += pointerBytes * weight(cap(list))
	for _, v := range list {
		v.Comment = nil
		*w += variableBytes
		w.position(v.Position)
		for t := v.Type; t != nil; t = t.Elem {
			*w += typeBytes
			w.position(t.Position)
		}
		w.value(v.DefaultValue)
		w.directives(v.Directives)
	}
}

func (w *weight) directives(list ast.DirectiveList) {
	*w += pointerBytes * weight(cap(list))
	for _, d := range list {
		*w += directiveBytes
		w.position(d.Position)
		w.arguments(d.Arguments)
	}
}

func (w *weight) arguments(list ast.ArgumentList) {
	*w += pointerBytes * weight(cap(list))
	for _, a := range list {
		a.Comment = nil
		*w += argumentBytes
		w.position(a.Position)
		w.value(a.Value)
	}
}

func (w *weight) value(v *ast.Value) {
	if v == nil {
		return
	}
	v.Comment = nil
	*w += valueBytes + pointerBytes*weight(cap(v.Children))
	w.position(v.Position)
	for _, child := range v.Children {
		child.Comment = nil
		*w += childBytes
		w.position(child.Position)
		w.value(child.Value)
	}
}

// position counts the token that the parser keeps alive with it.
func (w *weight) position(p *ast.Position) {
	if p != nil {
		*w += tokenBytes
	}
}

// What one of each takes on the heap.
var (
	documentBytes  = heapBytes[ast.QueryDocument]() + heapBytes[ast.Source]()
	operationBytes = heapBytes[ast.OperationDefinition]()
	fragmentBytes  = heapBytes[ast.FragmentDefinition]()
	fieldBytes     = heapBytes[ast.Field]()
	typenameBytes  = heapBytes[ast.FieldDefinition]() + heapBytes[ast.Type]()
	inlineBytes    = heapBytes[ast.InlineFragment]()
	spreadBytes    = heapBytes[ast.FragmentSpread]()
	variableBytes  = heapBytes[ast.VariableDefinition]()
	typeBytes      = heapBytes[ast.Type]()
	directiveBytes = heapBytes[ast.Directive]()
	argumentBytes  = heapBytes[ast.Argument]()
	valueBytes     = heapBytes[ast.Value]()
	childBytes     = heapBytes[ast.ChildValue]()
	tokenBytes     = heapBytes[lexer.Token]()
)

const (
	entryBytes     = 256 // of the list and the map, which are never more than half empty
	pointerBytes   = 8
	interfaceBytes = 16
)

// heapBytes is the size of a T rounded up to a multiple of 16, and so at least to what Go's allocator gives for it up to 256 bytes.
func heapBytes[T any]() weight { return weight(reflect.TypeFor[T]().Size()+15) &^ 15 }
