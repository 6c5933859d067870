// Package durable writes files that survive a crash of the process and a power cut.
//
// Every file takes the same steps, in this order:
//
//  1. It is created under a temporary name, so that no reader finds half a file under its own name.
//  2. It is written and fsynced. A file system may otherwise keep a name and lose the bytes behind it.
//  3. It is linked or renamed to its own name. Both are atomic. A link refuses an existing name, a rename replaces it.
//  4. Its directory is fsynced, because a name is stored in the directory and not in the file.
//
// Nothing may depend on the file before step 4 has succeeded. A failed fsync is not repeated: the kernel drops the
// pages that it could not write, and the next fsync reports success. The caller starts again at step 1.
//
// Files have mode 0600. A temporary file that a killed process left behind is removed by its owner: the store at its
// next start, the spool likewise, Replace when it is called again.
package durable

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Write creates the file at path and fsyncs what it copies from content (steps 1 and 2). It fails with fs.ErrExist
// where path exists, and leaves no file when it fails otherwise. The name is not durable yet.
func Write(path string, content io.Reader) error { return write(path, content, nil) }

// write is Write. The file gets the owner of old before any content, unless old is nil.
func write(path string, content io.Reader, old fs.FileInfo) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if old != nil {
		err = keepOwner(f, old)
	}
	if err == nil {
		_, err = io.Copy(f, content)
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// Link gives the fsynced file at tmp the name path as well (steps 3 and 4). It fails with fs.ErrExist where path
// exists; the existing file's name is then durable too, even if another process has linked it only just now. The
// caller removes tmp. On a file system without hard links tmp is renamed, and a file that appears meanwhile is
// replaced.
func Link(tmp, path string) error {
	err := os.Link(tmp, path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		if _, statErr := os.Lstat(path); !errors.Is(statErr, fs.ErrNotExist) {
			return err
		}
		err = os.Rename(tmp, path)
	}
	if err := SyncDir(filepath.Dir(path)); err != nil {
		return err // even where path exists: its name may not be durable
	}
	return err
}

// Create writes a new file through tmp, a name in the same directory that nothing has. It fails as Link does, and
// leaves no tmp.
func Create(path, tmp string, content []byte) error {
	if err := Write(tmp, bytes.NewReader(content)); err != nil {
		return err
	}
	defer os.Remove(tmp) // fails where Link has renamed it
	return Link(tmp, path)
}

// Replace puts content in the place of the file at path, through a file with the suffix .new. Readers find the old
// content or the new. The owner stays, so that a command run by root does not take the file from the server's
// user. Callers take turns: two at a time would share the temporary file.
func Replace(path string, content []byte) error {
	old, err := os.Lstat(path)
	if err != nil {
		return err
	}
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) { // left by a killed process
		return err
	}
	if err := write(tmp, bytes.NewReader(content), old); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return SyncDir(filepath.Dir(path))
}

// SyncFile fsyncs a file that somebody else has written, such as SQLite.
func SyncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0) // Windows refuses to sync what was opened for reading
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
