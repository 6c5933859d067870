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

// ErrUnsynced says that an fsync failed. The kernel then takes the pages it could not write for written: another fsync
// would succeed and lie. So nothing is written until the file has been opened again, which reads what is really there.
var ErrUnsynced = errors.New("the disk has not taken what was written (fsync failed): nothing more is written until accountd is started again; look at the disk and at the kernel's log first")

// health is whether the file takes writes.
type health struct {
	broken chan struct{} // closed: an fsync has failed

	mu       sync.Mutex
	last     error // guarded by mu; of the last write, nil: it was committed; or ErrUnsynced, whoever met it
	uncopied error // guarded by mu; of copying the log, nil: it was copied
	unmarked error // guarded by mu; of setting the mark, nil: it is there
}

// judged is err, and ErrUnsynced if it is an fsync that has failed.
func judged(err error) error {
	var e *sqlite.Error
	if errors.Is(err, ErrUnsynced) || !errors.As(err, &e) {
		return err
	}
	if code := e.Code(); code == sqlite3.SQLITE_IOERR_FSYNC || code == sqlite3.SQLITE_IOERR_DIR_FSYNC {
		return fmt.Errorf("%w (%w)", ErrUnsynced, err)
	}
	return err
}

// ofFile says whether an error is the file's, and not the statement's.
func ofFile(err error) bool {
	var e *sqlite.Error
	if errors.Is(err, ErrUnsynced) || !errors.As(err, &e) {
		return errors.Is(err, ErrUnsynced)
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL,
		sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB:
		return true
	}
	return false
}

// failed is told every error of a write, whoever's it is, and keeps those of the file.
func (h *health) failed(err error) {
	if err == nil {
		return
	}
	if err = judged(err); !ofFile(err) {
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

// copied is told how copying the log has ended: with an error, or with all of it, or because somebody was in the way. No write shows
// what is wrong there, until the log has filled the disk.
func (h *health) copied(complete bool, err error) {
	if errors.Is(err, ErrUnsynced) {
		h.failed(err)
		return
	}
	if complete || ofFile(err) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.uncopied = err
	}
}

// wrote is told each commit, and why the mark could not be set after it, nil if it is there.
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
	return cmp.Or(h.last, h.uncopied, h.unmarked)
}

// usable fails once an fsync has failed.
func (h *health) usable() error {
	if err := h.failure(); errors.Is(err, ErrUnsynced) {
		return err
	}
	return nil
}

// Broken is closed when an fsync has failed: the process should end, and Healthy says why.
func (db *DB) Broken() <-chan struct{} { return db.writer.health.broken }

// Healthy says that the log has been deleted, why the file cannot be read, why the last write failed, why the log could not be copied, or that the
// disk has no room for the reserve. After either failed it tries both, writing a page that stays as it is: nobody
// else may, where requests are no longer sent to a server that is not ready.
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
	// The write comes first: in the room that a log which is begun anew has for it, it would say nothing about the disk.
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
