package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

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
	SetPassword userSetPasswordCmd `cmd:"" help:"Give an account another password, and end its sessions. No mail is sent."`
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
	return a.withAccounts(func(svc *accounts.Service) error {
		u, err := svc.FindUser(a.ctx, cmd.User)
		if err != nil {
			return err
		}
		return cmd.print(a.Stdout, u)
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

// timeFormat is how commands print times to people.
const timeFormat = "2006-01-02 15:04:05 MST"

// print writes one account.
func (f asJSON) print(w io.Writer, u *accounts.User) error {
	fields := map[string]any{}
	for name, value := range u.Fields {
		if at, isTime := value.(time.Time); isTime {
			value = accounts.FormatDateTime(at)
		}
		fields[name] = value
	}
	if !f.JSON {
		text := fmt.Sprintf("id:        %d\nusername:  %s\nemail:     %s\nsecondary: %s\n"+
			"name:      %s\nstate:     %s\njoined:    %s\n",
			u.ID, u.Username, u.Email, orDash(u.SecondaryEmail),
			orDash(strings.TrimSpace(u.FirstName+" "+u.LastName)), state(u), u.DateJoined.Format(timeFormat))
		if u.Throttled != nil {
			text += "logins:    " + refusal(u.Throttled) + "\n"
		}
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			shown := "-"
			if fields[name] != nil {
				shown = fmt.Sprint(fields[name])
			}
			text += fmt.Sprintf("%-10s %s\n", name+":", shown)
		}
		_, err := io.WriteString(w, text)
		return err
	}
	return json.NewEncoder(w).Encode(struct {
		ID             int64          `json:"id"`
		Username       string         `json:"username"`
		Email          string         `json:"email"`
		Verified       bool           `json:"verified"`
		Archived       bool           `json:"archived"`
		IsActive       bool           `json:"is_active"`
		IsStaff        bool           `json:"is_staff"`
		SecondaryEmail *string        `json:"secondary_email"`
		Throttled      *throttled     `json:"throttled,omitempty"`
		Fields         map[string]any `json:"fields,omitempty"`
	}{
		u.ID, u.Username, u.Email, u.Verified, u.Archived, u.IsActive, u.IsStaff, orNull(u.SecondaryEmail),
		throttledJSON(u.Throttled), fields,
	})
}

// throttled is accounts.Throttled in JSON.
type throttled struct {
	Failures    int     `json:"failures"` // 0: refused only from the owner's own networks
	Refused     int     `json:"refused"`
	Until       *string `json:"until"` // null: until the password is changed
	OwnNetworks int     `json:"own_networks,omitempty"`
}

func throttledJSON(t *accounts.Throttled) *throttled {
	if t == nil {
		return nil
	}
	out := &throttled{Failures: t.Failures, Refused: t.Refused, OwnNetworks: t.OwnNetworks}
	if !t.Until.IsZero() {
		until := accounts.FormatDateTime(t.Until)
		out.Until = &until
	}
	return out
}

// refusal says from where logins are refused, why, and what helps.
func refusal(t *accounts.Throttled) string {
	var from []string
	if t.Failures > 0 {
		until := "there is a new password"
		if !t.Until.IsZero() {
			until = t.Until.Format(timeFormat)
		}
		from = append(from, fmt.Sprintf("refused until %s, after %d wrong passwords in a row, "+
			"except from networks of their own", until, t.Failures))
	}
	if t.OwnNetworks > 0 {
		from = append(from, fmt.Sprintf("refused from %d networks of their own, after wrong passwords there", t.OwnNetworks))
	}
	return strings.Join(append(from, "user set --unlock lets them in"), "; ")
}

// state lists the states of an account that differ from those of a new one.
func state(u *accounts.User) string {
	words := []string{map[bool]string{true: "verified", false: "unverified"}[u.Verified]}
	for _, w := range []struct {
		word string
		is   bool
	}{{"archived", u.Archived}, {"inactive", !u.IsActive}, {"staff", u.IsStaff}, {"superuser", u.IsSuperuser}} {
		if w.is {
			words = append(words, w.word)
		}
	}
	return strings.Join(words, ", ")
}

// problemLines returns one line for each problem of a form, with the name of its field.
func problemLines(problems accounts.Errors) []string {
	var lines []string
	for _, field := range slices.Sorted(maps.Keys(problems)) {
		for _, p := range problems[field] {
			line := p.Message
			if field != accounts.NonField {
				line = strings.ReplaceAll(field, "_", " ") + ": " + line
			}
			lines = append(lines, line)
		}
	}
	return lines
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
