//go:build windows

package cli

import (
	"errors"
	"io/fs"
	"os"

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
