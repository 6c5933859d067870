package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"time"

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

// changeKeys returns an existing key ring, which no other command can change until this one has ended.
func (a *app) changeKeys(c *config.Config) (tokens.KeyFile, error) {
	if _, err := os.Stat(c.KeysFile()); err != nil {
		return tokens.KeyFile{}, noKeys(err)
	}
	return a.lockKeys(c)
}

// lockKeys returns the key ring, which no other command can change until this one has ended. The lock file stays.
func (a *app) lockKeys(c *config.Config) (tokens.KeyFile, error) {
	_, err := a.lockFile(c.KeysFile()+".lock", "key ring")
	if errors.Is(err, errLocked) {
		err = fmt.Errorf("another command is changing the keys in %s: run this one again when that is done",
			c.KeysFile())
	}
	return a.keyFile(c), err
}

func noKeys(err error) error {
	return fmt.Errorf("no key ring here: %w: name the server's directory with --data-dir, or copy the lost file back; "+
		"only if it is lost for good, make a new one with accountd keys init", err)
}

type keysListCmd struct{ asJSON }

// Run prints the keys by kind, the one in use first.
func (cmd *keysListCmd) Run(a *app, c *config.Config) error {
	keys, err := a.keyFile(c).List()
	if errors.Is(err, fs.ErrNotExist) {
		return noKeys(err)
	}
	if err != nil {
		return err
	}
	row := func(k tokens.Key) string {
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
		return fmt.Sprintf("%s\t%s\t%s\t%s\t%s", k.ID, k.Kind, k.Algorithm, created, use)
	}
	return printList(a, cmd.JSON, keys, keyObject, "ID\tKIND\tALGORITHM\tCREATED\tUSE", row)
}

type keysRotateCmd struct {
	Kind      string `enum:"access,action,seal" default:"access" help:"For access tokens, mailed links or mails."`
	Algorithm string `enum:"${algorithms}" default:"" help:"Algorithm of the new access key."`
	asJSON
}

// Run makes a key, and says when older ones can be retired.
func (cmd *keysRotateCmd) Run(a *app, c *config.Config) error {
	kind := tokens.KeyKind(cmd.Kind)
	if kind != tokens.AccessKeys && cmd.Algorithm != "" {
		return usageError{errors.New("--algorithm goes with --kind access")}
	}
	file, err := a.changeKeys(c)
	if err != nil {
		return err
	}
	key, err := file.Rotate(kind, cmp.Or(cmd.Algorithm, c.Tokens.Algorithm))
	if err != nil {
		return err
	}
	return a.printNewKey(cmd.JSON, c, key)
}

type keysImportCmd struct {
	File      string `arg:"" help:"PEM, or one line with the secret; - reads standard input."`
	Algorithm string `enum:"${algorithms}" default:"" help:"Algorithm (default: the PEM's, or tokens.algorithm)."`
	Sign      bool   `help:"Sign with it from now on; otherwise it only verifies."`
	asJSON
}

// Run adds a key. It makes a missing key ring, so that the first start finds the imported key.
func (cmd *keysImportCmd) Run(a *app, c *config.Config) error {
	raw, err := a.readKey(cmd.File)
	if err != nil {
		return fmt.Errorf("key to import: %w", err)
	}
	if _, err := os.Stat(c.KeysFile()); errors.Is(err, fs.ErrNotExist) {
		if err := a.firstRing(c); err != nil {
			return err
		}
	}
	file, err := a.lockKeys(c)
	if err != nil {
		return err
	}
	key, err := file.Import(raw, cmd.Algorithm, cmd.Sign)
	if err != nil {
		return fmt.Errorf("%s: %w", cmd.File, err)
	}
	return a.printNewKey(cmd.JSON, c, key)
}

