package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"accountd/internal/config"
	"accountd/internal/store"
)

// errLocked says that another process has the lock.
var errLocked = errors.New("locked")

// useData shares the data directory with the server and other commands until the returned file is closed, and keeps restore
// out of it meanwhile. What a restore that was interrupted has begun is finished first.
func useData(c *config.Config) (io.Closer, error) {
	for tries := 0; ; tries++ {
		held, err := lockDir(c.Server.DataDir, false)
		if errors.Is(err, errLocked) && tries < 20 {
			time.Sleep(50 * time.Millisecond) // a server that starts has it for a moment
			continue
		}
		if errors.Is(err, errLocked) {
			return nil, fmt.Errorf("a backup is being restored into %s: run this again when that is done", c.Server.DataDir)
		}
		if err != nil {
			return nil, fmt.Errorf("lock data directory: %w", err)
		}
		if !store.Replacing(c.DatabaseFile()) {
			return held, nil
		}
		if err := held.Close(); err != nil {
			return nil, err
		}
		alone, err := ownData(c)
		if err != nil {
			return nil, err
		}
		if err := alone.Close(); err != nil {
			return nil, err
		}
	}
}

// ownData takes the data directory from everybody else who opens the database, until the returned file is closed. What a
// restore that was interrupted has begun is finished.
func ownData(c *config.Config) (io.Closer, error) {
	held, err := lockDir(c.Server.DataDir, true)
	if errors.Is(err, errLocked) {
		return nil, fmt.Errorf("another command is using the database in %s: run this again when that is done", c.Server.DataDir)
	}
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if err := tidy(c); err != nil {
		return nil, errors.Join(err, held.Close())
	}
	return held, nil
}

// clean removes what commands that were killed have left, unless one is at work.
func clean(c *config.Config) error {
	held, err := lockDir(c.Server.DataDir, true)
	if errors.Is(err, errLocked) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("lock data directory: %w", err)
	}
	return errors.Join(tidy(c), held.Close())
}

// tidy is for whoever has the data directory alone.
func tidy(c *config.Config) error {
	if _, err := store.FinishReplace(c.DatabaseFile()); err != nil {
		return err
	}
	return errors.Join(store.Clean(c.Server.DataDir), store.Clean(c.BackupsDir()))
}

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
		return nil, errors.Join(&servedError{dir, strings.TrimSpace(string(holder))}, f.Close())
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

// servedError says that a server has the data directory.
type servedError struct{ dir, process string }

func (e *servedError) Error() string {
	return fmt.Sprintf("data directory %s is in use by another server (process %s): stop that one, or give this one a directory of its own with --data-dir", e.dir, e.process)
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
