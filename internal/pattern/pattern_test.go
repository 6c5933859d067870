package pattern_test

import (
	"testing"

	"accountd/internal/pattern"
)

// TestLazy: an expression is compiled once, and not before it is used, as a broken one shows.
func TestLazy(t *testing.T) {
	digits := pattern.Lazy(`^\d+$`)
	if first := digits(); first != digits() || !first.MatchString("42") || first.MatchString("x") {
		t.Errorf("%v", first)
	}
	broken := pattern.Lazy(`(`)
	defer func() {
		if recover() == nil {
			t.Error("a broken expression was taken")
		}
	}()
	broken()
}
