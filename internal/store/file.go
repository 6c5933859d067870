package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"accountd/internal/durable"
)

// Names of what is being made beside a database, and left there by a process that was killed. Clean removes it.
const (
	newPrefix    = ".accountd-new-"
	backupPrefix = ".accountd-backup-"
	copyPrefix   = ".accountd-restore-"
)

const restoreRemedy = "keep it aside, and bring a backup back with accountd restore FILE"

// damaged is an error about a file that is not what it was.
func damaged(what string) error {
	return fmt.Errorf("it is damaged (%s): %s", what, restoreRemedy)
}

// explain gives an error of SQLite about the whole file its remedy.
func explain(err error) error {
	if errors.Is(err, ErrInUse) {
		return err // explained already
	}
	var e *sqlite.Error
	if errors.As(err, &e) {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_BUSY:
			return fmt.Errorf("%w (%w)", ErrInUse, err)
		case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
			return fmt.Errorf("it is damaged or no database (%w): %s", err, restoreRemedy)
		}
	}
	return err
}

// inspect looks at a file before SQLite does, which takes an empty one for a new database and repairs what it finds beside
// it. It fails with fs.ErrNotExist when there is none.
func inspect(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return cmp.Or(Gone(path), err)
	}
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("it is not a regular file: put the file itself there, not a link")
	case info.Size() == 0:
		return damaged("it is empty")
	}
	if err := lostLog(path); err != nil {
		return err
	}
	header := make([]byte, 100)
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	_, err = io.ReadFull(f, header)
	if closeErr := f.Close(); closeErr != nil {
		return closeErr
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return damaged("it is shorter than its header")
	}
	if err != nil {
		return err
	}
	// https://www.sqlite.org/fileformat.html, section 1.3
	page := int64(binary.BigEndian.Uint16(header[16:]))
	if page == 1 {
		page = 1 << 16
	}
	if string(header[:16]) != "SQLite format 3\x00" || page < 512 || page&(page-1) != 0 {
		return damaged("its header is not SQLite's")
	}
	if wal, err := os.Stat(path + "-wal"); err == nil && wal.Size() > 0 {
		return nil // a checkpoint may have been at work on it
	}
	pages := int64(binary.BigEndian.Uint32(header[28:]))
	valid := binary.BigEndian.Uint32(header[24:]) == binary.BigEndian.Uint32(header[92:])
	if valid && info.Size() < pages*page {
		return damaged(fmt.Sprintf("it has %d bytes of %d", info.Size(), pages*page))
	}
	return nil
}

// Gone fails where the database at path is gone, and its log or its mark is there. A new one must not be made.
func Gone(path string) error {
	for _, suffix := range []string{"-wal", markSuffix} {
		if exists(path + suffix) {
			return fmt.Errorf("it is gone, but its %s is there: put the file back, or bring a backup back with accountd "+
				"restore FILE", suffix)
		}
	}
	return nil
}

// create makes an empty database of the newest schema that is either whole or not there. One that another process
// makes meanwhile is used.
func create(ctx context.Context, path string, now func() time.Time) (err error) {
	dir := filepath.Dir(path)
	tmp := filepath.Join(dir, newPrefix+rand.Text())
	defer removeAll(tmp)
	db, err := openAt(ctx, tmp, now, opening{fresh: true})
	if err != nil {
		return err
	}
	if err := db.Close(); err != nil { // into one file
		return err
	}
	return publish(tmp, path)
}

// publish makes the file at tmp durable and gives it its name, which nothing has yet. tmp stays to be removed.
func publish(tmp, path string) error {
	if err := durable.SyncFile(tmp); err != nil {
		return err
	}
	return durable.Link(tmp, path)
}

// beside are the files that belong to a database: they have its name and these endings.
var beside = []string{"-wal", "-shm", "-journal", markSuffix}

// removeAll removes a database that nobody has open.
func removeAll(path string) {
	if path == "" {
		return
	}
	for _, suffix := range append([]string{""}, beside...) {
		_ = os.Remove(path + suffix) // most are not there; what stays is removed by Clean
	}
}

// Clean removes what processes that were killed have left in dir. Call it only when none is at work there.
func Clean(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		for _, prefix := range []string{newPrefix, backupPrefix, copyPrefix} {
			if strings.HasPrefix(entry.Name(), prefix) {
				err = errors.Join(err, os.Remove(filepath.Join(dir, entry.Name())))
			}
		}
	}
	return err
}
