package schema

import "testing"

// FuzzUserID: an id is taken as it was given, or not at all.
func FuzzUserID(f *testing.F) {
	f.Fuzz(func(t *testing.T, id string, pk int64) {
		if got, ok := parseUserID(id); ok && userID(got) != id {
			t.Errorf("%q is %d, whose id is %q", id, got, userID(got))
		}
		if got, ok := parseUserID(userID(pk)); !ok || got != pk {
			t.Errorf("the id of %d is %d, %t", pk, got, ok)
		}
	})
}
