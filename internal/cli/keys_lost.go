package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"accountd/email"
	"accountd/internal/config"
	"accountd/internal/store"
	"accountd/tokens"
)

const lostKeysRemedy = "copy it back from where it is kept; only if it is lost for good, run accountd keys init"

// lostWithoutKeys says in half a sentence what is lost of the database without its key ring; "" for nothing, and
// without a database. It changes nothing.
func lostWithoutKeys(ctx context.Context, c *config.Config, now func() time.Time) (string, error) {
	if _, err := os.Lstat(c.DatabaseFile()); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	var live int64
	var mails int
	err := store.Look(ctx, c.DatabaseFile(), now, func(tx *store.Tx) (err error) {
		if live, err = tokens.CountLive(ctx, tx); err != nil {
			return err
		}
		mails, err = email.Count(ctx, tx)
		return err
	})
	if err != nil || live == 0 && mails == 0 {
		return "", err
	}
	sessions := "continue only with their refresh tokens"
	if !c.Tokens.LongRunning || !c.Tokens.AllowRefresh {
		sessions = "end"
	}
	return fmt.Sprintf("live sessions (%d) %s, mails that wait in the outbox (%d) can never be read, and links in "+
		"mails stop working", live, sessions, mails), nil
}

// checkLostKeys fails where the database needs the key ring, or is gone, and there is no key ring. Otherwise a new one
// may be made.
func checkLostKeys(ctx context.Context, c *config.Config, now func() time.Time, log *slog.Logger) error {
	if _, err := os.Lstat(c.KeysFile()); !errors.Is(err, fs.ErrNotExist) {
		return nil // other errors are those of opening it
	}
	if _, err := os.Lstat(c.DatabaseFile()); err != nil {
		if err := store.Gone(c.DatabaseFile()); err != nil {
			return fmt.Errorf("%s: %w", c.DatabaseFile(), err)
		}
		return nil
	}
	lost, err := lostWithoutKeys(ctx, c, now)
	if err != nil {
		return err
	}
	if lost != "" {
		return fmt.Errorf("key file %s is not there; without it %s: %s", c.KeysFile(), lost, lostKeysRemedy)
	}
	log.Warn("the key file was missing although there are accounts: new keys are made, and mailed links end; "+
		"if you have the file, stop the server and copy it back", "file", c.KeysFile())
	return nil
}

// lostKeys reports a missing key file.
func (d *doctor) lostKeys(subject string) {
	gone := d.config.KeysFile() + " is not there"
	lost, err := "", errLocked
	if d.unusable == nil {
		lost, err = lostWithoutKeys(d.app.ctx, d.config, d.app.Now)
	}
	switch {
	case err != nil: // doctor.database reports it
		d.problem(subject, gone, "copy it back from where it is kept")
	case lost != "":
		d.problem(subject, gone+"; without it "+lost, lostKeysRemedy+"; until then the server does not start")
	default:
		d.problem(subject, gone, "copy it back from where it is kept; the server makes a new one at its next start, "+
			"and links in mails stop working")
	}
}

type keysInitCmd struct{}

// Run makes a missing key ring, and prints what is lost with the previous one.
func (*keysInitCmd) Run(a *app, c *config.Config) error {
	const served = "the server in %s (process %s) has its keys in memory, and keeps running: copy the key file back; " +
		"only if it is lost for good, stop the server and run this again"
	if err := a.lockServe(c, served, a.warn); err != nil {
		return err
	}
	if err := a.lockShared(c); err != nil {
		return err
	}
	if _, err := a.lockKeys(c); err != nil {
		return err
	}
	if _, err := os.Lstat(c.KeysFile()); err == nil {
		return fmt.Errorf("key file %s is there: accountd keys rotate makes new keys in it; if it cannot be used and "+
			"there is no copy, move it away first", c.KeysFile())
	}
	lost, err := lostWithoutKeys(a.ctx, c, a.Now)
	if err != nil {
		return err
	}
	if _, err := tokens.OpenKeys(c.KeysFile(), c.Tokens.Algorithm, a.Now); err != nil {
		return err
	}
	if lost != "" {
		lost = " Without the one before, " + lost + "."
	}
	return a.printf("There is a new key ring, %s.%s\n", c.KeysFile(), lost)
}
