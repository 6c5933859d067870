package cli

import (
	"io"

	"accountd/internal/config"
	"accountd/schema"
)

type schemaCmd struct {
	Relay bool `help:"The Relay flavour."`
}

// Run prints the schema as the settings make it. No account is looked at, so it needs no data directory.
func (cmd *schemaCmd) Run(a *app) error {
	c, err := a.settings(config.Overrides{})
	if err != nil {
		return err
	}
	api, err := schema.New(nil, schemaSettings(c, newLog(a.Stderr, c.Log)))
	if err != nil {
		return err
	}
	style := schema.Plain
	if cmd.Relay {
		style = schema.Relay
	}
	_, err = io.WriteString(a.Stdout, api.SDL(style))
	return err
}
