package ratelimit

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"accountd/internal/store"
)

// TestReservation: an attempt waits while those before it may yet reach the limit, and goes on or is refused when they
// have ended.
func TestReservation(t *testing.T) {
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	limits := []Limit{{Kind: "network", Key: "key", Rate: Rate{2, time.Hour}}}
	other := []Limit{{Kind: "network", Key: "other", Rate: Rate{2, time.Hour}}}
	count := func() {
		t.Helper()
		if err := db.Write(t.Context(), func(tx *store.Tx) error { return Count(t.Context(), tx, limits...) }); err != nil {
			t.Fatal(err)
		}
	}
	var all Reservations
	first, second, third, last := all.Reserve(limits), all.Reserve(limits), all.Reserve(limits), all.Reserve(limits)
	for name, r := range map[string]*Reservation{"first": first, "second": second, "of another key": all.Reserve(other), "without limits": all.Reserve(nil)} {
		if err := r.Wait(t.Context(), db); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	waiting := func(r *Reservation) <-chan error {
		done := make(chan error, 1)
		go func() { done <- r.Wait(t.Context(), db) }()
		return done
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := third.Wait(cancelled, db); !errors.Is(err, context.Canceled) {
		t.Errorf("beside two in progress the third got %v, want to wait", err)
	}
	goesOn, refused := waiting(third), waiting(last)
	count()
	first.End()
	second.End() // did not count
	second.End()
	if err := <-goesOn; err != nil {
		t.Errorf("the third got %v, want nil", err)
	}
	count()
	third.End()
	var exceeded *ExceededError
	if err := <-refused; !errors.As(err, &exceeded) {
		t.Errorf("the last got %v, want %T", err, exceeded)
	}
	last.End()
	if n := len(all.attempts); n != 2 {
		t.Errorf("%d attempts are left, want 2", n)
	}
}
