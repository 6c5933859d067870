//go:build unix

package durable

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// SyncDir fsyncs a directory: names made, moved and removed in it survive a power cut.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// keepOwner gives f the user and group of old.
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
		return nil // some file systems refuse every chown, even one that changes nothing
	}
	return f.Chown(int(want.Uid), int(want.Gid))
}
