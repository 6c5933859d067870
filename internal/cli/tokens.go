package cli

import (
	"encoding/json"
	"fmt"

	"accountd/accounts"
)

type tokensCmd struct {
	Clear tokensClearCmd `cmd:"" help:"Delete sessions that have ended or expired, and expired refresh tokens."`
}

type tokensClearCmd struct {
	Expired bool `help:"Only what has expired; sessions that were ended stay."`
	JSON    bool `name:"json" help:"Print one JSON object."`
}

// Run deletes sessions and refresh tokens that are no longer valid. A server does the same every hour, a week later.
func (cmd *tokensClearCmd) Run(a *app) error {
	return a.withAccounts(func(svc *accounts.Service) error {
		cleared, err := svc.ClearSessions(a.ctx, accounts.ClearInput{ExpiredOnly: cmd.Expired})
		if err != nil {
			return fmt.Errorf("after %d sessions and %d refresh tokens: %w", cleared.Sessions,
				cleared.RefreshTokens, err)
		}
		if cmd.JSON {
			return json.NewEncoder(a.Stdout).Encode(struct {
				Sessions      int64 `json:"sessions"`
				RefreshTokens int64 `json:"refresh_tokens"`

				// LongestHold is the longest time, in milliseconds, that one transaction held the write lock.
				LongestHold float64 `json:"longest_hold_ms"`
			}{cleared.Sessions, cleared.RefreshTokens, cleared.Longest.Seconds() * 1000})
		}
		_, err = fmt.Fprintf(a.Stdout, "Deleted %d sessions and %d refresh tokens.\n",
			cleared.Sessions, cleared.RefreshTokens)
		return err
	})
}
