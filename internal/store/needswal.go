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

	"accountd/internal/durable"
)

// markSuffix is the suffix of the mark: an empty file beside a database that needs its WAL. The mark is made before
// the first write is acknowledged, and removed when the WAL has been copied completely. So a mark without a WAL means
// that the WAL was lost, after any crash. To keep it so, no connection deletes the WAL when it is closed (see
// conn.connect), except that of joinWAL, which has the file alone.
const markSuffix = "-needs-wal"

// The header of the WAL: its size in bytes, and its magic number without the lowest bit.
// https://www.sqlite.org/fileformat.html, section 4.1.
const (
	walHeader = 32
	walMagic  = 0x377f0682
)

// ErrLostLog means that a database has lost its WAL.
var ErrLostLog = errors.New("its write-ahead log (-wal) is missing or empty, and with it the last acknowledged " +
	"changes, such as accounts, new passwords and logouts: put the -wal file back, " +
	"or bring a backup back with accountd restore FILE, or continue without it with " +
	"accountd serve --accept-lost-log; nothing is lost if another program, such as sqlite3 or an older " +
	"accountd, has opened and closed the file since accountd last ran: " +
	"then delete the file accountd.db-needs-wal, and nothing else")

// errLogGone means that the WAL was deleted while the file is open.
var errLogGone = errors.New("its write-ahead log (-wal) has been deleted while accountd has it open: stop accountd " +
	"with SIGTERM, which saves what was in it, and start it again; a crash would lose it")

// ErrInUse means that another process has the file open.
var ErrInUse = errors.New("another program has it open (lsof or fuser with the name of the file shows which): " +
	"end that program and run this again")

// lostLog fails with ErrLostLog if the database at path has the mark but no WAL. It looks twice, because another
// process may be writing the first WAL.
func lostLog(path string) error {
	if hasLog(path) || !exists(path+markSuffix) || hasLog(path) || !exists(path+markSuffix) {
		return nil
	}
	return ErrLostLog
}

// hasLog reports whether there is a WAL with a header.
func hasLog(path string) bool {
	f, err := os.Open(path + "-wal")
	if err != nil {
		return false
	}
	defer f.Close() // only read
	header := make([]byte, walHeader)
	_, err = io.ReadFull(f, header)
	return err == nil && binary.BigEndian.Uint32(header)&^1 == walMagic
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// setMark makes the mark of the database at path if it is missing. It fails with ErrUnsynced if the fsync fails.
func setMark(path string) error {
	if _, err := os.Lstat(path + markSuffix); err == nil {
		return nil
	}
	if err := os.WriteFile(path+markSuffix, nil, 0o600); err != nil {
		return err
	}
	if err := durable.SyncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("%w (%w)", ErrUnsynced, err)
	}
	return nil
}

// clearMark removes the mark durably. After that the WAL may be deleted.
func clearMark(path string) error {
	if !exists(path + markSuffix) {
		return nil
	}
	return errors.Join(os.Remove(path+markSuffix), durable.SyncDir(filepath.Dir(path)))
}

// joinWAL copies the whole WAL of the file at abs into the database, removes the mark, and deletes the WAL. It fails
// with ErrInUse if another connection has the file open, in this process or another. saved says that the caller had
// the file open and has copied a WAL that is now missing. off turns WAL mode off as well.
func joinWAL(ctx context.Context, abs string, saved, off bool) (err error) {
	if err := lostLog(abs); err != nil && !saved {
		return err
	}
	c, err := dial(ctx, dsn(abs, "busy_timeout(0)", "locking_mode(EXCLUSIVE)"))
	if err != nil {
		return explain(err)
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if _, err := c.sql.ExecContext(ctx, "SELECT 1 FROM sqlite_schema"); err != nil { // takes the lock
		return explain(err)
	}
	complete, err := c.checkpoint(ctx)
	if err != nil {
		return err
	}
	if !complete {
		return ErrInUse
	}
	if err := clearMark(abs); err != nil {
		return err
	}
	_ = os.Remove(abs + "-shm") // no process has it open, and SQLite makes it again
	if _, err := c.driver.FileControlPersistWAL("main", 0); err != nil || !off {
		return err
	}
	var mode string
	err = c.sql.QueryRowContext(ctx, "PRAGMA journal_mode = DELETE").Scan(&mode)
	if err == nil && mode != "delete" {
		err = fmt.Errorf("its journal mode stays %s", mode)
	}
	return err
}

// leaveAsOneFile is joinWAL for a file that other connections may have open: the last one does it. If the WAL cannot
// be copied, the WAL and its mark stay for the next start.
func leaveAsOneFile(ctx context.Context, abs string, saved bool) error {
	err := joinWAL(ctx, abs, saved, false)
	if errors.Is(err, ErrInUse) {
		return nil
	}
	return err
}

// Settle copies the WAL of a sound database into the file and turns WAL mode off, so that the database is a single
// file. It fails with ErrInUse if a process has it open.
func Settle(ctx context.Context, path string) error {
	abs, err := filepath.Abs(path)
	if err == nil {
		err = joinWAL(ctx, abs, false, true)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, explain(err))
	}
	return nil
}

// NeedsLog reports whether the database at path has the mark.
func NeedsLog(path string) bool { return exists(path + markSuffix) }

// Leave removes the mark of the database at path if only a program other than accountd has the file open. It copies
// the WAL first, because that program may delete it. No other process of accountd may have the file open. If it
// fails, on a full disk for example, the WAL and its mark stay, and nothing is lost.
func Leave(ctx context.Context, path string) {
	complete := false
	err := visit(ctx, path, func(c *conn) (err error) {
		complete, err = c.checkpoint(ctx)
		return err
	})
	if err == nil && complete && durable.SyncFile(path) == nil { // closing a file drops its locks: not in visit
		_ = clearMark(path)
	}
}
