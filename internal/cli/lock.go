package cli

import (
	"cmp"
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

// lockDir locks a directory until the returned file is closed, exclusively or shared. It fails with errLocked.
func lockDir(dir string, exclusive bool) (*os.File, error) {
	f, err := openForLock(dir)
	if err != nil {
		return nil, err
	}
	if err := lock(f, exclusive); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// lockShared locks the data directory against a restore until the command has ended; the server and other commands may
// hold the same lock. A restore that was interrupted is finished first.
func (a *app) lockShared(c *config.Config) error {
	for range 20 {
		held, err := lockDir(c.Server.DataDir, false)
		switch {
		case errors.Is(err, errLocked):
		case err != nil:
			return fmt.Errorf("lock data directory: %w", err)
		case !store.Replacing(c.DatabaseFile()):
			a.atEnd(held.Close)
			return nil
		default:
			if err := errors.Join(held.Close(), cleanUp(c)); err != nil {
				return err
			}
		}
		time.Sleep(50 * time.Millisecond) // a starting server or command holds the exclusive lock for a moment
	}
	return fmt.Errorf("a backup is being restored into %s: run this again when that is done", c.Server.DataDir)
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

// lockFile opens or creates a file and locks it until the command has ended. With errLocked it returns the open file.
func (a *app) lockFile(path, subject string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		a.atEnd(f.Close)
		err = lock(f, true)
	}
	if err != nil {
		return f, fmt.Errorf("lock %s: %w", subject, err)
	}
	return f, nil
}

// lockServe takes the lock that a server holds while it runs, until the command has ended. The locked file contains the
// process id and stays. served is the error text if a server is running, with verbs for the directory and the process.
func (a *app) lockServe(c *config.Config, served string) error {
	f, err := a.lockFile(filepath.Join(c.Server.DataDir, "accountd.lock"), "data directory")
	if errors.Is(err, errLocked) {
		holder, _ := io.ReadAll(io.LimitReader(f, 20)) // or what could be read
		return fmt.Errorf(served, c.Server.DataDir, cmp.Or(strings.TrimSpace(string(holder)), "unknown"))
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	return err
}

// lockOutServer keeps servers from using the data directory until the command has ended. It creates a missing
// directory. served is as for lockServe.
func (a *app) lockOutServer(c *config.Config, served string) error {
	if err := makeDataDir(c, a.warn); err != nil {
		return err
	}
	return a.lockServe(c, served)
}
