//go:build windows

package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// lock locks a byte far behind the content of a file, which others have to be able to read, until the file is closed.
// It fails with errLocked.
func lock(f *os.File, exclusive bool) error {
	how := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if exclusive {
		how |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	err := windows.LockFileEx(windows.Handle(f.Fd()), how, 0, 1, 0, &windows.Overlapped{OffsetHigh: 1})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return errLocked
	}
	return err
}

// openForLock opens the file that stands for a directory.
func openForLock(dir string) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, "accountd.db.lock"), os.O_RDWR|os.O_CREATE, 0o600)
}

// ownLike does nothing: files inherit the permissions of their directory.
func ownLike(string, fs.FileInfo) error { return nil }

// writable returns nil: the answer would need a write.
func writable(string) error { return nil }

// openToOthers returns false: permissions are inherited, and the mode does not show them.
func openToOthers(fs.FileInfo) bool { return false }

// privateFiles does nothing: files inherit the permissions of their directory.
func privateFiles() {}

// parentGone returns a function that reports whether the parent process has ended, and false if that is unknown.
func parentGone() func() bool {
	parent, err := windows.OpenProcess(windows.SYNCHRONIZE, false, uint32(os.Getppid()))
	if err != nil {
		return func() bool { return false }
	}
	return func() bool { // the handle is closed with this process
		event, err := windows.WaitForSingleObject(parent, 0)
		return err == nil && event == windows.WAIT_OBJECT_0
	}
}
