package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	sqlite3 "modernc.org/sqlite/lib"
)

// ErrUnsynced means that an fsync has failed. The kernel then drops the pages that it could not write, and the next
// fsync succeeds all the same. So nothing is written until the file is opened again, which reads what the disk has.
var ErrUnsynced = errors.New("the disk has not stored the last writes (fsync failed): nothing more is written " +
	"until accountd is started again; check the disk and the kernel's log first")

// health knows whether the file can be written.
type health struct {
	broken chan struct{} // closed: an fsync has failed

	mu sync.Mutex // guards the errors below; nil: there was none
	// unsynced is the fsync that failed, and stays. The others are those of the last write, of the last checkpoint, and
	// of setting the mark.
	unsynced, write, checkpoint, mark error
}

// set replaces one of the last errors, unless err is a failed fsync.
func (h *health) set(last *error, err error) {
	err = classify(err)
	h.mu.Lock()
	defer h.mu.Unlock()
	if !errors.Is(err, ErrUnsynced) {
		*last = err
	} else if h.unsynced == nil {
		h.unsynced = err
		close(h.broken)
	}
}

// classify returns err, wrapped in ErrUnsynced if an fsync has failed.
func classify(err error) error {
	switch resultCode(err) {
	case sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC:
		if !errors.Is(err, ErrUnsynced) {
			return fmt.Errorf("%w (%w)", ErrUnsynced, err)
		}
	}
	return err
}

// isFileError reports whether an error comes from the file rather than from the statement.
func isFileError(err error) bool {
	switch resultCode(err) & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT,
		sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB:
		return true
	}
	return errors.Is(err, ErrUnsynced)
}

// copied records the result of a checkpoint. One that a reader kept from completing is no error. No write shows that
// checkpoints fail, until the WAL has filled the disk.
func (h *health) copied(complete bool, err error) {
	if complete || isFileError(err) {
		h.set(&h.checkpoint, err)
	}
}

// failure returns why the file cannot be written, nil if it can.
func (h *health) failure() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return cmp.Or(h.unsynced, h.write, h.checkpoint, h.mark)
}

// usable fails with ErrUnsynced once an fsync has failed.
func (h *health) usable() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.unsynced
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
		version, err := tx.version(ctx)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version))
		return err
	}); err != nil {
		return err
	}
	return cmp.Or(db.Checkpoint(ctx), db.writer.health.failure())
}
