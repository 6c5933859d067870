package password

import (
	"strings"
	"testing"
	"time"
)

// TestEveryKindIsMeasured: each kind is measured once, and the most expensive one sets the delay.
func TestEveryKindIsMeasured(t *testing.T) {
	h := testHasher(t)
	var measured int
	at := time.Unix(1_800_000_000, 0)
	h.delay.Now = func() time.Time { // the first hash takes 1 ms, the second 2 ms, …
		measured++
		at = at.Add(time.Duration(measured/2) * time.Millisecond)
		return at
	}
	django := "pbkdf2_sha256$10$salt$" + strings.Repeat("A", 43) + "="
	kinds := map[string]string{"a": django, "b": django, "c": "damaged"}
	for i := range 2 {
		got, changed, err := h.Measure(t.Context(), kinds)
		if err != nil || got != 6*time.Millisecond || measured != 8 || changed != (i == 0) {
			t.Errorf("%v, changed %t, %v after %d readings of the clock; want 6ms after 8", got, changed, err, measured)
		}
	}
	delete(kinds, "a")
	kinds["d"] = "new"
	if _, changed, err := h.Measure(t.Context(), kinds); err != nil || !changed || measured != 10 || len(h.costs) != 4 {
		t.Errorf("changed %t, %v after %d readings of the clock, costs %v; want changed, 10 readings and 4 costs",
			changed, err, measured, h.costs)
	}
	got, changed, err := h.Measure(t.Context(), map[string]string{})
	if err != nil || got != 0 || !changed || measured != 10 {
		t.Errorf("%v, changed %t, %v, want 0s", got, changed, err)
	}
}
