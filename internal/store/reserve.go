package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	sqlite3 "modernc.org/sqlite/lib"
)

// The reserve is a file beside the database. An urgent write that meets a full disk frees its space, one step at a
// time. Sizes are in bytes.
const (
	reserveSuffix = "-reserve"
	reserveSize   = 1 << 20
	reserveStep   = 128 << 10
	reserveBlock  = 4 << 10 // freed to mark the reserve as short
)

// ErrFull means that the disk is full.
var ErrFull = errors.New("the disk is full: make room; until then only writes that end sessions or set passwords " +
	"are accepted")

// reserve is disk space for urgent writes, held by a file. While the file is shorter than it should be, ordinary
// writes are refused, because they would use up the space that urgent writes need. All processes that have the
// database open share the file, and check it once a second. Without the file no write is refused.
type reserve struct {
	path  string
	short atomic.Bool // ordinary writes are refused
	held  atomic.Bool // this process creates a missing file
	mu    sync.Mutex  // held while the file is changed

	lacking atomic.Pointer[error] // of the last refill; nil before the first
}

func newReserve(database string) *reserve {
	r := &reserve{path: database + reserveSuffix}
	r.measure()
	return r
}

// measure sets short, and returns the size of the file in bytes, -1 if there is none.
func (r *reserve) measure() int64 {
	size := int64(-1)
	if info, err := os.Stat(r.path); err == nil {
		size = info.Size()
	}
	r.short.Store(size >= 0 && size < reserveSize)
	return size
}

// release gives n bytes back to the disk, and reports whether any were left.
func (r *reserve) release(n int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.measure()
	info, err := os.Stat(r.path)
	return err == nil && info.Size() > 0 && os.Truncate(r.path, max(0, info.Size()-n)) == nil
}

// refill restores a short reserve, and creates a missing one if it is held. It fails with ErrFull if the disk has no
// space for it and some more.
func (r *reserve) refill() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.measure()
	var err error
	if size := r.measure(); r.short.Load() || size < 0 && r.held.Load() {
		err = r.fill(size)
	}
	r.lacking.Store(&err)
	return err
}

// lacks returns the error of the last refill, which is repeated once a second.
func (r *reserve) lacks() error {
	if err := r.lacking.Load(); err != nil && *err != nil {
		return *err
	}
	if r.short.Load() {
		return ErrFull
	}
	return nil
}

// fill extends a file of the given size (-1: no file) to the full size, or leaves it as it is. It checks the free
// space first, so that it does not use up the last of the disk for nothing. Requires r.mu held.
func (r *reserve) fill(size int64) error {
	const need = reserveSize + reserveStep
	full := fmt.Errorf("%w (%d KiB have to be free)", ErrFull, (need-size)>>10)
	if size < 0 {
		full = fmt.Errorf("%d KiB have to be free for %s: without it, sessions cannot be ended on a full disk; "+
			"make room", need>>10, r.path)
	}
	if free, err := FreeSpace(filepath.Dir(r.path)); err == nil && free < uint64(need-max(0, size)) {
		return full
	}
	f, err := os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close() // the content does not matter
	content := make([]byte, need-max(0, size))
	_, _ = rand.Read(content) // never fails; a file system that compresses would store zeros in no space
	if _, err = f.WriteAt(content, max(0, size)); err == nil {
		return f.Truncate(reserveSize)
	}
	if errors.Is(err, syscall.ENOSPC) {
		err = full
	}
	if size < 0 {
		return errors.Join(err, f.Close(), os.Remove(r.path))
	}
	return errors.Join(err, f.Truncate(size))
}

// noRoom reports whether an error means that the disk is full.
func noRoom(err error) bool {
	code := resultCode(err)
	return code&0xff == sqlite3.SQLITE_FULL || code == sqlite3.SQLITE_IOERR_SHMSIZE || errors.Is(err, ErrFull)
}

// HoldReserve creates the reserve, and from then on restores it whenever there is space. It fails if there is no
// space now: with ErrFull if the reserve has been used, so that ordinary writes are refused.
func (db *DB) HoldReserve() error {
	db.writer.reserve.held.Store(true)
	return db.writer.reserve.refill()
}

// ReserveShort reports whether the reserve of the database at path has been used.
func ReserveShort(path string) bool { return newReserve(path).short.Load() }

// WriteUrgent is Write for what must succeed on a full disk as well: ending sessions, and setting passwords. There it
// runs fn again: after a checkpoint, so that the commit restarts the WAL, and then with space of the reserve.
func (db *DB) WriteUrgent(ctx context.Context, fn func(*Tx) error) error {
	err := db.writer.write(ctx, fn, true)
	if !noRoom(err) {
		return err
	}
	_ = db.Checkpoint(ctx) // health has its error; the reserve helps if the WAL cannot be copied
	for err = db.writer.write(ctx, fn, true); noRoom(err) && db.writer.reserve.release(reserveStep); {
		err = db.writer.write(ctx, fn, true)
	}
	return err
}
