//go:build unix

package tokens

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// checksModes says whether the file system's permission bits mean anything here.
const checksModes = true

// syncDir makes a new name in dir survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// keepOwner gives f the owner of the file that it replaces: a command that root runs must not take the keys away from
// the server's user.
func keepOwner(f *os.File, old fs.FileInfo) error {
	want, ok := old.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if have, ok := info.Sys().(*syscall.Stat_t); ok && have.Uid == want.Uid && have.Gid == want.Gid {
		return nil // asking for what is so may still be forbidden
	}
	return f.Chown(int(want.Uid), int(want.Gid))
}
