//go:build unix

package cli

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// lock locks a file or a directory until it is closed, exclusively or shared. It fails with errLocked.
func lock(f *os.File, exclusive bool) error {
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return errLocked
	}
	return err
}

// openForLock opens the file that stands for a directory: the directory itself.
func openForLock(dir string) (*os.File, error) { return os.Open(dir) }

// ownLike gives a file the owner of another one, if root runs the command: the server's user has to be able to use it.
func ownLike(path string, other fs.FileInfo) error {
	want, ok := other.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return os.Lchown(path, int(want.Uid), int(want.Gid))
}

// writable returns an error if files cannot be created in a directory.
func writable(dir string) error { return unix.Access(dir, unix.W_OK|unix.X_OK) }

// openToOthers reports whether others than the owner have any permission.
func openToOthers(info fs.FileInfo) bool { return info.Mode().Perm()&0o077 != 0 }

// privateFiles makes every file that the process creates accessible to its owner only.
func privateFiles() { unix.Umask(0o077) }

// parentGone returns a function that reports whether the parent process has ended: then this one has another parent.
func parentGone() func() bool {
	parent := os.Getppid()
	return func() bool { return os.Getppid() != parent }
}
