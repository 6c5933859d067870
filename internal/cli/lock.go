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

// lockShared locks the data directory against a restore until the returned file is closed; the server and other
// commands may hold the same lock. A restore that was interrupted is finished first.
func lockShared(c *config.Config) (io.Closer, error) {
	for tries := 0; ; tries++ {
		held, err := lockDir(c.Server.DataDir, false)
		if errors.Is(err, errLocked) && tries < 20 {
			time.Sleep(50 * time.Millisecond) // a starting server holds the exclusive lock for a moment
			continue
		}
		if errors.Is(err, errLocked) {
			return nil, fmt.Errorf("a backup is being restored into %s: run this again when that is done",
				c.Server.DataDir)
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
		alone, err := lockExclusive(c)
		if err != nil {
			return nil, err
		}
		if err := alone.Close(); err != nil {
			return nil, err
		}
	}
}

// lockExclusive locks the data directory against all other users of the database until the returned file is closed. It
// finishes a restore that was interrupted, and removes temporary files that killed commands have left.
func lockExclusive(c *config.Config) (io.Closer, error) {
	held, err := lockDir(c.Server.DataDir, true)
	if errors.Is(err, errLocked) {
		return nil, busyError{c.Server.DataDir}
	}
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if err = store.FinishReplace(c.DatabaseFile()); err == nil {
		err = errors.Join(store.Clean(c.Server.DataDir), store.Clean(c.BackupsDir()))
	}
	if err != nil {
		return nil, errors.Join(err, held.Close())
	}
	return held, nil
}

// busyError says that other commands are using the database in a directory.
type busyError struct{ dir string }

func (e busyError) Error() string {
	return fmt.Sprintf("another command is using the database in %s: run this again when that is done", e.dir)
}

// cleanUp finishes an interrupted restore and removes temporary files, as lockExclusive does, unless a command is
// running.
func cleanUp(c *config.Config) error {
	held, err := lockExclusive(c)
	if errors.As(err, new(busyError)) {
		return nil
	}
	if err != nil {
		return err
	}
	return held.Close()
}

// openLocked opens or creates a file and locks it until it is closed. With errLocked it returns the open file.
func openLocked(path, subject string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		if err = lockFile(f); err == nil || errors.Is(err, errLocked) {
			return f, err
		}
		err = errors.Join(err, f.Close())
	}
	return nil, fmt.Errorf("lock %s: %w", subject, err)
}

// lockServe takes the lock that a server holds while it runs, until the returned file is closed or the process ends.
// The file contains the process id and stays.
func lockServe(dir string) (io.Closer, error) {
	f, err := openLocked(filepath.Join(dir, "accountd.lock"), "data directory")
	if errors.Is(err, errLocked) {
		holder, readErr := io.ReadAll(io.LimitReader(f, 20))
		if readErr != nil || len(holder) == 0 {
			holder = []byte("unknown")
		}
		return nil, errors.Join(&servedError{dir, strings.TrimSpace(string(holder))}, f.Close())
	}
	if err != nil {
		return nil, err
	}
	if err = f.Truncate(0); err == nil {
		_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock data directory: %w", err), f.Close())
	}
	return f, nil
}

// servedError says that a server is running on the data directory.
type servedError struct{ dir, process string }

func (e *servedError) Error() string {
	return fmt.Sprintf("data directory %s is in use by another server (process %s): "+
		"stop that one, or give this one a directory of its own with --data-dir", e.dir, e.process)
}

// withoutServer runs fn on a data directory that no server can use at the same time. It creates a missing directory.
// served is the error text if a server is running, with verbs for the directory and the process.
func (a *app) withoutServer(c *config.Config, served string, fn func() error) (err error) {
	privateFiles()
	if err := makeDataDir(c, a.warn); err != nil {
		return err
	}
	held, err := lockServe(c.Server.DataDir)
	if holder, ok := errors.AsType[*servedError](err); ok {
		return fmt.Errorf(served, holder.dir, holder.process)
	}
	if err != nil {
		return err
	}
	defer closeInto(&err, held.Close)
	return fn()
}

// lockKeys locks the key ring at path against other commands until the returned file is closed. The lock file stays.
func lockKeys(path string) (io.Closer, error) {
	f, err := openLocked(path+".lock", "key ring")
	if errors.Is(err, errLocked) {
		err = fmt.Errorf("another command is changing the keys in %s: run this one again when that is done", path)
		return nil, errors.Join(err, f.Close())
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// closeInto adds the error of a deferred close to the one that is returned.
func closeInto(err *error, closing func() error) { *err = errors.Join(*err, closing()) }
