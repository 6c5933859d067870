package store

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// TestReserve: the reserve is whole, gives its room back step by step, is short from the first on, and is made
// whole again.
func TestReserve(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	r := newReserve(path)
	if r.short.Load() || ReserveShort(path) {
		t.Error("a reserve that no process holds: got it short, want it whole")
	}
	if err := r.refill(); err != nil || exists(r.path) {
		t.Errorf("a reserve that no process holds: got %v or a file, want neither", err)
	}
	r.held.Store(true)
	for round := range 2 {
		if err := r.refill(); err != nil || r.short.Load() || ReserveShort(path) {
			t.Fatalf("round %d: got %v or a short reserve, want a whole one", round, err)
		}
		if info, err := os.Stat(r.path); err != nil || info.Size() != reserveSize || info.Mode().Perm() != 0o600 {
			t.Errorf("round %d: got %v, %v; want mode 0600 and the full size", round, info, err)
		}
		steps := 0
		for ; r.release(reserveStep); steps++ {
			if !r.short.Load() || !ReserveShort(path) {
				t.Errorf("round %d: got a whole reserve after step %d, want a short one", round, steps)
			}
		}
		if steps != reserveSize/reserveStep {
			t.Errorf("round %d: got %d steps, want %d", round, steps, reserveSize/reserveStep)
		}
	}
}

// TestWriteUrgent: an urgent write does not fail because of the space that an ordinary one of its group needs, and all
// writes of the group return the reason.
func TestWriteUrgent(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	db := open(t, path)
	if err := db.HoldReserve(); err != nil {
		t.Fatal(err)
	}
	var pages int
	if err := db.writer.conn.sql.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if _, err := db.writer.conn.sql.ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d",
		pages+10)); err != nil {
		t.Fatal(err)
	}
	begun, goOn := make(chan struct{}), make(chan struct{})
	outcomes := make(chan error, 2)
	go func() {
		outcomes <- db.Write(t.Context(), func(tx *Tx) error {
			close(begun)
			<-goOn
			_, err := tx.ExecContext(t.Context(),
				`INSERT INTO outbox (name, created_at, message) VALUES ('large', 1, zeroblob(1000000))`)
			return err
		})
	}()
	<-begun
	urgent := make(chan error, 1)
	go func() { urgent <- db.WriteUrgent(t.Context(), insertName("urgent")) }()
	close(goOn)
	if err := <-outcomes; !errors.Is(err, ErrFull) {
		t.Errorf("the write that is too large: got %v, want ErrFull", err)
	}
	if err := <-urgent; err != nil {
		t.Errorf("the urgent write: got %v, want no error", err)
	}
	if list := names(t, db); len(list) != 1 || list[0] != "urgent" {
		t.Errorf("got the rows %v, want urgent only", list)
	}
	if err := errors.Join(db.writer.reserve.refill(), db.Healthy(t.Context())); err != nil || ReserveShort(path) {
		t.Errorf("afterwards: got %v or a short reserve, want neither", err)
	}
}

// TestShortReserveMigrates: a reserve that is short though there is room keeps no file from being migrated.
func TestShortReserveMigrates(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	oldFile(t, path)
	if err := os.WriteFile(path+reserveSuffix, make([]byte, reserveStep), 0o600); err != nil {
		t.Fatal(err)
	}
	put(t, open(t, path), "first")
	if ReserveShort(path) {
		t.Error("got a short reserve, want a whole one")
	}
}

// TestReserveAsksForRoom: a disk without space for the whole reserve keeps its remaining space. A short reserve refuses
// ordinary writes, and a missing one does not.
func TestReserveAsksForRoom(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 || runtime.GOOS != "linux" {
		t.Skip("only root on Linux can mount a disk of its own")
	}
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no disk can be mounted here: %v, %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: got %v, want no error: %s", err, out)
		}
	})
	r := newReserve(filepath.Join(dir, "test.db"))
	r.held.Store(true)
	if err := r.refill(); err == nil || errors.Is(err, ErrFull) || exists(r.path) || r.short.Load() {
		t.Errorf("missing: got %v, there %t, short %t; want another error than ErrFull, false, false", err,
			exists(r.path), r.short.Load())
	}
	if err := os.WriteFile(r.path, make([]byte, reserveStep), 0o600); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(r.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.refill(); !errors.Is(err, ErrFull) || !r.short.Load() {
		t.Errorf("short: got %v, short %t; want ErrFull, true", err, r.short.Load())
	}
	if after, err := os.Stat(r.path); err != nil || after.Size() != before.Size() ||
		after.ModTime() != before.ModTime() {
		t.Errorf("got a changed reserve, want the same without enough space: %v, %v", after, err)
	}
}
