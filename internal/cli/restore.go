package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"accountd/accounts"
	"accountd/internal/config"
	"accountd/internal/store"
)

type restoreCmd struct {
	File string `arg:"" help:"As accountd backup has written it."`
}

// Run checks the backup, makes it the database, and keeps the one before. Until the last step the database is untouched; what
// interrupts that step is made good by the next command or start.
func (cmd *restoreCmd) Run(a *app) (err error) {
	c, err := a.settings(config.Overrides{})
	if err != nil {
		return err
	}
	privateFiles()
	if err := makeDataDir(c, a.warn); err != nil {
		return err
	}
	served, err := lock(c.Server.DataDir)
	if holder := new(servedError); errors.As(err, &holder) {
		return fmt.Errorf("data directory %s is in use by a server (process %s): stop it first; its sessions end with the restore anyway", holder.dir, holder.process)
	}
	if err != nil {
		return err
	}
	defer closeInto(&err, served.Close)
	alone, err := ownData(c)
	if err != nil {
		return err
	}
	defer closeInto(&err, alone.Close)
	if err := cmd.isOther(c); err != nil {
		return err
	}
	copied, err := store.Copy(cmd.File, c.Server.DataDir)
	if err != nil {
		return err
	}
	taken := false
	defer func() {
		if !taken {
			store.Discard(copied)
		}
	}()
	found, err := store.Check(a.ctx, copied)
	if err != nil {
		return fmt.Errorf("%s cannot be restored: %w", cmd.File, err)
	}
	if len(found.Problems) > 0 {
		return fmt.Errorf("%s cannot be restored: it is damaged: %s", cmd.File, found.Problems[0])
	}
	before, err := lookAtOriginal(a.ctx, c)
	if err != nil {
		return err
	}
	revoked, err := prepare(a, copied, before)
	if err != nil {
		return err
	}
	if err := ownLike(copied, before.owner); err != nil {
		return err
	}
	aside := "accountd-replaced-" + store.BackupName(a.Now())[len("accountd-"):]
	taken = true
	if err := store.Replace(c.DatabaseFile(), copied, aside); err != nil {
		return err
	}
	fmt.Fprintf(a.Stdout, "Restored %s: %d accounts.\n", cmd.File, found.Users)
	if before.exists {
		fmt.Fprintf(a.Stdout, "What was there before is kept as %s%s; delete it when it is no longer needed.\n", filepath.Join(c.Server.DataDir, aside), before.note)
	}
	_, err = fmt.Fprintf(a.Stdout, "%d sessions have ended, links in mails have stopped working, and %d mails that waited were dropped. Everything since the backup is lost: accounts, passwords, addresses.\n",
		revoked.Sessions, revoked.Mails)
	return err
}

// isOther refuses the database itself.
func (cmd *restoreCmd) isOther(c *config.Config) error {
	file, err := os.Stat(cmd.File)
	if err != nil {
		return fmt.Errorf("no backup here: %w", err)
	}
	if current, err := os.Stat(c.DatabaseFile()); err == nil && os.SameFile(file, current) {
		return fmt.Errorf("%s is the database itself: name a backup, such as one in %s", cmd.File, c.BackupsDir())
	}
	return nil
}

// original is the database that is replaced.
type original struct {
	exists  bool
	owner   fs.FileInfo      // of whom the new one will be
	lastIDs map[string]int64 // nil: it cannot be read
	note    string           // on the file that is kept
}

// lookAtOriginal reads of the database to be replaced what it can, and makes it one file if it is sound.
func lookAtOriginal(ctx context.Context, c *config.Config) (o original, err error) {
	path := c.DatabaseFile()
	if o.owner, err = os.Stat(path); err == nil {
		o.exists = true
	} else if o.owner, err = os.Stat(c.Server.DataDir); err != nil {
		return o, fmt.Errorf("data directory: %w", err)
	}
	if !o.exists {
		return o, nil
	}
	found, err := store.Check(ctx, path)
	if err == nil && len(found.Problems) == 0 {
		if o.lastIDs, err = store.LastIDs(ctx, path); err != nil {
			return o, err
		}
		return o, store.Settle(ctx, path)
	}
	if ctx.Err() != nil {
		return o, ctx.Err()
	}
	o.note = " (it is damaged or of a newer accountd, and lies there as it was, with its -wal if it has one)"
	return o, nil
}

// prepare brings the copy to the newest schema and ends what must not come back with it.
func prepare(a *app, copied string, before original) (revoked accounts.Revoked, err error) {
	db, err := store.OpenCopy(a.ctx, copied, a.Now)
	if err != nil {
		return revoked, err
	}
	defer closeInto(&err, db.Close)
	return accounts.RevokeAll(a.ctx, db, before.lastIDs)
}
