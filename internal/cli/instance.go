package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"accountd/accounts"
	"accountd/email"
	"accountd/internal/config"
	"accountd/internal/store"
	"accountd/tokens"
)

// instance is the packages put together over one data directory.
type instance struct {
	config  *config.Config
	keys    *tokens.Keys
	db      *store.DB
	outbox  *email.Outbox
	service *accounts.Service
}

// open opens the data directory, which has to exist, until the command has ended. It creates missing files.
func (a *app) open(ctx context.Context, c *config.Config, log *slog.Logger) (*instance, error) {
	var err error
	closed := false
	a.atEnd(func() error { // without the lock
		if closed {
			leaveLog(c)
		}
		return nil
	})
	if err := a.lockShared(c); err != nil {
		return nil, err
	}
	if err := checkLost(ctx, c, a.Now, log); err != nil {
		return nil, err
	}
	h := &instance{config: c}
	if h.keys, err = tokens.OpenKeys(c.KeysFile(), c.Tokens.Algorithm, a.Now); err != nil {
		return nil, err
	}
	issuer, err := tokens.New(h.keys, c.TokenSettings(), a.Now)
	if err != nil {
		return nil, err
	}
	if h.db, err = store.Open(ctx, c.DatabaseFile(), a.Now); err != nil {
		return nil, err
	}
	a.atEnd(func() error {
		err := h.db.Close()
		closed = err == nil
		return err
	})
	if h.outbox, err = email.New(h.db, h.keys, c.EmailSettings(), log); err != nil {
		return nil, err
	}
	h.service, err = accounts.New(h.db, issuer, h.outbox, c.Accounts, log)
	return h, err
}

// leaveLog removes the mark that says the WAL is needed, where closing could not because another program has the
// database open: that program may delete the WAL, which has been copied into the database.
func leaveLog(c *config.Config) {
	if !store.NeedsLog(c.DatabaseFile()) {
		return
	}
	alone, err := lockDir(c.Server.DataDir, true)
	if err != nil {
		return // another command or server is running: the last of them does it
	}
	defer alone.Close() // only a lock
	store.Leave(context.Background(), c.DatabaseFile())
}

// checkLost fails where the data directory has been in use and its keys or its database are gone. A new directory has
// neither.
func checkLost(ctx context.Context, c *config.Config, now func() time.Time, log *slog.Logger) error {
	if err := checkLostKeys(ctx, c, now, log); err != nil {
		return err
	}
	_, err := os.Lstat(c.DatabaseFile())
	used := filepath.Join(c.Server.DataDir, "spool", "new") // created after the database
	if _, usedErr := os.Stat(used); usedErr == nil && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is gone: this directory has been in use, as %s shows; bring a backup back with "+
			"accountd restore FILE, or, if the accounts may be lost, remove %s as well",
			c.DatabaseFile(), used, filepath.Dir(used))
	}
	return nil
}

// makeDataDir creates the data directory with mode 0700. If others can read an existing one, it is closed to them and
// warn is called. It is refused if it has files and no database: then it belongs to something else.
func makeDataDir(c *config.Config, warn func(string)) error {
	dir := c.Server.DataDir
	fail := func(err error) error { return fmt.Errorf("data directory: %w", err) }
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fail(err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fail(err)
	}
	if !openToOthers(info) {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fail(err)
	}
	_, err = os.Stat(c.DatabaseFile())
	if len(entries) > 0 && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("data directory %s is open to others, and what it holds is not accountd's: "+
			"name another with --data-dir, or chmod 700 it", dir)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fail(err)
	}
	if len(entries) > 0 {
		warn(fmt.Sprintf("data directory %s was open to others (mode %04o): now it is not; "+
			"if somebody may have looked, run accountd keys rotate and retire the old keys", dir, info.Mode().Perm()))
	}
	return nil
}

// errLocked says that another process has the lock.
var errLocked = errors.New("locked")

// errBusy says that lockExclusive finds the data directory in use.
var errBusy = errors.New("another command is using the database")

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
		return nil, fmt.Errorf("%w in %s: run this again when that is done", errBusy, c.Server.DataDir)
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

// cleanUp finishes an interrupted restore and removes temporary files, as lockExclusive does, unless a command is
// running.
func cleanUp(c *config.Config) error {
	held, err := lockExclusive(c)
	if errors.Is(err, errBusy) {
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

// lockServe takes the lock that a server holds while it runs, until the command has ended. It creates a missing data
// directory, as makeDataDir does. The locked file contains the process id and stays. served is the error text if a
// server is running, with verbs for the directory and the process.
func (a *app) lockServe(c *config.Config, served string, warn func(string)) error {
	if err := makeDataDir(c, warn); err != nil {
		return err
	}
	f, err := a.lockFile(filepath.Join(c.Server.DataDir, "accountd.lock"), "data directory")
	if errors.Is(err, errLocked) {
		holder, _ := io.ReadAll(io.LimitReader(f, 20)) // or what could be read
		return fmt.Errorf(served, c.Server.DataDir, cmp.Or(strings.TrimSpace(string(holder)), "unknown"))
	}
	if err != nil {
		return err
	}
	return os.WriteFile(f.Name(), fmt.Appendf(nil, "%d\n", os.Getpid()), 0o600)
}
