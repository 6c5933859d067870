package store

import (
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

	mu   sync.Mutex
	last error // guarded by mu; of the last write, nil: it was committed
}

// failed is told every error of a write, whoever's it is, and keeps those of the file.
func (h *health) failed(err error) {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL,
		sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB:
	default:
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if errors.Is(h.last, ErrUnsynced) {
		return
	}
	h.last = err
	if code := e.Code(); code == sqlite3.SQLITE_IOERR_FSYNC || code == sqlite3.SQLITE_IOERR_DIR_FSYNC {
		h.last = fmt.Errorf("%w (%w)", ErrUnsynced, err)
		close(h.broken)
	}
}

// wrote is told each commit.
func (h *health) wrote() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !errors.Is(h.last, ErrUnsynced) {
		h.last = nil
	}
}

func (h *health) failure() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
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

// Healthy says why the file cannot be read, or why the last write failed. After one that failed it writes, a page that stays as
// it is: nobody else may, where requests are no longer sent to a server that is not ready.
func (db *DB) Healthy(ctx context.Context) error {
	if db.writer.health.failure() == nil {
		return db.Read(ctx, func(*Tx) error { return nil })
	}
	return db.Write(ctx, func(tx *Tx) error {
		var version int
		if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
			return err
		}
		_, err := tx.Tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version))
		return err
	})
}
