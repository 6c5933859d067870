package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrUnsynced means that an fsync has failed. The kernel then drops the pages that it could not write, and the next
// fsync succeeds all the same. So nothing is written until the file is opened again, which reads what the disk has.
var ErrUnsynced = errors.New("the disk has not stored the last writes (fsync failed): nothing more is written " +
	"until accountd is started again; check the disk and the kernel's log first")

// health knows whether the file can be written.
type health struct {
	broken chan struct{} // closed: an fsync has failed

	mu              sync.Mutex
	last            error // guarded by mu; error of the last write, nil: committed; ErrUnsynced stays
	notCheckpointed error // guarded by mu; error of the last checkpoint
	unmarked        error // guarded by mu; error of setting the mark
}

// classify returns err, wrapped in ErrUnsynced if an fsync has failed.
func classify(err error) error {
	var e *sqlite.Error
	if errors.Is(err, ErrUnsynced) || !errors.As(err, &e) {
		return err
	}
	if code := e.Code(); code == sqlite3.SQLITE_IOERR_FSYNC || code == sqlite3.SQLITE_IOERR_DIR_FSYNC {
		return fmt.Errorf("%w (%w)", ErrUnsynced, err)
	}
	return err
}

// isFileError reports whether an error comes from the file rather than from the statement.
func isFileError(err error) bool {
	var e *sqlite.Error
	if errors.Is(err, ErrUnsynced) || !errors.As(err, &e) {
		return errors.Is(err, ErrUnsynced)
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT,
		sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB:
		return true
	}
	return false
}

// failed records the error of a write if it comes from the file.
func (h *health) failed(err error) {
	if err == nil {
		return
	}
	if err = classify(err); !isFileError(err) {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if errors.Is(h.last, ErrUnsynced) {
		return
	}
	h.last = err
	if errors.Is(err, ErrUnsynced) {
		close(h.broken)
	}
}

// copied records the result of a checkpoint. One that a reader kept from completing is no error. No write shows that
// checkpoints fail, until the WAL has filled the disk.
func (h *health) copied(complete bool, err error) {
	if errors.Is(err, ErrUnsynced) {
		h.failed(err)
		return
	}
	if complete || isFileError(err) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.notCheckpointed = err
	}
}

// wrote records a commit, and the error of setting the mark after it.
func (h *health) wrote(unmarked error) {
	if errors.Is(unmarked, ErrUnsynced) {
		h.failed(unmarked)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !errors.Is(h.last, ErrUnsynced) {
		h.last = nil
	}
	h.unmarked = unmarked
}

func (h *health) failure() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return cmp.Or(h.last, h.notCheckpointed, h.unmarked)
}

// usable fails with ErrUnsynced once an fsync has failed.
func (h *health) usable() error {
	if err := h.failure(); errors.Is(err, ErrUnsynced) {
		return err
	}
	return nil
}

// Broken is closed when an fsync has failed. The process should exit; Healthy returns the error.
func (db *DB) Broken() <-chan struct{} { return db.writer.health.broken }

// Healthy fails if the WAL has been deleted, the disk has no space for the reserve, the file cannot be read, or the
// last write or checkpoint failed. After such a failure it tries both, with a write that changes nothing: a server
// that is not ready gets no requests whose writes would show that the disk is well again.
func (db *DB) Healthy(ctx context.Context) error {
	if err := db.writer.reserve.lacks(); err != nil {
		return err
	}
	if lostLog(db.writer.marked) != nil {
		return errLogGone
	}
	if db.writer.health.failure() == nil {
		return db.Read(ctx, func(*Tx) error { return nil })
	}
	// The write comes first: after a checkpoint it would fit into the restarted WAL, and say nothing about the disk.
	if err := db.Write(ctx, func(tx *Tx) error {
		var version int
		if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
			return err
		}
		_, err := tx.Tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version))
		return err
	}); err != nil {
		return err
	}
	if err := db.Checkpoint(ctx); err != nil {
		return err
	}
	return db.writer.health.failure()
}
