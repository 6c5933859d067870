package schema

import "testing"

// FuzzUserID: parseUserID accepts only what userID returns.
func FuzzUserID(f *testing.F) {
	f.Fuzz(func(t *testing.T, id string, pk int64) {
		if got, ok := parseUserID(id); ok && userID(got) != id {
			t.Errorf("%q: got %d, whose id is %q, want the same id", id, got, userID(got))
		}
		if got, ok := parseUserID(userID(pk)); !ok || got != pk {
			t.Errorf("id of %d: got %d, %t, want the same number", pk, got, ok)
		}
	})
}
