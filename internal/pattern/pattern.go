// Package pattern is regular expressions that are compiled when they are first used: compiling all that the program
// has is a good part of what a start costs, and most runs need none of them.
package pattern

import (
	"regexp"
	"sync"
)

// Lazy is regexp.MustCompile at the first call of what it returns, which is safe for concurrent use.
func Lazy(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
