package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
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

// accounts opens the accounts of the data directory, which has to exist, until the command has ended.
func (a *app) accounts() (*accounts.Service, error) {
	c, err := a.settings()
	if err == nil {
		err = haveAccounts(c)
	}
	if err != nil {
		return nil, err
	}
	return a.makeAccounts(c)
}

// haveAccounts fails where there is no database, and no interrupted restore that will put one there.
func haveAccounts(c *config.Config) error {
	if _, err := os.Stat(c.DatabaseFile()); err != nil && !store.Replacing(c.DatabaseFile()) {
		return fmt.Errorf("no accounts here: %w: name the server's directory with --data-dir", err)
	}
	return nil
}

// makeAccounts is accounts for a data directory that is created if need be. Log lines are discarded: the command's
// output replaces them.
func (a *app) makeAccounts(c *config.Config) (*accounts.Service, error) {
	if err := makeDataDir(c, a.warn); err != nil {
		return nil, err
	}
	h, err := a.open(a.ctx, c, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return h.service, nil
}

type userAddCmd struct {
	Username       string `help:"Not needed where accounts.register_fields has no username."`
	Email          string `required:"" help:"The primary address."`
	SecondaryEmail string `help:"A second address. It counts as verified."`
	PasswordStdin  bool   `xor:"password" required:"" help:"Read the password from standard input: its first line."`
	NoPassword     bool   `xor:"password" required:"" help:"No password: no login until one is set."`
	FirstName      string
	LastName       string
	Field          []string `sep:"none" placeholder:"NAME=VALUE" help:"A field of accounts.fields; can be repeated."`
	Verified       bool     `help:"The address is verified."`
	Archived       bool     `help:"Archived. A login unarchives the account."`
	Inactive       bool     `help:"May not log in."`
	Staff          bool     `help:"Staff: may query other accounts."`
	Superuser      bool
	asJSON
}

// Run validates the account like a registration.
func (cmd *userAddCmd) Run(a *app, c *config.Config) error {
	fields, err := parseFields(c.Accounts.Fields, cmd.Field)
	if err != nil {
		return usageError{err}
	}
	in := accounts.AddUserInput{
		Fields: fields, Username: cmd.Username, Email: cmd.Email, SecondaryEmail: cmd.SecondaryEmail,
		FirstName: cmd.FirstName, LastName: cmd.LastName, NoPassword: cmd.NoPassword, Verified: cmd.Verified,
		Archived: cmd.Archived, Inactive: cmd.Inactive, Staff: cmd.Staff, Superuser: cmd.Superuser,
	}
	if cmd.PasswordStdin {
		if in.Password, err = a.readPassword(); err != nil {
			return err
		}
	}
	svc, err := a.makeAccounts(c)
	if err != nil {
		return err
	}
	u, err := svc.AddUser(a.ctx, in)
	return cmd.print(a, u, err)
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
		if text != "" {
			var err error
			if values[name], err = fields[i].Parse(text); err != nil {
				return nil, fmt.Errorf("--field %s: %q %w", pair, text, err)
			}
		}
	}
	return values, nil
}

