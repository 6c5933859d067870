package cli

import (
	"io"

	"accountd/internal/config"
	"accountd/schema"
)

type schemaCmd struct {
	Relay bool `help:"The Relay flavour."`
}

// Run prints the schema, which depends on the settings. It needs no data directory.
func (cmd *schemaCmd) Run(a *app, c *config.Config) error {
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
