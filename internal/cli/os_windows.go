//go:build windows

package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// lockFile locks a byte far behind the process id, which stays readable for others.
func lockFile(f *os.File) error {
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY,
		0, 1, 0, &windows.Overlapped{OffsetHigh: 1})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return errLocked
	}
	return err
}

// lockDir locks a file in a directory until the returned file is closed: for this process alone, or shared with others that
// share it.
func lockDir(dir string, alone bool) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "accountd.db.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	how := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if alone {
		how |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	err = windows.LockFileEx(windows.Handle(f.Fd()), how, 0, 1, 0, &windows.Overlapped{})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		err = errLocked
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// ownLike has nothing to do: files inherit the rights of their directory.
func ownLike(string, fs.FileInfo) error { return nil }

// writable cannot be told without writing.
func writable(string) error { return nil }

// openToOthers cannot be told from the mode: who may look is inherited.
func openToOthers(fs.FileInfo) bool { return false }

// privateFiles has nothing to do: files inherit the rights of their directory.
func privateFiles() {}

// parentGone returns a function that says whether the process that started this one has ended. Where it cannot be looked
// at, it is taken to live.
func parentGone() func() bool {
	parent, err := windows.OpenProcess(windows.SYNCHRONIZE, false, uint32(os.Getppid()))
	if err != nil {
		return func() bool { return false }
	}
	return func() bool { // the handle is the process's, and ends with it
		event, err := windows.WaitForSingleObject(parent, 0)
		return err == nil && event == windows.WAIT_OBJECT_0
	}
}