// firstRing makes a key ring, unless the database needs keys that are gone.
func (a *app) firstRing(c *config.Config) error {
	if err := makeDataDir(c, a.warn); err != nil {
		return err
	}
	if err := a.lockShared(c); err != nil {
		return err
	}
	if err := checkLostKeys(a.ctx, c, a.Now, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	_, err := tokens.OpenKeys(c.KeysFile(), c.Tokens.Algorithm, a.Now)
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
	ID string `arg:"" help:"The id from accountd keys list."`
	asJSON
}

// Run removes a key, and says what stops working.
func (cmd *keysRetireCmd) Run(a *app, c *config.Config) error {
	file, err := a.changeKeys(c)
	if err != nil {
		return err
	}
	if err := a.checkOutbox(c, file, cmd.ID); err != nil {
		return err
	}
	key, err := file.Retire(cmd.ID)
	if err != nil {
		return err
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
	return a.print(cmd.JSON, keyObject(key), fmt.Sprintf("The %s key %s is gone. %s\n", key.Kind, key.ID, what))
}

// checkOutbox fails if the key is a seal key and mails wait in the outbox: it may have sealed them.
func (a *app) checkOutbox(c *config.Config, file tokens.KeyFile, id string) error {
	keys, err := file.List()
	if err != nil {
		return err
	}
	seals := func(k tokens.Key) bool { return k.ID == id && k.Kind == tokens.SealKeys }
	_, missing := os.Stat(c.DatabaseFile())
	if !slices.ContainsFunc(keys, seals) || errors.Is(missing, fs.ErrNotExist) {
		return nil
	}
	h, err := a.open(a.ctx, c, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	backlog, err := email.ReadBacklog(a.ctx, h.db, h.keys)
	if err == nil && backlog.Waiting > 0 {
		err = fmt.Errorf("%d mails are on their way to the spool, and the key may be needed for them: "+
			"try again when they are there", backlog.Waiting)
	}
	return err
}

// printNewKey prints a new key and what it does.
func (a *app) printNewKey(asJSON bool, c *config.Config, key tokens.Key) error {
	does, undoes := verbs(key.Kind)
	text := "It " + undoes + " from now on; a running server uses it within a second."
	switch {
	case !key.Verifies:
		text = fmt.Sprintf("It works once tokens.algorithm is %s and the server has been restarted; "+
			"access tokens of %s end then.", key.Algorithm, c.Tokens.Algorithm)
	case key.Signs:
		text = fmt.Sprintf("It %s from now on; a running server uses it within a second. Retire the older ones %s.",
			does, retirement(c, key.Kind))
	}
	return a.print(asJSON, keyObject(key),
		fmt.Sprintf("The ring has a new %s key, %s (%s). %s\n", key.Kind, key.ID, key.Algorithm, text))
}

// verbs say what the key in use does, and what older keys still do.
func verbs(kind tokens.KeyKind) (does, undoes string) {
	if kind == tokens.SealKeys {
		return "seals", "opens"
	}
	return "signs", "verifies"
}

// retirement says when older keys are no longer needed.
func retirement(c *config.Config, kind tokens.KeyKind) string {
	if kind == tokens.SealKeys {
		return "in a minute, when no mail waits that they sealed"
	}
	t := c.Tokens
	last, lifetime := "token", t.AccessLifetime+t.Leeway
	if kind == tokens.ActionKeys {
		last = "link"
		lifetime = max(t.ActivationLifetime, t.PasswordResetLifetime, t.PasswordSetLifetime, t.SecondaryEmailLifetime)
	}
	return fmt.Sprintf("in %s, when the last %s that they signed has expired", config.Duration(lifetime), last)
}

// keyObject is what is printed of a key as JSON.
func keyObject(k tokens.Key) any {
	created := ""
	if !k.Created.IsZero() {
		created = k.Created.Format(time.RFC3339)
	}
	return struct {
		ID        string  `json:"id"`
		Kind      string  `json:"kind"`
		Algorithm string  `json:"algorithm"`
		Created   *string `json:"created"`
		Signs     bool    `json:"signs"`
		Verifies  bool    `json:"verifies"`
	}{k.ID, string(k.Kind), k.Algorithm, orNull(created), k.Signs, k.Verifies}
}
