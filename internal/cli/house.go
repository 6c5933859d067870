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

// house is the packages put together over one data directory.
type house struct {
	config  *config.Config
	keys    *tokens.Keys
	db      *store.DB
	outbox  *email.Outbox
	service *accounts.Service
}

// openHouse opens what lies in the data directory, and creates what is not there yet.
func openHouse(ctx context.Context, c *config.Config, now func() time.Time, log *slog.Logger) (*house, error) {
	if err := makeDataDir(c); err != nil {
		return nil, err
	}
	if _, err := os.Stat(c.KeysFile()); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(c.DatabaseFile()); err == nil {
			log.Warn("there are accounts and no keys: new ones are made, and every session and mailed link ends; stop, and restore the key file, if that is not meant",
				"file", c.KeysFile())
		}
	}
	keys, err := tokens.OpenKeys(c.KeysFile(), c.Tokens.Algorithm, now)
	if err != nil {
		return nil, err
	}
	issuer, err := tokens.New(keys, c.TokenSettings(), now)
	if err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, c.DatabaseFile(), now)
	if err != nil {
		return nil, err
	}
	h := &house{config: c, keys: keys, db: db}
	if h.outbox, err = email.New(db, keys, c.EmailSettings(), log); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if h.service, err = accounts.New(db, issuer, h.outbox, c.AccountSettings(), log); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return h, nil
}

func (h *house) close() error { return h.db.Close() }

// makeDataDir makes sure that the data directory is there and that only its owner looks into it. A directory of
// somebody else's things is not taken over.
func makeDataDir(c *config.Config) error {
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
	return nil
}
