package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"accountd/accounts"
	"accountd/internal/config"
	"accountd/internal/store"
)

type restoreCmd struct {
	File string `arg:"" help:"A file that accountd backup wrote."`
}

// Run checks the backup, makes it the database, and keeps the previous one. The database is untouched until the last
// step. If that step is interrupted, the next command or start finishes it.
func (cmd *restoreCmd) Run(a *app, c *config.Config) error {
	const served = "data directory %s is in use by a server (process %s): " +
		"stop it first; its sessions end with the restore anyway"
	if err := a.lockServe(c, served, a.warn); err != nil {
		return err
	}
	alone, err := lockExclusive(c)
	if err != nil {
		return err
	}
	a.atEnd(alone.Close)
	file, err := os.Stat(cmd.File)
	if err != nil {
		return fmt.Errorf("no backup here: %w", err)
	}
	if current, err := os.Stat(c.DatabaseFile()); err == nil && os.SameFile(file, current) {
		return fmt.Errorf("%s is the database itself: name a backup, such as one in %s", cmd.File, c.BackupsDir())
	}
	copied, err := store.Copy(cmd.File, c.Server.DataDir)
	if err != nil {
		return err
	}
	out, err := replaceDatabase(a, c, copied, "restored from a backup")
	if err != nil {
		return fmt.Errorf("%s cannot be restored: %w", cmd.File, err)
	}
	text := fmt.Sprintf("Restored %s: %d accounts.\n", cmd.File, out.users)
	if out.before.exists {
		text += fmt.Sprintf("What was there before is kept as %s%s; delete it when it is no longer needed.\n",
			out.aside, out.before.note)
	}
	return a.printf("%s%d sessions have ended, links in mails have stopped working, and %d mails that waited were "+
		"dropped. Everything since the backup is lost: accounts, passwords, addresses.\n",
		text, out.Sessions, out.Mails)
}

// acceptLostLog makes a database usable that has lost its WAL. The lost writes may have been logouts, new passwords and
// used links, so sessions and links end as after a restore. The file without its WAL is kept. Nothing happens if no WAL
// was lost.
func acceptLostLog(a *app, c *config.Config, log *slog.Logger) error {
	path := c.DatabaseFile()
	if !store.LostLog(path) {
		return nil
	}
	alone, err := lockExclusive(c)
	if err != nil {
		return err
	}
	defer alone.Close() // only a lock
	if !store.LostLog(path) {
		return nil // a restore that was interrupted has been finished
	}
	copied, err := store.CopyWithoutLog(path, c.Server.DataDir)
	if err != nil {
		return err
	}
	out, err := replaceDatabase(a, c, copied, "the write-ahead log was lost")
	if err != nil {
		return fmt.Errorf("%s cannot be used without its write-ahead log; "+
			"bring a backup back with accountd restore FILE: %w", path, err)
	}
	log.Warn("the write-ahead log was lost, and the last acknowledged changes with it: every session and every mailed "+
		"link has ended; leave --accept-lost-log out from now on",
		"accounts", out.users, "sessions", out.Sessions, "mails_dropped", out.Mails, "kept", out.aside)
	return nil
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
	defer func() {
		if !store.Replacing(c.DatabaseFile()) {
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
	db, err := store.OpenCopy(a.ctx, copied, a.Now) // migrates it
	if err != nil {
		return out, err
	}
	out.Revoked, err = accounts.RevokeAll(a.ctx, db, out.before.lastIDs, reason)
	if err = errors.Join(err, db.Close()); err == nil {
		err = ownLike(copied, out.before.owner)
	}
	if err != nil {
		return out, err
	}
	name := "accountd-replaced-" + store.BackupName(a.Now())[len("accountd-"):]
	out.aside = filepath.Join(c.Server.DataDir, name)
	return out, store.Replace(c.DatabaseFile(), copied, name)
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
	if o.owner, err = os.Stat(path); err != nil {
		o.owner, err = os.Stat(c.Server.DataDir)
		return o, err
	}
	o.exists = true
	found, err := store.Check(ctx, path)
	switch {
	case err == nil && len(found.Problems) == 0:
		if o.lastIDs, err = store.LastIDs(ctx, path); err != nil {
			return o, err
		}
		return o, store.Settle(ctx, path)
	case ctx.Err() != nil:
		return o, ctx.Err()
	case errors.Is(err, store.ErrInUse):
		return o, err
	}
	o.note = " (it is damaged or of a newer accountd, and unchanged, with its -wal if it has one)"
	return o, nil
}
