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

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"accountd/internal/durable"
)

// tmpPrefix begins the names of temporary files beside a database. Clean deletes those of killed processes.
const tmpPrefix = ".accountd-"

// tmpName returns a new name for a temporary file in dir, which says what the file is for.
func tmpName(dir, purpose string) string {
	return filepath.Join(dir, tmpPrefix+purpose+"-"+rand.Text())
}

// restoreRemedy ends error messages about a damaged database.
const restoreRemedy = "keep it aside, and bring a backup back with accountd restore FILE"

// damaged returns an error about a damaged file.
func damaged(what string) error {
	return fmt.Errorf("it is damaged (%s): %s", what, restoreRemedy)
}

// explain adds the remedy to an error of SQLite about the whole file.
func explain(err error) error {
	if errors.Is(err, ErrInUse) {
		return err // has its remedy
	}
	switch resultCode(err) & 0xff {
	case sqlite3.SQLITE_BUSY:
		return fmt.Errorf("%w (%w)", ErrInUse, err)
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("it is damaged or no database (%w): %s", err, restoreRemedy)
	}
	return err
}

// resultCode returns SQLite's extended result code (https://www.sqlite.org/rescode.html), whose last byte is the
// primary one. It returns 0 for an error that is not SQLite's.
func resultCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

// inspect examines a file before SQLite does: SQLite takes an empty file for a new database, and recovers any WAL
// that it finds. inspect returns the header, and fails with fs.ErrNotExist if there is no file.
func inspect(path string) (header []byte, err error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, cmp.Or(Gone(path), err)
	}
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a regular file: put the file itself there, not a link")
	case info.Size() == 0:
		return nil, damaged("it is empty")
	}
	if err := lostLog(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	header = make([]byte, 100)
	if _, err := io.ReadFull(f, header); errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, damaged("it is shorter than its header")
	} else if err != nil {
		return nil, err
	}
	// https://www.sqlite.org/fileformat.html, section 1.3
	page := int64(binary.BigEndian.Uint16(header[16:]))
	if page == 1 {
		page = 1 << 16
	}
	if string(header[:16]) != "SQLite format 3\x00" || page < 512 || page&(page-1) != 0 {
		return nil, damaged("its header is not SQLite's")
	}
	if wal, err := os.Stat(path + "-wal"); err == nil && wal.Size() > 0 {
		return header, nil // the header may be older than the WAL
	}
	pages := int64(binary.BigEndian.Uint32(header[28:]))
	valid := binary.BigEndian.Uint32(header[24:]) == binary.BigEndian.Uint32(header[92:])
	if valid && info.Size() < pages*page {
		return nil, damaged(fmt.Sprintf("it has %d bytes of %d", info.Size(), pages*page))
	}
	return header, nil
}

// Gone fails if the database at path is missing although its WAL or its mark exists: a new database must not take its
// place.
func Gone(path string) error {
	for _, suffix := range []string{"-wal", markSuffix} {
		if exists(path + suffix) {
			return fmt.Errorf("it is gone, but its %s is there: put the file back, or bring a backup back with "+
				"accountd restore FILE", suffix)
		}
	}
	return nil
}

// create makes an empty database of the newest schema, which is complete or does not exist. It fails with fs.ErrExist
// if another process has made one meanwhile.
func create(ctx context.Context, path string) error {
	c, err := inMemory(ctx, len(steps()))
	if err != nil {
		return err
	}
	defer c.close()
	tmp := tmpName(filepath.Dir(path), "new")
	defer Discard(tmp)
	if err := c.copyTo(ctx, tmp); err != nil {
		return err
	}
	return publish(tmp, path)
}

// publish makes the file at tmp durable and links it to path, which must not exist. The caller removes tmp.
func publish(tmp, path string) error {
	if err := durable.SyncFile(tmp); err != nil {
		return err
	}
	return durable.Link(tmp, path)
}

// companions are the suffixes of the files that belong to a database.
var companions = []string{"-wal", "-shm", "-journal", markSuffix}

// Discard deletes a database that no process has open, such as a copy that was not given to Replace.
func Discard(path string) {
	for _, suffix := range append([]string{""}, companions...) {
		_ = os.Remove(path + suffix) // most do not exist; Clean deletes the rest
	}
}

// Clean deletes the temporary files that killed processes have left in dir. No process may be working there.
func Clean(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), tmpPrefix) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, entry.Name())))
		}
	}
	return err
}
