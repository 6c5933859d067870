package store

import (
	"bytes"
	"context"
	"crypto/rand"
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
)

// Backup writes the committed state of the database at path, which other processes may be writing, to a new file at
// dest of mode 0600, and checks the file. The backup is complete and durable, or does not exist; an existing file is
// never overwritten. It is a single file without a WAL, and holds nothing of deleted rows.
func Backup(ctx context.Context, path, dest string) (Condition, error) {
	c, err := connectTo(ctx, path)
	if err != nil {
		return Condition{}, fmt.Errorf("write the backup: %w", err)
	}
	tmp, found, err := snapshot(ctx, c, filepath.Dir(dest))
	defer removeAll(tmp)
	if err == nil {
		err = publish(tmp, dest)
	}
	if errors.Is(err, fs.ErrExist) {
		return found, fmt.Errorf("%s is there already: name another file", dest)
	}
	if err != nil {
		return found, fmt.Errorf("write the backup: %w", err)
	}
	return found, nil
}

// snapshot copies a database into a temporary file in dir, and checks the copy. The caller removes tmp. It closes c.
func snapshot(ctx context.Context, c *fileConn, dir string) (tmp string, found Condition, err error) {
	defer c.end()
	tmp = filepath.Join(dir, backupPrefix+rand.Text())
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // VACUUM INTO accepts an empty file
	if err != nil {
		return "", found, err
	}
	if err := errors.Join(f.Chmod(0o600), f.Close()); err != nil {
		return tmp, found, err
	}
	if _, err := c.sql.ExecContext(ctx, "VACUUM INTO ?", tmp); err != nil {
		if e := new(sqlite.Error); errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_FULL {
			err = fmt.Errorf("%w: %s needs room for as much as the database has", err, dir)
		}
		return tmp, found, explain(err)
	}
	if found, err = Check(ctx, tmp); err == nil {
		err = found.err()
	}
	return tmp, found, err
}

// backupTime is the format of the time in the name of a backup. Names sort by time.
const backupTime = "20060102T150405.000Z"

// BackupName returns the name of a backup made at a time.
func BackupName(at time.Time) string { return "accountd-" + at.UTC().Format(backupTime) + ".db" }

func isBackupName(name string) bool {
	at, begins := strings.CutPrefix(name, "accountd-")
	at, ends := strings.CutSuffix(at, ".db")
	_, err := time.Parse(backupTime, at)
	return begins && ends && err == nil
}

// backupBefore backs the file up before a migration, unless dir has a backup with the same content: a server that
// fails and is restarted again and again must not fill the disk.
func backupBefore(ctx context.Context, path, dir string, version int, now time.Time) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	prefix := fmt.Sprintf("accountd-schema-%d-", version)
	c, err := connectToOpen(ctx, path)
	if err != nil {
		return err
	}
	tmp, _, err := snapshot(ctx, c, dir)
	defer removeAll(tmp)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), prefix) {
			continue
		}
		if same, err := sameContent(tmp, filepath.Join(dir, entry.Name())); err == nil && same {
			return nil
		}
	}
	err = publish(tmp, filepath.Join(dir, prefix+now.UTC().Format(backupTime)+".db"))
	if errors.Is(err, fs.ErrExist) {
		return nil // another process has made it in the same millisecond
	}
	return err
}

func sameContent(a, b string) (bool, error) {
	var files [2]*os.File
	for i, path := range []string{a, b} {
		f, err := os.Open(path)
		if err != nil {
			return false, err
		}
		defer f.Close() // only read
		files[i] = f
	}
	var chunks [2][1 << 16]byte
	for {
		n, err := io.ReadFull(files[0], chunks[0][:])
		m, otherErr := io.ReadFull(files[1], chunks[1][:])
		if !bytes.Equal(chunks[0][:n], chunks[1][:m]) {
			return false, nil
		}
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return errors.Is(otherErr, io.EOF) || errors.Is(otherErr, io.ErrUnexpectedEOF), nil
		case err != nil || otherErr != nil:
			return false, errors.Join(err, otherErr)
		}
	}
}

// Prune deletes all but the newest keep backups in dir, of those named by BackupName, and returns the names of the
// deleted ones.
func Prune(dir string, keep int) (removed []string, err error) {
	entries, err := os.ReadDir(dir) // sorted by name, so by time
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if isBackupName(entry.Name()) && entry.Type().IsRegular() {
			names = append(names, entry.Name())
		}
	}
	for _, name := range names[:max(0, len(names)-keep)] {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return removed, err
		}
		removed = append(removed, name)
	}
	return removed, nil
}
