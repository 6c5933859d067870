package cli

import (
	"errors"
	"fmt"
	"reflect"

	"accountd/accounts"
	"accountd/internal/config"
)

type userSetCmd struct {
	User           string  `arg:"" help:"Id, username or address."`
	Username       *string `help:"What the user logs in by."`
	Email          *string `placeholder:"ADDRESS" help:"The primary address. Sessions and mailed links end."`
	SecondaryEmail *string `placeholder:"ADDRESS" help:"The secondary address, taken as verified; \"\" for none."`
	FirstName      *string
	LastName       *string
	Field          []string `sep:"none" placeholder:"NAME=VALUE" help:"A field of accounts.fields; NAME= clears it."`
	Verified       *bool    `negatable:"" help:"The address is verified. If not, links that verify it end."`
	Archived       *bool    `negatable:"" help:"Archived: sessions end; a login takes it back."`
	Active         *bool    `negatable:"" help:"May log in. If not, sessions end."`
	Staff          *bool    `negatable:"" help:"May query other accounts."`
	Superuser      *bool    `negatable:""`
	Unlock         bool     `help:"Forget wrong passwords, and let refused logins in again."`
	asJSON
}

// Run validates the given values like a registration, and leaves the others as they are.
func (cmd *userSetCmd) Run(a *app, c *config.Config) error {
	in := accounts.SetUserInput{
		Username: cmd.Username, Email: cmd.Email, SecondaryEmail: cmd.SecondaryEmail,
		FirstName: cmd.FirstName, LastName: cmd.LastName, Verified: cmd.Verified, Archived: cmd.Archived,
		Active: cmd.Active, Staff: cmd.Staff, Superuser: cmd.Superuser, Unlock: cmd.Unlock,
	}
	var err error
	if in.Fields, err = parseFields(c.Accounts.Fields, cmd.Field); err != nil {
		return usageError{err}
	}
	if reflect.DeepEqual(in, accounts.SetUserInput{Fields: accounts.Values{}}) {
		return usageError{errors.New("user set: say what is to change, as in --email=ada@example.com or --no-staff")}
	}
	return a.printed(cmd.asJSON, func(svc *accounts.Service) (*accounts.User, error) {
		return svc.SetUser(a.ctx, cmd.User, in)
	})
}

type userSetPasswordCmd struct {
	User          string `arg:"" help:"Id, username or address."`
	PasswordStdin bool   `required:"" help:"Read the password from standard input: its first line."`
	asJSON
}

// Run validates the password like a registration. All sessions end.
func (cmd *userSetPasswordCmd) Run(a *app) error {
	password, err := readLine(a.Stdin)
	if err != nil {
		return fmt.Errorf("password from standard input: %w", err)
	}
	return a.printed(cmd.asJSON, func(svc *accounts.Service) (*accounts.User, error) {
		return svc.SetUserPassword(a.ctx, cmd.User, password)
	})
}

type userDeleteCmd struct {
	User        string `arg:"" help:"Id, username or address."`
	Permanently bool   `help:"Delete every row of the account, whatever accounts.delete_permanently says."`
	asJSON
}

// Run prints the account as it is afterwards, or as it was if it was deleted permanently.
func (cmd *userDeleteCmd) Run(a *app) error {
	return a.printed(cmd.asJSON, func(svc *accounts.Service) (*accounts.User, error) {
		return svc.DeleteUser(a.ctx, cmd.User, cmd.Permanently)
	})
}

// printed runs fn on the existing accounts and prints the user that it returns.
func (a *app) printed(form asJSON, fn func(*accounts.Service) (*accounts.User, error)) error {
	return a.withAccounts(func(svc *accounts.Service) error {
		u, err := fn(svc)
		if err != nil {
			return err
		}
		return form.print(a.Stdout, u)
	})
}
