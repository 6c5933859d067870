package cli

import (
	"errors"
	"io"
	"io/fs"

	"accountd/email"
	"accountd/internal/config"
	"accountd/schema"
)

type configCmd struct {
	Check configCheckCmd `cmd:"" help:"Say whether the settings are fine, and if not, all that is wrong."`
	Show  configShowCmd  `cmd:"" help:"Print the settings in force, and where each comes from."`
}

type configCheckCmd struct{}

// Run reports all problems of the settings, and then the first one of the templates, the SMTP password and the key ring
// that they name. A missing key ring is no problem.
func (*configCheckCmd) Run(a *app, c *config.Config) error {
	if _, err := email.NewComposer(c.EmailSettings()); err != nil {
		return err
	}
	if err := c.SMTPSettings().Check(); err != nil {
		return err
	}
	if err := a.keyFile(c).Check(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Two arguments with the same name are only found when the schema is built.
	if _, err := schema.New(nil, schemaSettings(c, newLog(a.Stderr, c.Log))); err != nil {
		return err
	}
	for _, warning := range c.Warnings() {
		a.warn(warning)
	}
	_, err := io.WriteString(a.Stdout, "The settings are fine.\n")
	return err
}

type configShowCmd struct{}

// Run prints the settings, which have no secrets.
func (*configShowCmd) Run(a *app, c *config.Config) error {
	_, err := io.WriteString(a.Stdout, c.Redacted())
	return err
}
