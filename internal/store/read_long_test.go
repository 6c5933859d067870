package store

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
)

// TestReadLong: long reads leave two connections for others. A read gives its place back after every outcome, and a
// waiting one ends when its context ends or the file is closed.
func TestReadLong(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "test.db"))
	nothing := func(*Tx) error { return nil }
	for range longReaders + 1 {
		func() {
			defer func() { _ = recover() }()
			_ = db.ReadLong(t.Context(), func(*Tx) error { panic("in a read") })
		}()
	}
	held, release, done := make(chan struct{}), make(chan struct{}), make(chan error)
	for range longReaders {
		go func() {
			done <- db.ReadLong(t.Context(), func(*Tx) error {
				held <- struct{}{}
				<-release
				return nil
			})
		}()
	}
	for range longReaders {
		<-held
	}
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error)
	go func() { waiting <- db.ReadLong(ctx, nothing) }()
	cancel()
	if err := <-waiting; !errors.Is(err, context.Canceled) {
		t.Errorf("a read that waits until its context ends: got %v, want context.Canceled", err)
	}
	if err := db.Read(t.Context(), func(*Tx) error { return db.ReadOne(t.Context(), nothing) }); err != nil {
		t.Errorf("two reads beside long ones: got %v, want no error", err)
	}
	go func() { waiting <- db.ReadLong(t.Context(), nothing) }()
	closed := make(chan error)
	go func() { closed <- db.Close() }()
	if err := <-waiting; !errors.Is(err, errClosed) {
		t.Errorf("a read that waits until the file is closed: got %v, want %v", err, errClosed)
	}
	close(release)
	for range longReaders {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}
