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

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// The reserve is a file beside the database that takes room on the disk, in bytes. An urgent write that meets a
// full disk gives its room back, one step at a time.
const (
	reserveSuffix = "-reserve"
	reserveSize   = 1 << 20
	reserveStep   = 128 << 10
	reserveBlock  = 4 << 10 // what makes it short
)

// ErrFull says that the disk is full.
var ErrFull = errors.New("the disk is full: make room; until then only what ends sessions or sets passwords is written")

// reserve is room on the disk for urgent writes. As long as its file is shorter than it should be, ordinary writes
// are refused: in the room that is left they would use up what urgent ones need. Every process that has the
// database open goes by the same file, and looks at it once a second. Without the file nothing is refused.
type reserve struct {
	path  string
	short atomic.Bool // ordinary writes are refused

	mu      sync.Mutex // one at a time changes the file
	held    bool       // guarded by mu; this process makes the file when it is missing
	lacking error      // guarded by mu; why the file is short, or missing though held; nil: it is neither
}

func newReserve(database string) *reserve {
	r := &reserve{path: database + reserveSuffix}
	r.look()
	return r
}

// look sets short, and returns the size of the file in bytes, -1 where there is none. It requires r.mu held.
func (r *reserve) look() int64 {
	size := int64(-1)
	if info, err := os.Stat(r.path); err == nil {
		size = info.Size()
	}
	r.short.Store(size >= 0 && size < reserveSize)
	return size
}

// release gives n bytes back to the disk, and reports whether there were any left.
func (r *reserve) release(n int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.look()
	info, err := os.Stat(r.path)
	return err == nil && info.Size() > 0 && os.Truncate(r.path, max(0, info.Size()-n)) == nil
}

// refill makes a short reserve whole again, and makes one that is missing though held. It fails with ErrFull when a
// short one has no room for that and some more.
func (r *reserve) refill() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lacking = nil
	if size := r.look(); r.short.Load() || size < 0 && r.held {
		r.lacking = r.fill(size)
		r.look()
	}
	return r.lacking
}

// fill makes a file of a size whole, -1 where there is none, or leaves it as it is. It asks for the room first: what
// is left of a disk is not taken for nothing. It requires r.mu held.
func (r *reserve) fill(size int64) error {
	const need = reserveSize + reserveStep
	full := fmt.Errorf("%w (%d KiB have to be free)", ErrFull, (need-size)>>10)
	if size < 0 {
		full = fmt.Errorf("%d KiB have to be free for %s: without it, sessions cannot be ended on a full disk; make room",
			need>>10, r.path)
	}
	if free, err := FreeSpace(filepath.Dir(r.path)); err == nil && free < uint64(need-max(0, size)) {
		return full
	}
	f, err := os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close() // nothing in it is ever read
	block := make([]byte, reserveBlock)
	_, _ = rand.Read(block) // never fails; zeros would take no room on a file system that compresses
	for at := max(0, size); err == nil && at < need; at += reserveBlock {
		_, err = f.WriteAt(block, at)
	}
	switch {
	case err == nil:
		return f.Truncate(reserveSize)
	case errors.Is(err, syscall.ENOSPC):
		err = full
	}
	if size < 0 {
		return errors.Join(err, f.Close(), os.Remove(r.path))
	}
	return errors.Join(err, f.Truncate(size))
}

// lacks says why the reserve is not as it should be, as refill found it last.
func (r *reserve) lacks() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lacking == nil && r.short.Load() {
		return ErrFull
	}
	return r.lacking
}

// noRoom says whether an error is that the disk is full.
func noRoom(err error) bool {
	if errors.Is(err, ErrFull) {
		return true
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code()&0xff == sqlite3.SQLITE_FULL || e.Code() == sqlite3.SQLITE_IOERR_SHMSIZE)
}

// HoldReserve sets the reserve aside, for as long as the database is there, and makes it whole again whenever there
// is room. Where there is none now it fails: with ErrFull if the reserve has been used, and ordinary writes with it.
func (db *DB) HoldReserve() error {
	r := db.writer.reserve
	r.mu.Lock()
	r.held = true
	r.mu.Unlock()
	return r.refill()
}

// ReserveShort reports whether the reserve of the database at path has been used.
func ReserveShort(path string) bool { return newReserve(path).short.Load() }

// WriteUrgent is Write for what has to succeed on a full disk as well: what ends sessions, or sets a password.
// There fn is run again: after the log has been copied, so that it begins anew in the room that it has, and then in
// the room of the reserve.
func (db *DB) WriteUrgent(ctx context.Context, fn func(*Tx) error) error {
	err := db.writer.write(ctx, fn, true)
	if !noRoom(err) {
		return err
	}
	_ = db.Checkpoint(ctx) // health hears of its failure; the reserve helps where the log cannot be copied
	for err = db.writer.write(ctx, fn, true); noRoom(err) && db.writer.reserve.release(reserveStep); {
		err = db.writer.write(ctx, fn, true)
	}
	return err
}
