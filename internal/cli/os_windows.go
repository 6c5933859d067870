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
