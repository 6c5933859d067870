package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestReserve: the reserve is whole, gives its room back step by step, is short from the first on, and is made
// whole again.
func TestReserve(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	r := newReserve(path)
	if r.short.Load() || ReserveShort(path) {
		t.Error("nobody holds a reserve, and it is short")
	}
	r.held = true
	if r.look(); !r.short.Load() {
		t.Error("a reserve that could not be made is not short")
	}
	for round := range 2 {
		if err := r.refill(); err != nil || r.short.Load() || ReserveShort(path) {
			t.Fatalf("round %d: %v", round, err)
		}
		if info, err := os.Stat(r.path); err != nil || info.Size() != reserveSize || info.Mode().Perm() != 0o600 {
			t.Errorf("round %d: %v, %v", round, info, err)
		}
		steps := 0
		for ; r.release(reserveStep); steps++ {
			if !r.short.Load() || !ReserveShort(path) {
				t.Errorf("round %d: whole after step %d", round, steps)
			}
		}
		if steps != reserveSize/reserveStep {
			t.Errorf("round %d: %d steps", round, steps)
		}
	}
}

// TestWriteUrgent: an urgent write does not fail for the room that an ordinary one in its group wanted, and all who
// were in the group know why.
func TestWriteUrgent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db := open(t, path)
	if err := db.HoldReserve(); err != nil {
		t.Fatal(err)
	}
	var pages int
	if err := db.writer.conn.sql.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if _, err := db.writer.conn.sql.ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages+10)); err != nil {
		t.Fatal(err)
	}
	begun, goOn := make(chan struct{}), make(chan struct{})
	outcomes := make(chan error, 2)
	go func() {
		outcomes <- db.Write(t.Context(), func(tx *Tx) error {
			close(begun)
			<-goOn
			_, err := tx.ExecContext(t.Context(), `INSERT INTO outbox (name, created_at, message) VALUES ('large', 1, zeroblob(1000000))`)
			return err
		})
	}()
	<-begun
	urgent := make(chan error, 1)
	go func() { urgent <- db.WriteUrgent(t.Context(), insertName("urgent")) }()
	close(goOn)
	if err := <-outcomes; !errors.Is(err, ErrFull) {
		t.Errorf("the write that was too large: %v", err)
	}
	if err := <-urgent; err != nil {
		t.Errorf("the urgent write: %v", err)
	}
	if list := names(t, db); len(list) != 1 || list[0] != "urgent" {
		t.Errorf("written: %v", list)
	}
	if err := db.Healthy(t.Context()); err != nil || ReserveShort(path) {
		t.Errorf("afterwards: %v", err)
	}
}
