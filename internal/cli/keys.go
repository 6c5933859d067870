package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"text/tabwriter"

	"accountd/email"
	"accountd/internal/config"
	"accountd/tokens"
)

type keysCmd struct {
	Init   keysInitCmd   `cmd:"" help:"Make a key ring in place of a lost one."`
	List   keysListCmd   `cmd:"" help:"Print all keys, without their secrets."`
	Rotate keysRotateCmd `cmd:"" help:"Make a new key for signing; the others still verify."`
	Import keysImportCmd `cmd:"" help:"Add an existing key, such as Django's SECRET_KEY."`
	Retire keysRetireCmd `cmd:"" help:"Remove a key: what it signed is refused from now on."`
}

// keyFile is the key ring that the settings name.
func (a *app) keyFile(c *config.Config) tokens.KeyFile {
	return tokens.KeyFile{Path: c.KeysFile(), Algorithm: c.Tokens.Algorithm, Now: a.Now}
}

// changeKeys runs fn on an existing key ring, which no other command can change at the same time.
func (a *app) changeKeys(fn func(*config.Config, tokens.KeyFile) error) (err error) {
	c, err := a.settings()
	if err != nil {
		return err
	}
	if _, err := os.Stat(c.KeysFile()); err != nil {
		return noKeys(err)
	}
	return a.lockedKeys(c, fn)
}

func (a *app) lockedKeys(c *config.Config, fn func(*config.Config, tokens.KeyFile) error) (err error) {
	privateFiles()
	held, err := lockKeys(c.KeysFile())
	if err != nil {
		return err
	}
	defer closeInto(&err, held.Close)
	return fn(c, a.keyFile(c))
}

func noKeys(err error) error {
	return fmt.Errorf("no key ring here: %w: name the server's directory with --data-dir; a file that is gone "+
		"is to be "+
		"copied back, and only if it is lost for good, accountd keys init makes a new one", err)
}

type keysListCmd struct{ keyJSON }

