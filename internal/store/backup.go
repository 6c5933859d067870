package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	sqlite3 "modernc.org/sqlite/lib"
)

// Backup writes the committed state of the database at path, which other processes may be writing, to a new file at
// dest of mode 0600, and checks the file. The backup is complete and durable, or does not exist; an existing file is
// never overwritten. It is a single file without a WAL, and holds nothing of deleted rows.
func Backup(ctx context.Context, path, dest string) (Condition, error) {
	tmp := tmpName(filepath.Dir(dest), "backup")
	defer Discard(tmp)
	found, err := snapshot(ctx, path, tmp)
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

// snapshot copies the database at path into a new file at tmp, and checks the copy.
func snapshot(ctx context.Context, path, tmp string) (found Condition, err error) {
	if err := visit(ctx, path, func(c *conn) error { return c.copyTo(ctx, tmp) }); err != nil {
		return found, err
	}
	if found, err = Check(ctx, tmp); err == nil && len(found.Problems) > 0 {
		err = errors.New(strings.Join(found.Problems, "\n"))
	}
	return found, err
}

// copyTo writes the committed state of the database to a new file at dest of mode 0600.
func (c *conn) copyTo(ctx context.Context, dest string) error {
	f, err := os.OpenFile(dest, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // VACUUM INTO accepts an empty file
	if err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(0o600), f.Close()); err != nil {
		return err
	}
	_, err = c.sql.ExecContext(ctx, "VACUUM INTO ?", dest)
	if resultCode(err)&0xff == sqlite3.SQLITE_FULL {
		err = fmt.Errorf("%w: %s needs room for as much as the database has", err, filepath.Dir(dest))
	}
	return explain(err)
}

// backupName is the format of the names of backups. Names sort by time.
const backupName = "accountd-20060102T150405.000Z.db"

// BackupName returns the name of a backup made at a time.
func BackupName(at time.Time) string { return at.UTC().Format(backupName) }

// backupBefore backs the file up before a migration, unless dir has a backup with the same content: a server that
// fails and is restarted again and again must not fill the disk.
func backupBefore(ctx context.Context, path, dir string, version int, now time.Time) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp := tmpName(dir, "backup")
	defer Discard(tmp)
	if _, err := snapshot(ctx, path, tmp); err != nil {
		return err
	}
	sum, err := digest(tmp)
	if err != nil {
		return err
	}
	prefix := fmt.Sprintf("accountd-schema-%d-", version)
	earlier, _ := fs.Glob(os.DirFS(dir), prefix+"*") // fails for another pattern only
	for _, name := range earlier {
		if other, err := digest(filepath.Join(dir, name)); err == nil && other == sum {
			return nil
		}
	}
	err = publish(tmp, filepath.Join(dir, prefix+strings.TrimPrefix(BackupName(now), "accountd-")))
	if errors.Is(err, fs.ErrExist) {
		return nil // another process has made it in the same millisecond
	}
	return err
}

// digest returns the SHA-256 of a file.
func digest(path string) (sum [sha256.Size]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close() // only read
	hash := sha256.New()
	_, err = io.Copy(hash, f)
	return [sha256.Size]byte(hash.Sum(nil)), err
}

// Prune deletes all but the newest keep backups in dir, of those named by BackupName, and returns the names of the
// deleted ones.
func Prune(dir string, keep int) (removed []string, err error) {
	entries, err := os.ReadDir(dir) // sorted by name, so by time
	if err != nil {
		return nil, err
	}
	entries = slices.DeleteFunc(entries, func(entry fs.DirEntry) bool {
		_, err := time.Parse(backupName, entry.Name())
		return err != nil || !entry.Type().IsRegular()
	})
	for _, entry := range entries[:max(0, len(entries)-keep)] {
		if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
			return removed, err
		}
		removed = append(removed, entry.Name())
	}
	return removed, nil
}
