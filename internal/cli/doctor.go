package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"accountd/email"
	"accountd/internal/config"
	"accountd/internal/store"
	"accountd/tokens"
)

type doctorCmd struct {
	JSON bool `name:"json" help:"Print one JSON object for each check."`
}

// finding is the result of one check. A finding without a remedy is no problem.
type finding struct {
	Subject string `json:"subject"`
	OK      bool   `json:"ok"`
	Text    string `json:"text"`
	Remedy  string `json:"remedy"`
}

// Run only reads: it creates, repairs and migrates nothing. It fails if anything is wrong.
func (cmd *doctorCmd) Run(a *app, c *config.Config) error {
	if _, err := os.Stat(c.Server.DataDir); err != nil {
		return fmt.Errorf("no data directory here: %w: name the server's with --data-dir", err)
	}
	d := &doctor{app: a, config: c}
	d.lock()
	for _, look := range []func(){d.modes, d.reach, d.keys, d.mailServer, d.database, d.spool, d.space} {
		look()
	}
	problems := 0
	for _, f := range d.findings {
		text := fmt.Sprintf("ok       %s: %s\n", f.Subject, f.Text)
		if !f.OK {
			problems++
			text = fmt.Sprintf("PROBLEM  %s: %s\n         %s\n", f.Subject, f.Text, f.Remedy)
		}
		if err := a.print(cmd.JSON, f, text); err != nil {
			return err
		}
	}
	if problems > 0 {
		return fmt.Errorf("%d of %d checks found a problem", problems, len(d.findings))
	}
	return nil
}

type doctor struct {
	app      *app
	config   *config.Config
	findings []finding
	unusable *finding // why the database may not be opened now
}

// lock locks the database against a restore, or sets unusable.
func (d *doctor) lock() {
	held, err := lockDir(d.config.Server.DataDir, false)
	if err == nil {
		d.app.atEnd(held.Close)
	}
	switch {
	case errors.Is(err, errLocked):
		d.unusable = &finding{Text: "a backup is being restored", Remedy: "run this again when that is done"}
	case err != nil:
		d.unusable = &finding{Text: err.Error(), Remedy: "run this as the server's user"}
	case store.Replacing(d.config.DatabaseFile()):
		d.unusable = &finding{
			Text: "a restore was interrupted", Remedy: "start the server, or run any other command: it finishes it",
		}
	}
}

func (d *doctor) fine(subject, text string) {
	d.findings = append(d.findings, finding{subject, true, text, ""})
}

func (d *doctor) problem(subject, text, remedy string) {
	d.findings = append(d.findings, finding{subject, false, text, remedy})
}

// modes finds files that others than the owner can read. Symbolic links are skipped.
func (d *doctor) modes() {
	const subject = "permissions"
	dir, looked, before := d.config.Server.DataDir, 0, len(d.findings)
	for _, root := range []string{dir, d.config.Email.SpoolDir} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			var info fs.FileInfo
			if err == nil {
				info, err = entry.Info()
			}
			if errors.Is(err, fs.ErrNotExist) && path != dir {
				return nil // removed meanwhile, or a spool that is not set or does not exist yet
			}
			if err != nil || info.Mode()&fs.ModeSymlink != 0 {
				return err
			}
			looked++
			if openToOthers(info) && len(d.findings)-before < 10 {
				want := map[bool]string{true: "700", false: "600"}[entry.IsDir()]
				text := fmt.Sprintf("%s is open to others (mode %04o)", path, info.Mode().Perm())
				d.problem(subject, text, "chmod "+want+" "+path)
			}
			return nil
		})
		if err != nil {
			d.problem(subject, err.Error(), "run this as the server's user")
		}
	}
	if len(d.findings) == before {
		d.fine(subject, fmt.Sprintf("%d files and directories in %s are their owner's only", looked, dir))
	}
}

// reach checks the settings by which users reach the server.
func (d *doctor) reach() {
	const subject = "addresses"
	if p := d.config.ReachProblem(); p != nil {
		d.problem(subject, p.Key+" "+p.Message, p.Remedy)
	} else {
		d.fine(subject, "users see "+d.config.PublicURL()+", the server listens on "+d.config.Server.Listen)
	}
}

func (d *doctor) keys() {
	const subject = "key ring"
	err := d.app.keyFile(d.config).Check()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.lostKeys(subject)
	case err != nil:
		d.problem(subject, err.Error(),
			"until that is mended, the server does not start, and a running one continues with the keys that it has")
	default:
		d.fine(subject, d.config.KeysFile()+" can be read and signs for "+d.config.Tokens.Algorithm)
	}
}

