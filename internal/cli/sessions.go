package cli

import (
	"errors"
	"fmt"
	"time"

	"accountd/accounts"
	"accountd/tokens"
)

type userSessionsCmd struct {
	User      string `arg:"" help:"Id, username or address."`
	Revoke    *int64 `xor:"revoke" placeholder:"ID" help:"End this session first."`
	RevokeAll bool   `xor:"revoke" help:"End all sessions first."`
	asJSON
}

func (cmd *userSessionsCmd) AfterApply() error {
	if cmd.Revoke != nil && *cmd.Revoke < 1 {
		return errors.New("--revoke takes the id of a session, as `user sessions` lists them")
	}
	return nil
}

// Run ends the given sessions and prints all.
func (cmd *userSessionsCmd) Run(a *app, svc *accounts.Service) (err error) {
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
	now := a.Now().Unix()
	object := func(s tokens.SessionState) any {
		return struct { // times are unix seconds, as in the API
			ID          int64   `json:"id,string"` // a string: too many digits for the numbers of many JSON readers
			CreatedAt   int64   `json:"created_at"`
			RefreshedAt int64   `json:"refreshed_at"`
			ExpiresAt   *int64  `json:"expires_at"`
			EndedAt     *int64  `json:"ended_at"`
			State       string  `json:"state"`
			EndReason   *string `json:"end_reason"`
		}{s.ID, s.CreatedAt, s.RefreshedAt, s.Ends(), s.EndedAt, sessionState(s, now), orNull(s.EndReason)}
	}
	row := func(s tokens.SessionState) string {
		words := sessionState(s, now)
		if s.EndReason != "" {
			words += ": " + s.EndReason
		}
		return fmt.Sprintf("%d\t%s\t%s\t%s\t%s",
			s.ID, clock(&s.CreatedAt), clock(&s.RefreshedAt), clock(s.Ends()), words)
	}
	return printList(a, cmd.JSON, list, object, "ID\tCREATED\tREFRESHED\tEXPIRES\tSTATE", row)
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
	return time.Unix(*unix, 0).UTC().Format(time.DateTime)
}

type tokensCmd struct {
	Clear tokensClearCmd `cmd:"" help:"Delete sessions that have ended or expired, and expired refresh tokens."`
}

type tokensClearCmd struct {
	Expired bool `help:"Only what has expired; sessions that were ended stay."`
	JSON    bool `name:"json" help:"Print one JSON object."`
}

// Run deletes sessions and refresh tokens that are no longer valid. A server does the same every hour, a week later.
func (cmd *tokensClearCmd) Run(a *app, svc *accounts.Service) error {
	cleared, err := svc.ClearSessions(a.ctx, accounts.ClearInput{ExpiredOnly: cmd.Expired})
	if err != nil {
		return fmt.Errorf("after %d sessions and %d refresh tokens: %w", cleared.Sessions, cleared.RefreshTokens, err)
	}
	return a.print(cmd.JSON, struct {
		Sessions      int64 `json:"sessions"`
		RefreshTokens int64 `json:"refresh_tokens"`

		// LongestHold is the longest time, in milliseconds, that one transaction held the write lock.
		LongestHold float64 `json:"longest_hold_ms"`
	}{cleared.Sessions, cleared.RefreshTokens, cleared.Longest.Seconds() * 1000},
		fmt.Sprintf("Deleted %d sessions and %d refresh tokens.\n", cleared.Sessions, cleared.RefreshTokens))
}
