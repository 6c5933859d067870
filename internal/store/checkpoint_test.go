package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestCheckpoint: what was committed is in the file itself after a checkpoint, so that the next write begins the log anew; a
// reader keeps back what it does not see yet, and neither it nor the writer waits.
func TestCheckpoint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db := open(t, path)
	write := func(name string) {
		t.Helper()
		if err := db.Write(t.Context(), func(tx *Tx) error {
			_, err := tx.ExecContext(t.Context(), insert, name)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	logged := func() int64 {
		t.Helper()
		info, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	checkpoint := func() {
		t.Helper()
		if err := db.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 50 {
		checkpoint()
		write(string(rune('a' + i)))
	}
	small := logged()
	for i := range 50 {
		write(string(rune('A'+i)) + "x")
	}
	if large := logged(); large < 4*small {
		t.Errorf("the log has %d bytes after 50 writes with checkpoints, and %d after 50 without: it is not begun anew", small, large)
	}
	if err := db.Read(t.Context(), func(tx *Tx) error {
		var n int
		if err := tx.QueryRowContext(t.Context(), countRows).Scan(&n); err != nil {
			return err
		}
		write("later")
		checkpoint()
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Checkpoint(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, when nobody wants it any more", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Checkpoint(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("%v, of a file that is closed", err)
	}
}