// readPassword returns the first line of standard input without its line break. Spaces are kept.
func (a *app) readPassword() (string, error) {
	line, err := bufio.NewReader(io.LimitReader(a.Stdin, 64<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("password from standard input: %w", err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), nil
}

type userShowCmd struct {
	User string `arg:"" help:"Id, username or address."`
	asJSON
}

// Run prints one account.
func (cmd *userShowCmd) Run(a *app, svc *accounts.Service) error {
	u, err := svc.FindUser(a.ctx, cmd.User)
	return cmd.print(a, u, err)
}

type userListCmd struct{ asJSON }

// Run prints all accounts by id.
func (cmd *userListCmd) Run(a *app, svc *accounts.Service) error {
	if cmd.JSON {
		return svc.EachUser(a.ctx, func(u *accounts.User) error { return cmd.print(a, u, nil) })
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tUSERNAME\tEMAIL\tSTATE")
	err := svc.EachUser(a.ctx, func(u *accounts.User) error {
		_, err := fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", u.ID, u.Username, u.Email, state(u))
		return err
	})
	return errors.Join(err, w.Flush())
}

type userLinkCmd struct {
	Kind  string `arg:"" enum:"${link_kinds}" help:"One of ${link_kinds}."`
	User  string `arg:"" help:"Id, username or address."`
	Email string `placeholder:"ADDRESS" help:"The address to be confirmed, for secondary_email."`
	asJSON
}

func (cmd *userLinkCmd) AfterApply() error {
	if (cmd.Kind == string(tokens.SecondaryEmail)) != (cmd.Email != "") {
		return errors.New("--email goes with secondary_email, and with nothing else")
	}
	return nil
}

// Run prints a token and the link that a mail would have.
func (cmd *userLinkCmd) Run(a *app, svc *accounts.Service) error {
	link, err := svc.Link(a.ctx, tokens.Purpose(cmd.Kind), cmd.User, cmd.Email)
	if err != nil {
		return err
	}
	// The user is shown because a number can be the id of one user and the username of another.
	return a.print(cmd.JSON, struct {
		Token    string `json:"token"`
		Link     string `json:"link"`
		ID       int64  `json:"id"`
		Username string `json:"username"`
	}{link.Token, link.URL, link.User.ID, link.User.Username},
		fmt.Sprintf("token: %s\nlink:  %s\nuser:  %d, %s, %s\n",
			link.Token, link.URL, link.User.ID, link.User.Username, link.User.Email))
}

type userSetCmd struct {
	User           string  `arg:"" help:"Id, username or address."`
	Username       *string `help:"The username."`
	Email          *string `placeholder:"ADDRESS" help:"The primary address. Sessions and mailed links end."`
	SecondaryEmail *string `placeholder:"ADDRESS" help:"The secondary address, taken as verified; \"\" for none."`
	FirstName      *string
	LastName       *string
	Field          []string `sep:"none" placeholder:"NAME=VALUE" help:"A field of accounts.fields; NAME= clears it."`
	Verified       *bool    `negatable:"" help:"The address is verified. If not, links that verify it end."`
	Archived       *bool    `negatable:"" help:"Archived: sessions end. A login unarchives the account."`
	Active         *bool    `negatable:"" help:"May log in. If not, sessions end."`
	Staff          *bool    `negatable:"" help:"Staff: may query other accounts."`
	Superuser      *bool    `negatable:""`
	Unlock         bool     `help:"Reset the counters of wrong passwords, so that the user can log in again."`
	asJSON
}

// Run validates the given values like a registration, and leaves the others as they are.
func (cmd *userSetCmd) Run(a *app, c *config.Config) error {
	fields, err := parseFields(c.Accounts.Fields, cmd.Field)
	if err != nil {
		return usageError{err}
	}
	in := accounts.SetUserInput{
		Fields: fields, Username: cmd.Username, Email: cmd.Email, SecondaryEmail: cmd.SecondaryEmail,
		FirstName: cmd.FirstName, LastName: cmd.LastName, Verified: cmd.Verified, Archived: cmd.Archived,
		Active: cmd.Active, Staff: cmd.Staff, Superuser: cmd.Superuser, Unlock: cmd.Unlock,
	}
	if reflect.DeepEqual(in, accounts.SetUserInput{Fields: accounts.Values{}}) {
		return usageError{errors.New("user set: say what is to change, as in --email=ada@example.com or --no-staff")}
	}
	svc, err := a.accounts()
	if err != nil {
		return err
	}
	u, err := svc.SetUser(a.ctx, cmd.User, in)
	return cmd.print(a, u, err)
}

type userSetPasswordCmd struct {
	User          string `arg:"" help:"Id, username or address."`
	PasswordStdin bool   `required:"" help:"Read the password from standard input: its first line."`
	asJSON
}

// Run validates the password like a registration. All sessions end.
func (cmd *userSetPasswordCmd) Run(a *app) error {
	password, err := a.readPassword()
	if err != nil {
		return err
	}
	svc, err := a.accounts()
	if err != nil {
		return err
	}
	u, err := svc.SetUserPassword(a.ctx, cmd.User, password)
	return cmd.print(a, u, err)
}

type userDeleteCmd struct {
	User        string `arg:"" help:"Id, username or address."`
	Permanently bool   `help:"Delete every row of the account, whatever accounts.delete_permanently says."`
	asJSON
}

// Run prints the account as it is afterwards, or as it was if it was deleted permanently.
func (cmd *userDeleteCmd) Run(a *app, svc *accounts.Service) error {
	u, err := svc.DeleteUser(a.ctx, cmd.User, cmd.Permanently)
	return cmd.print(a, u, err)
}
