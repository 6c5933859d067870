package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	held    io.Closer // of useData
}

// openInstance opens what lies in the data directory, which is there, and creates what is not there yet.
func openInstance(ctx context.Context, c *config.Config, now func() time.Time, log *slog.Logger) (_ *instance, err error) {
	held, err := useData(c)
	if err != nil {
		return nil, err
	}
	h := &instance{config: c, held: held}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	if err := checkLost(ctx, c, now, log); err != nil {
		return nil, err
	}
	if h.keys, err = tokens.OpenKeys(c.KeysFile(), c.Tokens.Algorithm, now); err != nil {
		return nil, err
	}
	issuer, err := tokens.New(h.keys, c.TokenSettings(), now)
	if err != nil {
		return nil, err
	}
	if h.db, err = store.Open(ctx, c.DatabaseFile(), now); err != nil {
		return nil, err
	}
	if h.outbox, err = email.New(h.db, h.keys, c.EmailSettings(), log); err != nil {
		return nil, err
	}
	if h.service, err = accounts.New(h.db, issuer, h.outbox, c.AccountSettings(), log); err != nil {
		return nil, err
	}
	return h, nil
}

func (h *instance) close() error {
	if h.db == nil {
		return h.held.Close()
	}
	if err := errors.Join(h.db.Close(), h.held.Close()); err != nil {
		return err
	}
	leave(h.config)
	return nil
}

// leave ends the use of a database that another program has open: it may delete the log, of which nothing is needed
// any more.
func leave(c *config.Config) {
	if !store.NeedsLog(c.DatabaseFile()) {
		return
	}
	alone, err := lockDir(c.Server.DataDir, true)
	if err != nil {
		return // another command or server is at work: the last of them does it
	}
	defer alone.Close() // only a lock
	store.Leave(context.Background(), c.DatabaseFile())
}

// checkLost tells a directory that something is gone from, from a new one.
func checkLost(ctx context.Context, c *config.Config, now func() time.Time, log *slog.Logger) error {
	if err := checkLostKeys(ctx, c, now, log); err != nil {
		return err
	}
	_, err := os.Lstat(c.DatabaseFile())
	used := filepath.Join(c.Server.DataDir, "spool", "new") // made after the database
	if _, usedErr := os.Stat(used); usedErr == nil && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is gone: this directory has been in use, as %s shows; bring a backup back with accountd restore FILE, or, if the accounts may be lost, remove %s as well",
			c.DatabaseFile(), used, filepath.Dir(used))
	}
	return nil
}

// makeDataDir makes sure that the data directory is there and that only its owner looks into it: it tells warn when it has to
// close it. A directory of somebody else's things is not taken over.
func makeDataDir(c *config.Config, warn func(string)) error {
	dir := c.Server.DataDir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	if !openToOthers(info) {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	_, err = os.Stat(filepath.Join(dir, filepath.Base(c.DatabaseFile())))
	if len(entries) > 0 && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("data directory %s is open to others, and what it holds is not accountd's: name another with --data-dir, or chmod 700 it", dir)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	if len(entries) > 0 {
		warn(fmt.Sprintf("data directory %s was open to others (mode %04o): now it is not; if somebody may have looked, run accountd keys rotate and retire the old keys", dir, info.Mode().Perm()))
	}
	return nil
}
