package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// markSuffix names the mark of a database that needs its write-ahead log: an empty file beside it. It is made
// before the first write is acknowledged, and removed when everything has been copied out of the log. So a mark
// without a log says that the log was lost, after whatever crash. To keep it so, no connection deletes the log (see
// conn.connect) but the one of endUse, which has the file alone.
const markSuffix = "-needs-wal"

// walHeader is the size of the log's header: https://www.sqlite.org/fileformat.html, section 4.1.
const walHeader = 32

// ErrLostLog says that a database has lost its write-ahead log.
var ErrLostLog = errors.New("its write-ahead log (-wal) is gone or empty, and with it what was acknowledged last, " +
	"such as accounts, new passwords and logouts: put the -wal file back, or bring a backup back with accountd restore FILE, " +
	"or go on without it with accountd serve --accept-lost-log")

// ErrInUse says that another process has the file open.
var ErrInUse = errors.New("another program has it open (lsof or fuser with its name tells which): " +
	"end that program and run this again")

// lostLog fails with ErrLostLog where the database at path has the mark and no log. The log is looked for again,
// because another process may write the first one meanwhile.
func lostLog(path string) error {
	if hasLog(path) || !exists(path+markSuffix) || hasLog(path) {
		return nil
	}
	return ErrLostLog
}

func hasLog(path string) bool {
	info, err := os.Stat(path + "-wal")
	return err == nil && info.Size() >= walHeader
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
	if err := syncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("%w (%w)", ErrUnsynced, err)
	}
	return nil
}

// clearMark removes the mark durably: afterwards the log may go.
func clearMark(path string) error {
	if !exists(path + markSuffix) {
		return nil
	}
	return errors.Join(os.Remove(path+markSuffix), syncDir(filepath.Dir(path)))
}

// openAlone connects to the file at abs, and keeps everybody else out until it is closed. It fails with ErrInUse
// when any other connection has it open, of this process or another, and with ErrLostLog.
func openAlone(ctx context.Context, abs string) (*conn, error) {
	if err := lostLog(abs); err != nil {
		return nil, err
	}
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
// Where the log cannot be copied, the log and its mark stay for the next start.
func endUse(ctx context.Context, abs string) error {
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
