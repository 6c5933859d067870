package accounts

import (
	"fmt"
	"testing"
)

// TestFlags: each flag of a user is read from its own column.
func TestFlags(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	id := h.ada(t).ID
	columns := []string{"is_active", "is_staff", "is_superuser", "verified", "archived"}
	for set := range 1 << len(columns) {
		var want [5]bool
		for i, column := range columns {
			want[i] = set&(1<<i) != 0
			h.set(t, id, column, want[i])
		}
		u := h.user(t, fmt.Sprint(id))
		if got := [5]bool{u.IsActive, u.IsStaff, u.IsSuperuser, u.Verified, u.Archived}; got != want {
			t.Errorf("columns %v: got %v, want %v", columns, got, want)
		}
	}
}
