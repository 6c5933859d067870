package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestCheckpoint: after a checkpoint the file itself has all committed pages, so that the next write restarts the WAL.
// Pages that a reader still needs are not copied, and neither the reader nor the writer waits.
func TestCheckpoint(t *testing.T) {
	t.Parallel()
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
		t.Errorf("the WAL has %d bytes after 50 writes with checkpoints, and %d after 50 without, want less",
			small, large)
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
		t.Errorf("got %v, want context.Canceled", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Checkpoint(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("a closed file: got %v, want %v", err, errClosed)
	}
}

// TestLogIsCopied: a log that gets long is copied into the file without anybody asking for it.
func TestLogIsCopied(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	db := open(t, path)
	fillLog(t, db, path, checkpointPages)
	await(t, path, "written-0")
}

// TestWriterCopiesRest: after a checkpoint the writer copies the pages that were written during it.
func TestWriterCopiesRest(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "test.db"))
	if err := db.Write(t.Context(), func(*Tx) error { // which is the writer's turn until it returns
		db.writer.long <- struct{}{}
		select {
		case <-db.writer.copied:
		case <-time.After(patience):
			t.Error("got no copy by the writer, want one")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// TestCopyIsSynced: after a failed fsync of a checkpoint nothing more is written.
func TestCopyIsSynced(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	db := open(t, path)
	if err := db.file.Close(); err != nil { // so that its fsync fails
		t.Fatal(err)
	}
	fillLog(t, db, path, checkpointPages)
	select {
	case <-db.Broken():
	case <-time.After(patience):
		t.Error("got no report of the failed fsync, want one")
	}
}

// TestWriterWaits: the log does not grow without end where copying is slower than writing. Here it has to wait for a
// reader.
func TestWriterWaits(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	db := open(t, path)
	release := make(chan struct{})
	var reading, read sync.WaitGroup
	for range readers {
		reading.Add(1)
		read.Go(func() {
			if err := db.Read(t.Context(), func(*Tx) error {
				reading.Done()
				<-release
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	reading.Wait()
	fillLog(t, db, path, maxWALPages)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := db.Write(ctx, insertName("too early")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a write with a WAL of %d pages: got %v, want context.DeadlineExceeded", maxWALPages, err)
	}
	close(release)
	read.Wait()
	if err := db.Write(t.Context(), insertName("in time")); err != nil {
		t.Error(err)
	}
	if !contains(t, path, "written-0") {
		t.Error("after the wait: got no checkpoint, want one")
	}
}

// TestRestIsCopied: the writer copies pages that were written during a checkpoint, so that the next write restarts the
// WAL.
func TestRestIsCopied(t *testing.T) {
	t.Parallel()
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
		t.Error("got no row in the file, want one")
	}
	if bytes.Equal(logHeader(t, path), before) {
		t.Error("got the same WAL, want it restarted")
	}
}

// TestCopiedAtTheEnd: a process that closes the file while others have it open copies its part of the WAL first.
func TestCopiedAtTheEnd(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	open(t, path)
	companions := open(t, path)
	if err := companions.Write(t.Context(), insertName("beside")); err != nil {
		t.Fatal(err)
	}
	if contains(t, path, "beside") {
		t.Fatal("before closing: got the row in the file, want it in the WAL only")
	}
	if err := companions.Close(); err != nil {
		t.Fatal(err)
	}
	if !contains(t, path, "beside") {
		t.Error("after closing: got no row in the file, want one")
	}
}

// TestNothingIsCopied: after a failed fsync no write is committed, no checkpoint runs, and the next start reads the
// WAL.
func TestNothingIsCopied(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	db := open(t, path)
	if err := db.Write(t.Context(), insertName("unsynced")); err != nil {
		t.Fatal(err)
	}
	logged, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Write(t.Context(), func(tx *Tx) error {
		db.writer.health.copied(false, ErrUnsynced) // beside the writer
		return insertName("meanwhile")(tx)
	}); !errors.Is(err, ErrUnsynced) {
		t.Errorf("a write that had begun: got %v, want ErrUnsynced", err)
	}
	<-db.Broken()
	if err := db.Checkpoint(t.Context()); !errors.Is(err, ErrUnsynced) {
		t.Errorf("a checkpoint: got %v, want ErrUnsynced", err)
	}
	db.writer.copied <- struct{}{}
	db.writer.copied <- struct{}{} // received when it is done with the first
	if err := db.Close(); !errors.Is(err, ErrUnsynced) {
		t.Errorf("closing: got %v, want ErrUnsynced", err)
	}
	if contains(t, path, "unsynced") {
		t.Error("got the row in the file, want it in the WAL only")
	}
	if after, err := os.ReadFile(path + "-wal"); err != nil || !bytes.Equal(after, logged) {
		t.Errorf("got a changed WAL, %v; want the same", err)
	}
}

// logHeaderSize and logFrameSize are in bytes: https://www.sqlite.org/fileformat2.html#walformat.
const (
	logHeaderSize = 32
	logFrameSize  = 24 + 4096
)

// fillLog writes until the log is so many pages long, for the first time.
func fillLog(t *testing.T, db *DB, path string, pages int) {
	t.Helper()
	for i := range pages { // one each, at least
		if err := db.Write(t.Context(), insertName(fmt.Sprintf("written-%d", i))); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() >= int64(logHeaderSize+pages*logFrameSize) {
			return
		}
	}
	t.Fatalf("got a shorter WAL, want %[1]d pages after %[1]d writes", pages)
}

// patience is for what comes at once, on a machine that has better things to do.
const patience = 10 * time.Second

// await waits until text is in the database file itself.
func await(t *testing.T, path, text string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !contains(t, path, text); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Errorf("got no %q in the file, want it", text)
			return
		}
	}
}

// contains says whether text is in the database file itself, which the log beside it is not.
func contains(t *testing.T, path, text string) bool {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	return bytes.Contains(raw, []byte(text))
}

// logHeader returns the header of the WAL, which SQLite changes each time it restarts the WAL.
func logHeader(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	return raw[:logHeaderSize]
}

// TestCopyIsWhole: a copy that is going to be moved is whole in one file, or closing it says that it is not.
func TestCopyIsWhole(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	open(t, path) // which keeps the log
	moved, err := OpenCopy(t.Context(), path, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := moved.Write(t.Context(), insertName("moved")); err != nil {
		t.Fatal(err)
	}
	if err := moved.Close(); err == nil || !strings.Contains(err.Error(), "still in its -wal") {
		t.Errorf("got %v, want an error about the -wal", err)
	}
}
