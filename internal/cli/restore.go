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

// Run checks the backup, makes it the database, and keeps the previous one. The database is untouched until the last
// step. If that step is interrupted, the next command or start finishes it.
func (cmd *restoreCmd) Run(a *app, c *config.Config) error {
	const served = "data directory %s is in use by a server (process %s): " +
		"stop it first; its sessions end with the restore anyway"
	return a.withoutServer(c, served, func() error { return cmd.restore(a, c) })
}

func (cmd *restoreCmd) restore(a *app, c *config.Config) (err error) {
	alone, err := lockExclusive(c)
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
	out, err := replaceDatabase(a, c, copied, "restored from a backup")
	if err != nil {
		return fmt.Errorf("%s cannot be restored: %w", cmd.File, err)
	}
	fmt.Fprintf(a.Stdout, "Restored %s: %d accounts.\n", cmd.File, out.users)
	if out.before.exists {
		fmt.Fprintf(a.Stdout, "What was there before is kept as %s%s; delete it when it is no longer needed.\n",
			out.aside, out.before.note)
	}
	_, err = fmt.Fprintf(a.Stdout, "%d sessions have ended, links in mails have stopped working, and %d mails that "+
		"waited were dropped. Everything since the backup is lost: accounts, passwords, addresses.\n",
		out.Sessions, out.Mails)
	return err
}

// replaced says what replaceDatabase has done.
type replaced struct {
	accounts.Revoked
	users  int64
	before original
	aside  string // path of the previous database
}

// replaceDatabase replaces the database by a copy, if that is sound, and keeps the previous one. Sessions, links and
// waiting mails of the copy end. The caller holds the exclusive lock. The copy is gone afterwards, or left to
// FinishReplace.
func replaceDatabase(a *app, c *config.Config, copied, reason string) (out replaced, err error) {
	taken := false
	defer func() {
		if !taken {
			store.Discard(copied)
		}
	}()
	found, err := store.Check(a.ctx, copied)
	if err != nil {
		return out, err
	}
	if len(found.Problems) > 0 {
		return out, fmt.Errorf("it is damaged: %s", found.Problems[0])
	}
	out.users = found.Users
	if out.before, err = lookAtOriginal(a.ctx, c); err != nil {
		return out, err
	}
	if out.Revoked, err = prepare(a, copied, out.before, reason); err != nil {
		return out, err
	}
	if err := ownLike(copied, out.before.owner); err != nil {
		return out, err
	}
	name := "accountd-replaced-" + store.BackupName(a.Now())[len("accountd-"):]
	out.aside = filepath.Join(c.Server.DataDir, name)
	taken = true
	return out, store.Replace(c.DatabaseFile(), copied, name)
}

// isOther fails if the backup is the database itself.
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
	owner   fs.FileInfo      // the file, or the directory, whose owner the new database gets
	lastIDs map[string]int64 // nil: it cannot be read
	note    string           // added to the name of the kept file
}

// lookAtOriginal examines the database that is to be replaced. A sound one is made a single file, without a WAL.
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
	if errors.Is(err, store.ErrInUse) {
		return o, err
	}
	o.note = " (it is damaged or of a newer accountd, and unchanged, with its -wal if it has one)"
	return o, nil
}

// prepare migrates the copy and ends its sessions, links and waiting mails.
func prepare(a *app, copied string, before original, reason string) (revoked accounts.Revoked, err error) {
	db, err := store.OpenCopy(a.ctx, copied, a.Now)
	if err != nil {
		return revoked, err
	}
	defer closeInto(&err, db.Close)
	return accounts.RevokeAll(a.ctx, db, before.lastIDs, reason)
}