func (d *doctor) database() {
	const subject = "database"
	path := d.config.DatabaseFile()
	if d.unusable != nil {
		d.problem(subject, d.unusable.Text, d.unusable.Remedy)
		return
	}
	found, err := store.Check(d.app.ctx, path)
	if err != nil {
		d.problem(subject, err.Error(), "the newest backup is "+d.newestBackup())
		return
	}
	for _, problem := range found.Problems {
		d.problem(subject, problem, "stop the server, keep a copy of "+path+" with its -wal, "+
			"and bring a backup back with accountd restore FILE; the newest is "+d.newestBackup())
	}
	if len(found.Problems) > 0 {
		return
	}
	state := fmt.Sprintf("%s is sound: %d accounts, schema %d", path, found.Users, found.Version)
	if found.Version < found.Newest {
		state += fmt.Sprintf(", which the next start migrates to %d", found.Newest)
	}
	d.fine(subject, state)
	d.fine("backups", "the newest is "+d.newestBackup())
	if found.Version == found.Newest {
		d.outbox()
	}
}

func (d *doctor) newestBackup() string {
	files, err := os.ReadDir(d.config.BackupsDir())
	newest, at := "", time.Time{}
	for _, file := range files {
		incomplete := file.Name()[0] == '.'
		if info, err := file.Info(); err == nil && !incomplete && info.Mode().IsRegular() && info.ModTime().After(at) {
			newest, at = filepath.Join(d.config.BackupsDir(), file.Name()), info.ModTime()
		}
	}
	switch {
	case newest != "":
		return fmt.Sprintf("%s of %s", newest, at.UTC().Format(time.DateTime))
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "not to be found: " + err.Error()
	}
	return "none in " + d.config.BackupsDir()
}

// space checks that there is room for a backup, which a migration makes as well.
func (d *doctor) space() {
	const subject = "free space"
	need := uint64(64 << 20) // by which the database and its WAL should always be able to grow
	if info, err := os.Stat(d.config.DatabaseFile()); err == nil {
		need += 2 * uint64(info.Size())
	}
	dir := d.config.Server.DataDir
	switch free, err := store.FreeSpace(dir); {
	case err != nil:
		d.problem(subject, err.Error(), "run this as the server's user")
	case store.ReserveShort(d.config.DatabaseFile()):
		d.problem(subject,
			"the disk has been full: only writes that end sessions or set passwords are accepted, in reserved space",
			fmt.Sprintf("make room in %s: a running server then accepts all writes again", dir))
	case free < need:
		d.problem(subject, fmt.Sprintf("%d MiB are free in %s", free>>20, dir), fmt.Sprintf("make room: backups and "+
			"migrations need %d MiB; a server on a full disk cannot store changes", need>>20))
	default:
		d.fine(subject, fmt.Sprintf("%d MiB in %s", free>>20, dir))
	}
}

func (d *doctor) mailServer() {
	if err := d.config.SMTPSettings().Check(); err != nil {
		d.problem("mail server", err.Error(), "until that is mended, the server does not start")
	}
}

// longWait is the number of seconds after which a mail that waits for the spool is a problem. The server publishes
// every second, and once a minute after failures.
const longWait = 5 * 60

// outbox checks the mails that have not reached the spool.
func (d *doctor) outbox() {
	const subject = "outbox"
	if d.app.keyFile(d.config).Check() != nil {
		return // reported by keys
	}
	backlog, err := d.readBacklog()
	if err != nil {
		d.problem(subject, err.Error(), "look at the other problems first")
		return
	}
	if backlog.Unreadable > 0 {
		d.problem(subject,
			fmt.Sprintf("%d mails were sealed with a key that is not in the key ring", backlog.Unreadable),
			"copy the key ring back that had it, or leave them: they do no harm")
	}
	waited := d.app.Now().Unix() - backlog.Oldest
	switch {
	case backlog.Waiting > 0 && waited > longWait:
		d.problem(subject, fmt.Sprintf("%d mails wait for the spool, the oldest for %s",
			backlog.Waiting, time.Duration(waited)*time.Second),
			"start the server if it does not run; if it does, its log says why it cannot write to "+d.config.SpoolDir())
	case backlog.Unreadable == 0:
		d.fine(subject, fmt.Sprintf("%d mails are on their way to the spool", backlog.Waiting))
	}
}

func (d *doctor) readBacklog() (email.Backlog, error) {
	keys, err := tokens.OpenKeys(d.config.KeysFile(), d.config.Tokens.Algorithm, d.app.Now)
	if err != nil {
		return email.Backlog{}, err
	}
	db, err := store.Open(d.app.ctx, d.config.DatabaseFile(), d.app.Now)
	if err != nil {
		return email.Backlog{}, err
	}
	backlog, err := email.ReadBacklog(d.app.ctx, db, keys)
	return backlog, errors.Join(err, db.Close())
}

func (d *doctor) spool() {
	const subject = "spool"
	count := map[string]int{}
	for _, sub := range []string{"tmp", "new", "failed"} {
		dir := filepath.Join(d.config.SpoolDir(), sub)
		files, err := os.ReadDir(dir)
		err = cmp.Or(writable(dir), err)
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
