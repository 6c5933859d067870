package cli

import (
	"fmt"
	"log/slog"

	"accountd/internal/config"
	"accountd/internal/store"
)

// acceptLostLog makes a database usable that has lost its WAL. The lost writes may have been logouts, new passwords and
// used links, so sessions and links end as after a restore. The file without its WAL is kept. Nothing happens if no WAL
// was lost.
func acceptLostLog(a *app, c *config.Config, log *slog.Logger) (err error) {
	path := c.DatabaseFile()
	if !store.LostLog(path) {
		return nil
	}
	alone, err := lockExclusive(c)
	if err != nil {
		return err
	}
	defer closeInto(&err, alone.Close)
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
	log.Warn("the write-ahead log was lost, and what was acknowledged last with it: every session and every mailed "+
		"link has ended; leave --accept-lost-log out from now on",
		"accounts", out.users, "sessions", out.Sessions, "mails_dropped", out.Mails, "kept", out.aside)
	return nil
}
