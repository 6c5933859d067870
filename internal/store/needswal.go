package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"accountd/internal/durable"
)

// markSuffix names the mark of a database that needs its write-ahead log: an empty file beside it. It is made
// before the first write is acknowledged, and removed when everything has been copied out of the log. So a mark
// without a log says that the log was lost, after whatever crash. To keep it so, no connection deletes the log (see
// conn.connect) but the one of endUse, which has the file alone.
const markSuffix = "-needs-wal"

// The header of the log: its size in bytes, and the number that it begins with, but for the lowest bit.
// https://www.sqlite.org/fileformat.html, section 4.1.
const (
	walHeader = 32
	walMagic  = 0x377f0682
)

// ErrLostLog says that a database has lost its write-ahead log.
var ErrLostLog = errors.New("its write-ahead log (-wal) is gone or empty, and with it what was acknowledged last, " +
	"such as accounts, new passwords and logouts: put the -wal file back, or bring a backup back with accountd restore FILE, " +
	"or go on without it with accountd serve --accept-lost-log; nothing is lost if another program, such as sqlite3 or " +
	"an older accountd, has opened and closed the file since accountd last ran: then delete the file " +
	"accountd.db-needs-wal, and nothing else")

// errLogGone says that a file which is open has lost its log.
var errLogGone = errors.New("its write-ahead log (-wal) has been deleted while accountd has it open: stop accountd " +
	"with SIGTERM, which saves what was in it, and start it again; a crash would lose it")

// ErrInUse says that another process has the file open.
var ErrInUse = errors.New("another program has it open (lsof or fuser with its name tells which): " +
	"end that program and run this again")

// lostLog fails with ErrLostLog where the database at path has the mark and no log. The log is looked for again,
// because another process may write the first one meanwhile.
func lostLog(path string) error {
	if hasLog(path) || !exists(path+markSuffix) || hasLog(path) || !exists(path+markSuffix) {
		return nil
	}
	return ErrLostLog
}

// hasLog reports whether there is a log that has a header.
func hasLog(path string) bool {
	f, err := os.Open(path + "-wal")
	if err != nil {
		return false
	}
	defer f.Close() // it is only read
	header := make([]byte, walHeader)
	_, err = io.ReadFull(f, header)
	return err == nil && binary.BigEndian.Uint32(header)&^1 == walMagic
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// setMark makes sure that the database at path has the mark. It fails with ErrUnsynced when an fsync does.
func setMark(path string) error {
	if _, err := os.Lstat(path + markSuffix); err == nil {
		return nil
	}
	f, err := os.OpenFile(path+markSuffix, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := durable.SyncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("%w (%w)", ErrUnsynced, err)
	}
	return nil
}

// clearMark removes the mark durably: afterwards the log may go.
func clearMark(path string) error {
	if !exists(path + markSuffix) {
		return nil
	}
	return errors.Join(os.Remove(path+markSuffix), durable.SyncDir(filepath.Dir(path)))
}

// openAlone connects to the file at abs, and keeps everybody else out until it is closed. It fails with ErrInUse
// when any other connection has it open, of this process or another.
func openAlone(ctx context.Context, abs string) (*conn, error) {
	c, err := newConn(dsn(abs, "busy_timeout(0)", "locking_mode(EXCLUSIVE)"))
	if err != nil {
		return nil, err
	}
	err = c.connect(ctx)
	if err == nil {
		_, err = c.sql.ExecContext(ctx, "SELECT 1 FROM sqlite_schema") // takes the lock
	}
	if err != nil {
		return nil, errors.Join(explain(err), c.close())
	}
	return c, nil
}

// copyOut copies all that is in the log into the file, clears the mark, and lets c delete the log. The connection
// is one of openAlone: no other process can write in between.
func (c *conn) copyOut(ctx context.Context, abs string) error {
	complete, err := c.checkpoint(ctx)
	if err != nil {
		return judged(err)
	}
	if !complete {
		return ErrInUse
	}
	if err := clearMark(abs); err != nil {
		return err
	}
	_ = os.Remove(abs + "-shm") // the index of the log: nobody has it open, and it is made anew
	return c.keepLog(false)
}

// endUse leaves the file at abs as one file, unless another connection has it open: then the last of them does.
// Where the log cannot be copied, the log and its mark stay for the next start. A log that is gone is lost unless
// its content has been saved: by who had it open, and copied all of it.
func endUse(ctx context.Context, abs string, saved bool) error {
	if err := lostLog(abs); err != nil && !saved {
		return err
	}
	c, err := openAlone(ctx, abs)
	if errors.Is(err, ErrInUse) {
		return nil
	}
	if err != nil {
		return err
	}
	err = c.copyOut(ctx, abs)
	return errors.Join(err, c.close())
}

// NeedsLog reports whether the database at path has the mark.
func NeedsLog(path string) bool { return exists(path + markSuffix) }

// Leave removes the mark of the database at path where another program alone keeps it from being left as one file.
// All that is in the log is copied first: that program may delete it. No other process of accountd may have the
// file open. Where that fails, on a full disk for one, nothing is lost: the log and its mark stay.
func Leave(ctx context.Context, path string) {
	c, err := look(ctx, path)
	if err != nil {
		return
	}
	complete, err := c.checkpoint(ctx)
	if err := errors.Join(err, c.close()); err == nil && complete && durable.SyncFile(path) == nil {
		_ = clearMark(path)
	}
}

// keepLog says whether SQLite leaves the log where it is when the connection is the last to be closed. A database
// in memory has none.
func (c *conn) keepLog(keep bool) error {
	mode := 0
	if keep {
		mode = 1
	}
	return c.sql.Raw(func(dc any) error {
		_, err := dc.(sqlite.FileControl).FileControlPersistWAL("main", mode)
		if e := new(sqlite.Error); errors.As(err, &e) && e.Code() == sqlite3.SQLITE_NOTFOUND {
			return nil
		}
		return err
	})
}
