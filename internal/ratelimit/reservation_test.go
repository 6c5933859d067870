package ratelimit

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"accountd/internal/store"
)

// TestReserve: an attempt waits while earlier ones may still reach the limit. When they have ended, it continues or is
// refused.
func TestReserve(t *testing.T) {
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	limits := func(key string) []Limit {
		return []Limit{{Counter: Counter{"network", key}, Rate: Rate{2, time.Hour}}}
	}
	count := func() {
		t.Helper()
		err := db.Write(t.Context(), func(tx *store.Tx) error { return Count(t.Context(), tx, limits("key")...) })
		if err != nil {
			t.Fatal(err)
		}
	}
	var rs Reservations
	reserve := func(limits []Limit) (end func()) {
		t.Helper()
		end, err := rs.Reserve(t.Context(), db, limits)
		if err != nil {
			t.Fatal(err)
		}
		return end
	}
	first, second, other := reserve(limits("key")), reserve(limits("key")), reserve(limits("other"))
	reserve(nil)()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := rs.Reserve(cancelled, db, limits("key")); !errors.Is(err, context.Canceled) {
		t.Errorf("a third beside two in progress got %v, want %v", err, context.Canceled)
	}
	type result struct {
		end func()
		err error
	}
	waiting := func(n int) <-chan result {
		done := make(chan result, 1)
		go func() {
			end, err := rs.Reserve(t.Context(), db, limits("key"))
			done <- result{end, err}
		}()
		for running := 0; running < n; runtime.Gosched() { // it has its place in the order
			rs.mu.Lock()
			running = len(rs.attempts)
			rs.mu.Unlock()
		}
		return done
	}
	goesOn, refused := waiting(4), waiting(5)
	count()
	first()
	second() // has not counted
	second()
	third := <-goesOn
	if third.err != nil {
		t.Fatalf("after one of two has counted the third got %v, want nil", third.err)
	}
	count()
	third.end()
	var exceeded *ExceededError
	if last := <-refused; !errors.As(last.err, &exceeded) {
		t.Errorf("after two have counted the last got %v, want %T", last.err, exceeded)
	}
	other()
	if n := len(rs.attempts); n != 0 {
		t.Errorf("%d attempts are left, want none", n)
	}
}
