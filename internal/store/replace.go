package store

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"accountd/internal/durable"
)

// Copy copies the database file at path into the directory dir, durably and with mode 0600, for OpenCopy and Replace.
// It refuses a file in WAL mode: the copy would lack what is in the WAL.
func Copy(path, dir string) (copied string, err error) {
	if err := inspect(path); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	in, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer in.Close() // only read
	// Write version of https://www.sqlite.org/fileformat.html, section 1.3: 2 is WAL.
	version := make([]byte, 1)
	if _, err := in.ReadAt(version, 18); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if version[0] != 1 {
		return "", fmt.Errorf("%s is no backup but the file of a server, or a copy of one: "+
			"it may lack what that had in its -wal; make a backup of the directory that it belongs to "+
			"with accountd backup --data-dir DIR, and restore that", path)
	}
	return copyFile(in, dir)
}

// LostLog reports whether the database at path exists and has lost its WAL. Everything except CopyWithoutLog fails
// with ErrLostLog then.
func LostLog(path string) bool { return exists(path) && lostLog(path) != nil }

// CopyWithoutLog is Copy for a database that has lost its WAL. Check reports whether the copy is sound.
func CopyWithoutLog(path, dir string) (copied string, err error) {
	in, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer in.Close() // only read
	return copyFile(in, dir)
}

func copyFile(in *os.File, dir string) (copied string, err error) {
	copied = filepath.Join(dir, copyPrefix+rand.Text())
	if err := durable.Write(copied, in); err != nil {
		return "", fmt.Errorf("copy %s: %w", in.Name(), err)
	}
	return copied, nil
}

// Discard deletes a copy that was not given to Replace.
func Discard(copied string) { removeAll(copied) }

// replacement is the content of the file that records a Replace in progress. Both names are of the same directory.
type replacement struct {
	New   string `json:"new"`
	Aside string `json:"aside"`
}

func replacementFile(path string) string { return path + ".replace" }

// Replace puts a copy made by Copy in the place of the database at path, which is renamed to aside in the same
// directory, along with its WAL. No process may have either open. The plan is written to a file first: FinishReplace
// completes an interrupted Replace, and before the plan is written nothing has happened. The copy is used up in
// either case.
func Replace(path, copied, aside string) error {
	dir := filepath.Dir(path)
	raw, err := json.Marshal(replacement{filepath.Base(copied), aside})
	if err != nil {
		return err
	}
	err = errors.Join(durable.SyncFile(copied), durable.SyncDir(dir))
	if err == nil {
		err = durable.Create(replacementFile(path), filepath.Join(dir, copyPrefix+rand.Text()), raw)
	}
	if err == nil {
		_, err = FinishReplace(path)
	}
	switch {
	case err == nil:
		return nil
	case Replacing(path):
		return fmt.Errorf("%w: it is finished by the next command, or the next start of the server", err)
	}
	removeAll(copied)
	return err
}

// Replacing reports whether a Replace was interrupted.
func Replacing(path string) bool {
	_, err := os.Lstat(replacementFile(path))
	return err == nil
}

// FinishReplace completes an interrupted Replace, and reports whether there was one. No process may have the database
// open.
func FinishReplace(path string) (bool, error) {
	dir := filepath.Dir(path)
	raw, err := os.ReadFile(replacementFile(path))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	var r replacement
	if err == nil {
		err = json.Unmarshal(raw, &r)
	}
	if err == nil && (r.New != filepath.Base(r.New) || r.Aside != filepath.Base(r.Aside)) {
		err = errors.New("it names files of other directories")
	}
	if err != nil {
		return false, fmt.Errorf("an interrupted restore cannot be finished: %s: %w", replacementFile(path), err)
	}
	copied, aside := filepath.Join(dir, r.New), filepath.Join(dir, r.Aside)
	if _, err := os.Lstat(copied); err == nil { // the database at path is still the old one
		for _, suffix := range append([]string{""}, companions...) {
			if err := os.Rename(path+suffix, aside+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return false, err
			}
		}
		if err := os.Rename(copied, path); err != nil {
			return false, err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err := durable.SyncDir(dir); err != nil {
		return false, err
	}
	if err := os.Remove(replacementFile(path)); err != nil {
		return false, err
	}
	return true, durable.SyncDir(dir)
}

// Settle copies the WAL of a sound database into the file and turns WAL mode off, so that the database is a single
// file. It fails with ErrInUse if a process has it open.
func Settle(ctx context.Context, path string) error {
	fail := func(err error) error { return fmt.Errorf("%s: %w", path, explain(err)) }
	abs, err := filepath.Abs(path)
	if err != nil {
		return fail(err)
	}
	if err := lostLog(abs); err != nil {
		return fail(err)
	}
	c, err := openAlone(ctx, abs)
	if err != nil {
		return fail(err)
	}
	defer c.close() // the WAL is empty
	if err := c.checkpointAll(ctx, abs); err != nil {
		return fail(err)
	}
	var mode string
	if err := c.sql.QueryRowContext(ctx, "PRAGMA journal_mode = DELETE").Scan(&mode); err != nil {
		return fail(err)
	}
	if mode != "delete" {
		return fail(fmt.Errorf("its journal mode stays %s", mode))
	}
	return nil
}
