package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"accountd/accounts"
	"accountd/internal/config"
	"accountd/internal/store"
	"accountd/tokens"
)

type userCmd struct {
	Add         userAddCmd         `cmd:"" help:"Add an account. No mail is sent."`
	Show        userShowCmd        `cmd:"" help:"Print one account."`
	List        userListCmd        `cmd:"" help:"Print all accounts."`
	Set         userSetCmd         `cmd:"" help:"Change an account. No mail is sent."`
	SetPassword userSetPasswordCmd `cmd:"" help:"Set the password of an account and end its sessions. No mail is sent."`
	Delete      userDeleteCmd      `cmd:"" help:"Deactivate an account, or delete it for good. No mail is sent."`
	Sessions    userSessionsCmd    `cmd:"" help:"Print the sessions of an account, and end them."`
	Link        userLinkCmd        `cmd:"" help:"Make the link of a mail without mailing it."`
}

// asJSON is the flag of the commands that print users.
type asJSON struct {
	JSON bool `name:"json" help:"Print one JSON object a line."`
}

// withAccounts runs fn on the accounts of the data directory, which has to exist.
func (a *app) withAccounts(fn func(*accounts.Service) error) error {
	c, err := a.settings()
	if err != nil {
		return err
	}
	if err := haveAccounts(c); err != nil {
		return err
	}
	return a.withService(c, fn)
}

// haveAccounts fails where there is no database, and no interrupted restore that will put one there.
func haveAccounts(c *config.Config) error {
	if _, err := os.Stat(c.DatabaseFile()); err != nil && !store.Replacing(c.DatabaseFile()) {
		return fmt.Errorf("no accounts here: %w: name the server's directory with --data-dir", err)
	}
	return nil
}

// withService runs fn on the accounts of the data directory, which is created if need be. Log lines are discarded: the
// command's output replaces them.
func (a *app) withService(c *config.Config, fn func(*accounts.Service) error) (err error) {
	privateFiles()
	if err := makeDataDir(c, a.warn); err != nil {
		return err
	}
	h, err := openInstance(a.ctx, c, a.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer closeInto(&err, h.close)
	return fn(h.service)
}

type userAddCmd struct {
	Username       string `help:"Not needed where accounts.register_fields has no username."`
	Email          string `required:"" help:"Where mail to the user goes."`
	SecondaryEmail string `help:"A second address. It counts as verified."`
	PasswordStdin  bool   `xor:"password" required:"" help:"Read the password from standard input: its first line."`
	NoPassword     bool   `xor:"password" required:"" help:"No password: no login until one is set."`
	FirstName      string
	LastName       string
	Field          []string `sep:"none" placeholder:"NAME=VALUE" help:"A field of accounts.fields; can be repeated."`
	Verified       bool     `help:"The address is verified."`
	Archived       bool     `help:"Archived; a login takes it back."`
	Inactive       bool     `help:"May not log in."`
	Staff          bool     `help:"May query other accounts."`
	Superuser      bool
	asJSON
}

// Run validates the account like a registration.
func (cmd *userAddCmd) Run(a *app, c *config.Config) error {
	in := accounts.AddUserInput{
		Username: cmd.Username, Email: cmd.Email, SecondaryEmail: cmd.SecondaryEmail,
		FirstName: cmd.FirstName, LastName: cmd.LastName, NoPassword: cmd.NoPassword, Verified: cmd.Verified,
		Archived: cmd.Archived, Inactive: cmd.Inactive, Staff: cmd.Staff, Superuser: cmd.Superuser,
	}
	var err error
	if in.Fields, err = parseFields(c.Accounts.Fields, cmd.Field); err != nil {
		return usageError{err}
	}
	if cmd.PasswordStdin {
		if in.Password, err = readLine(a.Stdin); err != nil {
			return fmt.Errorf("password from standard input: %w", err)
		}
	}
	return a.withService(c, func(svc *accounts.Service) error {
		u, err := svc.AddUser(a.ctx, in)
		if err != nil {
			return err
		}
		return cmd.print(a.Stdout, u)
	})
}

// parseFields reads NAME=VALUE arguments, each name once. A value is parsed by the type of its field; an empty one
// clears the field.
func parseFields(fields []accounts.Field, pairs []string) (accounts.Values, error) {
	values := accounts.Values{}
	for _, pair := range pairs {
		name, text, given := strings.Cut(pair, "=")
		if !given {
			return nil, fmt.Errorf("--field %s: write NAME=VALUE", pair)
		}
		i := slices.IndexFunc(fields, func(f accounts.Field) bool { return f.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("--field %s: %q is no field of accounts.fields", pair, name)
		}
		if _, twice := values[name]; twice {
			return nil, fmt.Errorf("--field %s: %s is given twice", pair, name)
		}
		values[name] = nil
		if text == "" {
			continue
		}
		value, err := fields[i].Parse(text)
		if err != nil {
			return nil, fmt.Errorf("--field %s: %q %w", pair, text, err)
		}
		values[name] = value
	}
	return values, nil
}

// readLine returns the first line without its line break. Spaces are kept: a password may have them.
func readLine(r io.Reader) (string, error) {
	const most = 64 << 10
	raw, err := io.ReadAll(io.LimitReader(r, most))
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	return strings.TrimSuffix(line, "\r"), nil
}

type userShowCmd struct {
	User string `arg:"" help:"Id, username or address."`
	asJSON
}

// Run prints one account.
func (cmd *userShowCmd) Run(a *app) error {
	return a.printed(cmd.asJSON, func(svc *accounts.Service) (*accounts.User, error) {
		return svc.FindUser(a.ctx, cmd.User)
	})
}

type userListCmd struct{ asJSON }

// Run prints all accounts by id.
func (cmd *userListCmd) Run(a *app) error {
	return a.withAccounts(func(svc *accounts.Service) error {
		if cmd.JSON {
			return svc.EachUser(a.ctx, func(u *accounts.User) error { return cmd.print(a.Stdout, u) })
		}
		w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tUSERNAME\tEMAIL\tSTATE")
		err := svc.EachUser(a.ctx, func(u *accounts.User) error {
			_, err := fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", u.ID, u.Username, u.Email, state(u))
			return err
		})
		return errors.Join(err, w.Flush())
	})
}

type userLinkCmd struct {
	Kind  string `arg:"" enum:"${link_kinds}" help:"One of ${link_kinds}."`
	User  string `arg:"" help:"Id, username or address."`
	Email string `placeholder:"ADDRESS" help:"The address to be confirmed, for secondary_email."`
	asJSON
}

// Run prints a token and the link that a mail would have.
func (cmd *userLinkCmd) Run(a *app) error {
	if (cmd.Kind == string(tokens.SecondaryEmail)) != (cmd.Email != "") {
		return usageError{errors.New("--email goes with secondary_email, and with nothing else")}
	}
	return a.withAccounts(func(svc *accounts.Service) error {
		link, err := svc.Link(a.ctx, tokens.Purpose(cmd.Kind), cmd.User, cmd.Email)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return json.NewEncoder(a.Stdout).Encode(struct {
				Token    string `json:"token"`
				Link     string `json:"link"`
				ID       int64  `json:"id"`
				Username string `json:"username"`
			}{link.Token, link.URL, link.User.ID, link.User.Username})
		}
		// The user is shown because a number can be the id of one user and the username of another.
		_, err = fmt.Fprintf(a.Stdout, "token: %s\nlink:  %s\nuser:  %d, %s, %s\n",
			link.Token, link.URL, link.User.ID, link.User.Username, link.User.Email)
		return err
	})
}
