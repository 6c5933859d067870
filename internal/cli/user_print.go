package cli

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"accountd/accounts"
)

// timeFormat is how commands print times to people.
const timeFormat = "2006-01-02 15:04:05 MST"

// asJSON is the flag of the commands that print accounts, keys or mails.
type asJSON struct {
	JSON bool `name:"json" help:"Print one JSON object a line."`
}

// print prints one account, unless it comes with an error.
func (f asJSON) print(a *app, u *accounts.User, err error) error {
	if err != nil {
		return err
	}
	text := fmt.Sprintf("id:        %d\nusername:  %s\nemail:     %s\nsecondary: %s\n"+
		"name:      %s\nstate:     %s\njoined:    %s\n",
		u.ID, u.Username, u.Email, cmp.Or(u.SecondaryEmail, "-"),
		cmp.Or(strings.TrimSpace(u.FirstName+" "+u.LastName), "-"), state(u), u.DateJoined.Format(timeFormat))
	var refused *throttled
	if t := u.Throttled; t != nil {
		text += "logins:    " + refusal(t) + "\n"
		refused = &throttled{Failures: t.Failures, Refused: t.Refused, OwnNetworks: t.OwnNetworks}
		if !t.Until.IsZero() {
			refused.Until = new(accounts.FormatDateTime(t.Until))
		}
	}
	fields := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(u.Fields)) {
		value := u.Fields[name]
		if at, isTime := value.(time.Time); isTime {
			value = accounts.FormatDateTime(at)
		}
		fields[name] = value
		if value == nil {
			value = "-"
		}
		text += fmt.Sprintf("%-10s %v\n", name+":", value)
	}
	return a.print(f.JSON, struct {
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
		refused, fields,
	}, text)
}

// throttled is accounts.Throttled in JSON.
type throttled struct {
	Failures    int     `json:"failures"` // 0: refused only from the owner's own networks
	Refused     int     `json:"refused"`
	Until       *string `json:"until"` // null: until the password is changed
	OwnNetworks int     `json:"own_networks,omitempty"`
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
		from = append(from, fmt.Sprintf("refused from %d networks of their own, after wrong passwords there",
			t.OwnNetworks))
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

// printProblems prints one line for each problem of a form, with the name of its field.
func printProblems(w io.Writer, problems accounts.Errors) {
	for _, field := range slices.Sorted(maps.Keys(problems)) {
		for _, p := range problems[field] {
			line := p.Message
			if field != accounts.NonField {
				line = strings.ReplaceAll(field, "_", " ") + ": " + line
			}
			fmt.Fprintf(w, "accountd: %s\n", line)
		}
	}
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
