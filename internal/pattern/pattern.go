// Package pattern has regular expressions that are compiled when they are first used.
//
// Compiling all of them would take a large part of the start of the program, and most runs use none.
package pattern

import (
	"regexp"
	"sync"
)

// Lazy returns a function that returns the compiled expression. It panics at the first call if expr is invalid. The
// function is safe for concurrent use.
func Lazy(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
