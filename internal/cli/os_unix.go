//go:build unix

package cli

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

func lockFile(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errLocked
	}
	return err
}

// openToOthers says whether others than its owner may look into a directory.
func openToOthers(info fs.FileInfo) bool { return info.Mode().Perm()&0o077 != 0 }

// privateFiles makes every file that the process creates its owner's only.
func privateFiles() { unix.Umask(0o077) }

// parentGone returns a function that says whether the process that started this one has ended: then another has adopted
// this one.
func parentGone() func() bool {
	parent := os.Getppid()
	return func() bool { return os.Getppid() != parent }
}
