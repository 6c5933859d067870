//go:build unix

package store

import "golang.org/x/sys/unix"

// FreeSpace returns the number of bytes that files in a directory can still take.
func FreeSpace(dir string) (uint64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, err
	}
	return uint64(max(0, int64(fs.Bavail))) * uint64(fs.Bsize), nil
}
