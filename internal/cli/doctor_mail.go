package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"accountd/email"
	"accountd/internal/store"
	"accountd/tokens"
)

func (d *doctor) mailServer() {
	if err := d.config.SMTPSettings().Check(); err != nil {
		d.problem("mail server", err.Error(), "until that is mended, the server does not start")
	}
}

// longWait is the number of seconds after which a mail that waits for the spool is a problem. The server publishes
// every second, and once a minute after failures.
const longWait = 5 * 60

// outbox checks the mails that have not reached the spool.
func (d *doctor) outbox(ctx context.Context, path string) {
	const subject = "outbox"
	if d.app.keyFile(d.config).Check() != nil {
		return // reported by keys
	}
	backlog, err := readBacklog(ctx, d, path)
	if err != nil {
		d.problem(subject, err.Error(), "look at the other problems first")
		return
	}
	if backlog.Unreadable > 0 {
		d.problem(subject, fmt.Sprintf("%d mails were sealed with a key that is not in the key ring",
			backlog.Unreadable),
			"copy the key ring back that had it, or leave them: they do no harm")
	}
	if waited := d.app.Now().Unix() - backlog.Oldest; backlog.Waiting > 0 && waited > longWait {
		text := fmt.Sprintf("%d mails wait for the spool, the oldest for %s",
			backlog.Waiting, time.Duration(waited)*time.Second)
		d.problem(subject, text,
			"start the server if it does not run; if it does, its log says why it cannot write to "+
				d.config.SpoolDir())
		return
	}
	if backlog.Unreadable == 0 {
		d.fine(subject, fmt.Sprintf("%d mails are on their way to the spool", backlog.Waiting))
	}
}

func readBacklog(ctx context.Context, d *doctor, path string) (backlog email.Backlog, err error) {
	keys, err := tokens.OpenKeys(d.config.KeysFile(), d.config.Tokens.Algorithm, d.app.Now)
	if err != nil {
		return backlog, err
	}
	db, err := store.Open(ctx, path, d.app.Now)
	if err != nil {
		return backlog, err
	}
	defer closeInto(&err, db.Close)
	return email.ReadBacklog(ctx, db, keys)
}

func (d *doctor) spool() {
	const subject = "spool"
	count := map[string]int{}
	for _, sub := range []string{"tmp", "new", "failed"} {
		dir := filepath.Join(d.config.SpoolDir(), sub)
		err := writable(dir)
		var files []fs.DirEntry
		if err == nil {
			files, err = os.ReadDir(dir)
		}
		if errors.Is(err, fs.ErrNotExist) {
			d.problem(subject, dir+" is not there", "the server makes it when it starts")
			return
		}
		if err != nil {
			d.problem(subject, fmt.Sprintf("%s cannot be used: %v", dir, err),
				"give it to the server's user, mode 700; mails are kept in the database until then")
			return
		}
		count[sub] = len(files)
	}
	if failed := count["failed"]; failed > 0 {
		d.problem(subject, fmt.Sprintf("%d mails were given up", failed),
			"accountd mail list says why, accountd mail retry --all tries again, accountd mail drop NAME deletes one")
		return
	}
	d.fine(subject, fmt.Sprintf("%d mails wait in %s", count["new"], d.config.SpoolDir()))
}
