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

// keyNeeds counts what a database has that is lost without its key ring.
type keyNeeds struct {
	sessions int64 // live
	mails    int   // in the outbox
}

func (n keyNeeds) any() bool { return n != keyNeeds{} }

// lostWithoutKeys says what is lost, in half a sentence.
func lostWithoutKeys(c *config.Config, n keyNeeds) string {
	sessions := "continue only with their refresh tokens"
	if !c.Tokens.LongRunning || !c.Tokens.AllowRefresh {
		sessions = "end"
	}
	return fmt.Sprintf("live sessions (%d) %s, mails that wait in the outbox (%d) can never be read, and links "+
		"in mails "+
		"stop working", n.sessions, sessions, n.mails)
}

const lostKeysRemedy = "copy it back from where it is kept; only if it is lost for good, run accountd keys init"

// keysNeeded counts what the database needs the key ring for. Without a database that is nothing. It changes nothing.
func keysNeeded(ctx context.Context, c *config.Config, now func() time.Time) (n keyNeeds, err error) {
	if _, err := os.Lstat(c.DatabaseFile()); errors.Is(err, fs.ErrNotExist) {
		return n, nil
	}
	err = store.Look(ctx, c.DatabaseFile(), now, func(tx *store.Tx) (err error) {
		if n.sessions, err = tokens.CountLive(ctx, tx); err != nil {
			return err
		}
		n.mails, err = email.Count(ctx, tx)
		return err
	})
	return n, err
}

// checkLostKeys fails where the database needs the key ring, or is gone, and there is no key ring. Otherwise a new one
// may be made.
func checkLostKeys(ctx context.Context, c *config.Config, now func() time.Time, log *slog.Logger) error {
	_, keysErr := os.Lstat(c.KeysFile())
	if !errors.Is(keysErr, fs.ErrNotExist) {
		return nil // other errors are those of opening it
	}
	if _, err := os.Lstat(c.DatabaseFile()); err != nil {
		if err := store.Gone(c.DatabaseFile()); err != nil {
			return fmt.Errorf("%s: %w", c.DatabaseFile(), err)
		}
		return nil
	}
	needs, err := keysNeeded(ctx, c, now)
	if err != nil {
		return err
	}
	if needs.any() {
		lost := lostWithoutKeys(c, needs)
		return fmt.Errorf("key file %s is not there; without it %s: %s", c.KeysFile(), lost, lostKeysRemedy)
	}
	log.Warn("there are accounts and no keys: new ones are made, and mailed links end; if that is not meant, stop and "+
		"copy the key file back", "file", c.KeysFile())
	return nil
}

// keysNeeded fails where a restore was interrupted: the database may not be opened before that is finished.
func (d *doctor) keysNeeded() (keyNeeds, error) {
	if store.Replacing(d.config.DatabaseFile()) {
		return keyNeeds{}, errors.New("a restore was interrupted")
	}
	return keysNeeded(d.app.ctx, d.config, d.app.Now)
}

// lostKeys reports a missing key file.
func (d *doctor) lostKeys(subject string) {
	gone := d.config.KeysFile() + " is not there"
	var needs keyNeeds
	held, err := lockDir(d.config.Server.DataDir, false)
	if err == nil {
		defer held.Close()
		needs, err = d.keysNeeded()
	}
	switch {
	case err != nil: // doctor.database reports it
		d.problem(subject, gone, "copy it back from where it is kept")
	case needs.any():
		d.problem(subject, gone+"; without it "+lostWithoutKeys(d.config, needs),
			lostKeysRemedy+"; until then the server does not start")
	default:
		d.problem(subject, gone,
			"copy it back from where it is kept; the server makes a new one at its next start, and links in mails "+
				"stop working")
	}
}

type keysInitCmd struct{}

// Run makes a missing key ring, and prints what is lost with the previous one.
func (cmd *keysInitCmd) Run(a *app, c *config.Config) error {
	const served = "the server in %s (process %s) has its keys in memory, and keeps running: copy the key file back; " +
		"only if it is lost for good, stop the server and run this again"
	return a.withoutServer(c, served, func() (err error) {
		held, err := lockShared(c)
		if err != nil {
			return err
		}
		defer closeInto(&err, held.Close)
		return a.lockedKeys(c, func(c *config.Config, _ tokens.KeyFile) error { return cmd.create(a, c) })
	})
}

func (*keysInitCmd) create(a *app, c *config.Config) error {
	if _, err := os.Lstat(c.KeysFile()); err == nil {
		return fmt.Errorf("key file %s is there: accountd keys rotate makes new keys in it; if it cannot be used and "+
			"there is no copy, move it away first", c.KeysFile())
	}
	needs, err := keysNeeded(a.ctx, c, a.Now)
	if err != nil {
		return err
	}
	if _, err := tokens.OpenKeys(c.KeysFile(), c.Tokens.Algorithm, a.Now); err != nil {
		return err
	}
	text := "There is a new key ring, " + c.KeysFile() + "."
	if needs.any() {
		text += " Without the one before, " + lostWithoutKeys(c, needs) + "."
	}
	_, err = fmt.Fprintln(a.Stdout, text)
	return err
}
