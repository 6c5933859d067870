package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"accountd/accounts"
	"accountd/tokens"
)

type userSessionsCmd struct {
	User      string `arg:"" help:"Id, username or address."`
	Revoke    *int64 `xor:"revoke" placeholder:"ID" help:"End this session first."`
	RevokeAll bool   `xor:"revoke" help:"End all sessions first."`
	JSON      bool   `name:"json" help:"Print one JSON object a line."`
}

// Run ends the given sessions and prints all.
func (cmd *userSessionsCmd) Run(a *app) error {
	if cmd.Revoke != nil && *cmd.Revoke < 1 {
		return usageError{errors.New("--revoke takes the id of a session, as `user sessions` lists them")}
	}
	return a.withAccounts(func(svc *accounts.Service) (err error) {
		switch {
		case cmd.Revoke != nil:
			err = svc.EndSession(a.ctx, cmd.User, *cmd.Revoke)
		case cmd.RevokeAll:
			err = svc.EndSession(a.ctx, cmd.User, 0)
		}
		if err != nil {
			return err
		}
		list, err := svc.Sessions(a.ctx, cmd.User)
		if err != nil {
			return err
		}
		if cmd.JSON {
			return sessionLines(a.Stdout, list, a.Now().Unix())
		}
		return sessionTable(a.Stdout, list, a.Now().Unix())
	})
}

func sessionTable(out io.Writer, list []tokens.SessionState, now int64) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tCREATED\tREFRESHED\tEXPIRES\tSTATE")
	for _, s := range list {
		words := sessionState(s, now)
		if s.EndReason != "" {
			words += ": " + s.EndReason
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", s.ID, clock(&s.CreatedAt), clock(&s.RefreshedAt), clock(s.Ends()), words)
	}
	return w.Flush()
}

// sessionLines prints times as unix seconds, as the API does.
func sessionLines(out io.Writer, list []tokens.SessionState, now int64) error {
	enc := json.NewEncoder(out)
	for _, s := range list {
		if err := enc.Encode(struct {
			ID          int64   `json:"id,string"` // a string: too many digits for the numbers of many JSON readers
			CreatedAt   int64   `json:"created_at"`
			RefreshedAt int64   `json:"refreshed_at"`
			ExpiresAt   *int64  `json:"expires_at"`
			EndedAt     *int64  `json:"ended_at"`
			State       string  `json:"state"`
			EndReason   *string `json:"end_reason"`
		}{s.ID, s.CreatedAt, s.RefreshedAt, s.Ends(), s.EndedAt, sessionState(s, now),
			orNull(s.EndReason)}); err != nil {
			return err
		}
	}
	return nil
}

func sessionState(s tokens.SessionState, now int64) string {
	switch {
	case s.EndedAt != nil:
		return "ended"
	case !s.Live(now):
		return "expired"
	default:
		return "live"
	}
}

func clock(unix *int64) string {
	if unix == nil {
		return "-"
	}
	return time.Unix(*unix, 0).UTC().Format("2006-01-02 15:04:05")
}
