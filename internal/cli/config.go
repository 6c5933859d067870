package cli

import (
	"cmp"
	"errors"
	"io/fs"

	"accountd/email"
	"accountd/internal/config"
	"accountd/schema"
)

type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Check the settings and list all errors."`
	Show  configShowCmd  `cmd:"" help:"Print the settings in force, and where each comes from."`
}

type configCheckCmd struct{}

// Run reports all problems of the settings, and then the first one of the templates, the SMTP password and the key ring
// that they name. A missing key ring is no problem.
func (*configCheckCmd) Run(a *app, c *config.Config) error {
	_, templates := email.NewComposer(c.EmailSettings())
	keys := a.keyFile(c).Check()
	if errors.Is(keys, fs.ErrNotExist) {
		keys = nil
	}
	// Two arguments with the same name are only found when the schema is built.
	_, arguments := schema.New(nil, c.SchemaSettings())
	if err := cmp.Or(templates, c.SMTPSettings().Check(), keys, arguments); err != nil {
		return err
	}
	for _, warning := range c.Warnings() {
		a.warn(warning)
	}
	return a.printf("The settings are fine.\n")
}

type configShowCmd struct{}

// Run prints the settings, which have no secrets.
func (*configShowCmd) Run(a *app, c *config.Config) error {
	return a.printf("%s", c.Redacted())
}

type schemaCmd struct {
	Relay bool `help:"The Relay flavour."`
}

// Run prints the schema, which depends on the settings. It needs no data directory.
func (cmd *schemaCmd) Run(a *app, c *config.Config) error {
	api, err := schema.New(nil, c.SchemaSettings())
	if err != nil {
		return err
	}
	flavour := schema.Plain
	if cmd.Relay {
		flavour = schema.Relay
	}
	return a.printf("%s", api.SDL(flavour))
}
