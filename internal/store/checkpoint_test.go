package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
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

// logHeaderSize is in bytes: https://www.sqlite.org/fileformat2.html#walformat.
const logHeaderSize = 32

// TestLogIsCopied: a log that gets long is copied into the file, without anybody asking for it and before SQLite does it in a commit, which is
// at a thousand pages.
func TestLogIsCopied(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db := open(t, path)
	const frame = 24 + 4096
	for i, size := 0, int64(0); size < logHeaderSize+copyPages*frame; i++ {
		if err := db.Write(t.Context(), insertName(fmt.Sprintf("written-%d", i))); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		size = info.Size()
	}
	for deadline := time.Now().Add(20 * time.Second); !contains(t, path, "written-0"); {
		if time.Now().After(deadline) {
			t.Fatal("it is not")
		}
	}
}

// TestRestIsCopied: what was written while the log was copied is copied by the writer, so that the next write begins the log anew.
func TestRestIsCopied(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db := open(t, path)
	if err := db.Write(t.Context(), insertName("meanwhile")); err != nil {
		t.Fatal(err)
	}
	before := logHeader(t, path)
	db.writer.copied <- struct{}{}
	if err := db.Write(t.Context(), insertName("afterwards")); err != nil {
		t.Fatal(err)
	}
	if !contains(t, path, "meanwhile") {
		t.Error("it is not in the file")
	}
	if bytes.Equal(logHeader(t, path), before) {
		t.Error("the log goes on behind it")
	}
}

// TestNothingIsCopied: once an fsync has failed, the log is what the next start has to read, and the file is left as it is.
func TestNothingIsCopied(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db := open(t, path)
	if err := db.Write(t.Context(), insertName("unsynced")); err != nil {
		t.Fatal(err)
	}
	db.writer.health.mu.Lock()
	db.writer.health.last = ErrUnsynced
	db.writer.health.mu.Unlock()
	if err := db.Checkpoint(t.Context()); !errors.Is(err, ErrUnsynced) {
		t.Errorf("a checkpoint: %v", err)
	}
	db.writer.copied <- struct{}{}
	if err := db.Write(t.Context(), insertName("later")); !errors.Is(err, ErrUnsynced) {
		t.Errorf("a write: %v", err)
	}
	if contains(t, path, "unsynced") {
		t.Error("it is in the file")
	}
	db.writer.health.mu.Lock()
	db.writer.health.last = nil // so that closing closes
	db.writer.health.mu.Unlock()
}

// contains says whether text is in the database file itself, which the log beside it is not.
func contains(t *testing.T, path, text string) bool {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(raw, []byte(text))
}

// logHeader is what SQLite writes at the beginning of a log: another one each time that it begins anew.
func logHeader(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	return raw[:logHeaderSize]
}
