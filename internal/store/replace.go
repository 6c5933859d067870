package store

import (
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
	header, err := inspect(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if header[18] != 1 { // write version of https://www.sqlite.org/fileformat.html, section 1.3: 2 is WAL
		return "", fmt.Errorf("%s is no backup but the file of a server, or a copy of one: "+
			"it may lack what that had in its -wal; make a backup of the directory that it belongs to "+
			"with accountd backup --data-dir DIR, and restore that", path)
	}
	return CopyWithoutLog(path, dir)
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
	copied = tmpName(dir, "restore")
	if err := durable.Write(copied, in); err != nil {
		return "", fmt.Errorf("copy %s: %w", in.Name(), err)
	}
	return copied, nil
}

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
	raw, _ := json.Marshal(replacement{filepath.Base(copied), aside}) // never fails
	err := errors.Join(durable.SyncFile(copied), durable.SyncDir(dir))
	if err == nil {
		err = durable.Create(replacementFile(path), tmpName(dir, "restore"), raw)
	}
	if err == nil {
		err = FinishReplace(path)
	}
	switch {
	case err == nil:
		return nil
	case Replacing(path):
		return fmt.Errorf("%w: it is finished by the next command, or the next start of the server", err)
	}
	Discard(copied)
	return err
}

// Replacing reports whether a Replace was interrupted.
func Replacing(path string) bool { return exists(replacementFile(path)) }

// FinishReplace completes a Replace that was interrupted, if one was. No process may have the database open.
func FinishReplace(path string) error {
	dir := filepath.Dir(path)
	raw, err := os.ReadFile(replacementFile(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var r replacement
	if err == nil {
		err = json.Unmarshal(raw, &r)
	}
	if err == nil && (r.New != filepath.Base(r.New) || r.Aside != filepath.Base(r.Aside)) {
		err = errors.New("it names files of other directories")
	}
	if err != nil {
		return fmt.Errorf("an interrupted restore cannot be finished: %s: %w", replacementFile(path), err)
	}
	copied, aside := filepath.Join(dir, r.New), filepath.Join(dir, r.Aside)
	if _, err := os.Lstat(copied); err == nil { // the database at path is still the old one
		for _, suffix := range append([]string{""}, companions...) {
			if err := os.Rename(path+suffix, aside+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if err := os.Rename(copied, path); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := durable.SyncDir(dir); err != nil {
		return err
	}
	return errors.Join(os.Remove(replacementFile(path)), durable.SyncDir(dir))
}
