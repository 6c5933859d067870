package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

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
// database open goes by the same file, and looks at it once a second.
type reserve struct {
	path  string
	short atomic.Bool // ordinary writes are refused

	mu   sync.Mutex // one at a time changes the file
	held bool       // by this process: without the file it is short; guarded by mu
}

func newReserve(database string) *reserve {
	r := &reserve{path: database + reserveSuffix}
	r.look()
	return r
}

// look sets short. It requires r.mu held.
func (r *reserve) look() {
	info, err := os.Stat(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		r.short.Store(r.held)
	} else {
		r.short.Store(err == nil && info.Size() < reserveSize)
	}
}

// release gives n bytes back to the disk, and reports whether there were any left.
func (r *reserve) release(n int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.look()
	info, err := os.Stat(r.path)
	return err == nil && info.Size() > 0 && os.Truncate(r.path, max(0, info.Size()-n)) == nil
}

// refill makes a short reserve whole again, if there is room for that and some more. It fails with ErrFull.
func (r *reserve) refill() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.look(); !r.short.Load() {
		return nil
	}
	defer r.look()
	f, err := os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("%w (%w)", ErrFull, err)
	}
	defer f.Close() // nothing in it is ever read
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("%w (%w)", ErrFull, err)
	}
	size := info.Size()
	block := make([]byte, reserveBlock)
	_, _ = rand.Read(block) // never fails; zeros would take no room on a file system that compresses
	for ; err == nil && size < reserveSize+reserveStep; size += reserveBlock {
		_, err = f.WriteAt(block, size)
	}
	if err != nil {
		err = fmt.Errorf("%w (%w)", ErrFull, err)
		return errors.Join(err, f.Truncate(min(size-reserveBlock, reserveSize-reserveBlock)))
	}
	return f.Truncate(reserveSize)
}

// noRoom says whether an error is that the disk is full.
func noRoom(err error) bool {
	if err == nil || errors.Is(err, ErrFull) {
		return err != nil
	}
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code()&0xff == sqlite3.SQLITE_FULL || e.Code() == sqlite3.SQLITE_IOERR_SHMSIZE)
}

// HoldReserve sets the reserve aside, for as long as the database is there, and makes it whole again whenever there
// is room. It fails with ErrFull when there is none now.
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
