package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
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
	entries, mode, err := createDataDir(dir)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	if mode == 0 {
		return nil
	}
	_, err = os.Stat(c.DatabaseFile())
	if entries > 0 && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("data directory %s is open to others, and what it holds is not accountd's: "+
			"name another with --data-dir, or chmod 700 it", dir)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	if entries > 0 {
		warn(fmt.Sprintf("data directory %s was open to others (mode %04o): now it is not; "+
			"if somebody may have looked, run accountd keys rotate and retire the old keys", dir, mode))
	}
	return nil
}

// createDataDir creates the directory if it is missing. It returns the number of entries and the mode of one that
// others can read, and 0 for one that they cannot.
func createDataDir(dir string) (entries int, mode fs.FileMode, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, 0, err
	}
	info, err := os.Stat(dir)
	if err != nil || !openToOthers(info) {
		return 0, 0, err
	}
	list, err := os.ReadDir(dir)
	return len(list), info.Mode().Perm(), err
}