// Run prints the keys by kind, the one in use first.
func (cmd *keysListCmd) Run(a *app, c *config.Config) error {
	keys, err := a.keyFile(c).List()
	if errors.Is(err, fs.ErrNotExist) {
		return noKeys(err)
	}
	if err != nil {
		return err
	}
	if cmd.JSON {
		for _, k := range keys {
			if err := cmd.print(a.Stdout, k); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tKIND\tALGORITHM\tCREATED\tUSE")
	for _, k := range keys {
		does, undoes := verbs(k.Kind)
		use := "none: tokens.algorithm is " + c.Tokens.Algorithm
		switch {
		case k.Signs:
			use = does + " and " + undoes
		case k.Verifies:
			use = undoes
		}
		created := "unknown"
		if !k.Created.IsZero() {
			created = k.Created.Format(timeFormat)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", k.ID, k.Kind, k.Algorithm, created, use)
	}
	return w.Flush()
}

type keysRotateCmd struct {
	Kind      string `enum:"access,action,seal" default:"access" help:"Access tokens, mailed links or waiting mails."`
	Algorithm string `enum:"${algorithms}" default:"" help:"Of an access key, if tokens.algorithm is to change next."`
	keyJSON
}

// Run makes a key, and says when older ones can be retired.
func (cmd *keysRotateCmd) Run(a *app) error {
	kind := tokens.KeyKind(cmd.Kind)
	if kind != tokens.AccessKeys && cmd.Algorithm != "" {
		return usageError{errors.New("--algorithm goes with --kind access")}
	}
	return a.changeKeys(func(c *config.Config, file tokens.KeyFile) error {
		algorithm := cmd.Algorithm
		if algorithm == "" {
			algorithm = c.Tokens.Algorithm
		}
		key, err := file.Rotate(kind, algorithm)
		if err != nil {
			return err
		}
		return cmd.report(a.Stdout, c, key)
	})
}

type keysImportCmd struct {
	File      string `arg:"" help:"PEM, or one line with the secret; - reads standard input."`
	Algorithm string `enum:"${algorithms}" default:"" help:"Of the key (default: the PEM's, or tokens.algorithm)."`
	Sign      bool   `help:"Sign with it from now on; otherwise it only verifies."`
	keyJSON
}

// Run adds a key. It makes a missing key ring, so that the first start finds the imported key.
func (cmd *keysImportCmd) Run(a *app, c *config.Config) error {
	raw, err := a.readKey(cmd.File)
	if err != nil {
		return fmt.Errorf("key to import: %w", err)
	}
	privateFiles()
	if _, err := os.Stat(c.KeysFile()); errors.Is(err, fs.ErrNotExist) {
		if err := a.firstRing(c); err != nil {
			return err
		}
	}
	return a.lockedKeys(c, func(c *config.Config, file tokens.KeyFile) error {
		key, err := file.Import(raw, cmd.Algorithm, cmd.Sign)
		if err != nil {
			return fmt.Errorf("%s: %w", cmd.File, err)
		}
		return cmd.report(a.Stdout, c, key)
	})
}

// firstRing makes a key ring, unless the database needs keys that are gone.
func (a *app) firstRing(c *config.Config) (err error) {
	if err := makeDataDir(c, a.warn); err != nil {
		return err
	}
	held, err := lockShared(c)
	if err != nil {
		return err
	}
	defer closeInto(&err, held.Close)
	if err := checkLostKeys(a.ctx, c, a.Now, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	_, err = tokens.OpenKeys(c.KeysFile(), c.Tokens.Algorithm, a.Now)
	return err
}

// readKey reads at most one byte more than the largest key, by which tokens recognises a file that is too long.
func (a *app) readKey(name string) (raw []byte, err error) {
	in := a.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close() // only read
		in = f
	}
	return io.ReadAll(io.LimitReader(in, tokens.MaxKeyFile+1))
}

type keysRetireCmd struct {
	ID string `arg:"" help:"As keys list prints it."`
	keyJSON
}

// Run removes a key, and says what stops working.
func (cmd *keysRetireCmd) Run(a *app) error {
	return a.changeKeys(func(c *config.Config, file tokens.KeyFile) error {
		if err := a.checkOutbox(c, file, cmd.ID); err != nil {
			return err
		}
		key, err := file.Retire(cmd.ID)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return cmd.print(a.Stdout, key)
		}
		what := "Nothing that it sealed is left."
		switch {
		case key.Kind == tokens.ActionKeys:
			what = "Links in mails that it signed have stopped working."
		case key.Kind == tokens.AccessKeys && !key.Verifies:
			what = "It was not in use."
		case key.Kind == tokens.AccessKeys && c.Tokens.LongRunning && c.Tokens.AllowRefresh:
			what = "Access tokens that it signed are refused; refreshToken gives new ones."
		case key.Kind == tokens.AccessKeys:
			what = "Access tokens that it signed are refused; users who have one log in again."
		}
		_, err = fmt.Fprintf(a.Stdout, "The %s key %s is gone. %s\n", key.Kind, key.ID, what)
		return err
	})
}

// checkOutbox fails if the key is a seal key and mails wait in the outbox: it may have sealed them.
func (a *app) checkOutbox(c *config.Config, file tokens.KeyFile, id string) (err error) {
	keys, err := file.List()
	if err != nil {
		return err
	}
	seals := func(k tokens.Key) bool { return k.ID == id && k.Kind == tokens.SealKeys }
	if !slices.ContainsFunc(keys, seals) {
		return nil
	}
	if _, err := os.Stat(c.DatabaseFile()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	h, err := openInstance(a.ctx, c, a.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer closeInto(&err, h.close)
	backlog, err := email.ReadBacklog(a.ctx, h.db, h.keys)
	if err == nil && backlog.Waiting > 0 {
		err = fmt.Errorf("%d mails are on their way to the spool, and the key may be needed for them: "+
			"try again when they are there", backlog.Waiting)
	}
	return err
}
