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

type backupCmd struct {
	File string `arg:"" optional:"" help:"A new file, or a directory (default: backups/ in the data directory)."`
	Keep int    `placeholder:"N" help:"Delete all but the newest N of the backups in that directory."`
	JSON bool   `name:"json" help:"Print one JSON object."`
}

// Run writes a snapshot of all accounts to one file. The file has no keys: it can be restored without the key ring,
// and it cannot be used to make tokens.
func (cmd *backupCmd) Run(a *app, c *config.Config) error {
	if cmd.Keep < 0 {
		return usageError{errors.New("--keep takes how many backups are to stay, 1 or more")}
	}
	if err := haveAccounts(c); err != nil {
		return err
	}
	if err := a.lockShared(c); err != nil {
		return err
	}
	dest, err := cmd.destination(a, c)
	if err != nil {
		return err
	}
	found, err := store.Backup(a.ctx, c.DatabaseFile(), dest)
	if err != nil {
		return err
	}
	info, err := os.Stat(dest)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("Wrote %s and checked it: %d accounts, %d bytes.\n", dest, found.Users, info.Size())
	if cmd.Keep > 0 {
		removed, err := store.Prune(filepath.Dir(dest), cmd.Keep)
		if err != nil {
			return fmt.Errorf("%s is written; delete older backups: %w", dest, err)
		}
		for _, name := range removed {
			text += fmt.Sprintf("Deleted %s.\n", name)
		}
	}
	text += fmt.Sprintf("It holds addresses and password hashes, and no keys. "+
		"To keep the key ring too, copy %s to another place.\n", c.KeysFile())
	return a.print(cmd.JSON, struct {
		File   string `json:"file"`
		Bytes  int64  `json:"bytes"`
		Schema int    `json:"schema"`
		Users  int64  `json:"users"`
	}{dest, info.Size(), found.Version, found.Users}, text)
}

// destination returns the path of the backup. Its directory exists.
func (cmd *backupCmd) destination(a *app, c *config.Config) (string, error) {
	dir := c.BackupsDir()
	if cmd.File != "" {
		info, err := os.Stat(cmd.File)
		if err != nil || !info.IsDir() {
			if cmd.Keep > 0 {
				return "", usageError{errors.New("--keep goes with a directory, not with the name of a file")}
			}
			return cmd.File, nil
		}
		dir = cmd.File
	} else if err := makeBackupsDir(c); err != nil {
		return "", err
	}
	return filepath.Join(dir, store.BackupName(a.Now())), nil
}

// makeBackupsDir creates the directory, owned by the server's user even if root runs the command.
func makeBackupsDir(c *config.Config) error {
	err := os.Mkdir(c.BackupsDir(), 0o700)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	var parent os.FileInfo
	if err == nil {
		parent, err = os.Stat(c.Server.DataDir)
	}
	if err != nil {
		return fmt.Errorf("directory of backups: %w", err)
	}
	return ownLike(c.BackupsDir(), parent)
}

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
