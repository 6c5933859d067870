package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

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
