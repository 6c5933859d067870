package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// errLocked says that another process has the lock.
var errLocked = errors.New("locked")

// lock takes the data directory for this server until the returned file is closed, or the process ends however it
// does. The file has the process's id in it, and stays.
func lock(dir string) (io.Closer, error) {
	f, err := os.OpenFile(filepath.Join(dir, "accountd.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	err = lockFile(f)
	if errors.Is(err, errLocked) {
		holder, readErr := io.ReadAll(io.LimitReader(f, 20))
		if readErr != nil || len(holder) == 0 {
			holder = []byte("unknown")
		}
		return nil, errors.Join(fmt.Errorf("data directory %s is in use by another server (process %s): stop that one, or give this one a directory of its own with --data-dir",
			dir, strings.TrimSpace(string(holder))), f.Close())
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock data directory: %w", err), f.Close())
	}
	return f, nil
}

// lockKeys keeps other commands from changing the key ring at path until the returned file is closed. The file stays.
func lockKeys(path string) (io.Closer, error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock key ring: %w", err)
	}
	err = lockFile(f)
	if errors.Is(err, errLocked) {
		err = fmt.Errorf("another command is changing the keys in %s: run this one again when that is done", path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
