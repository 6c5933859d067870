package cli

import (
	"errors"
	"fmt"
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

// Run fails with everything that is wrong with the settings, or with the templates, the password and the key ring that they
// name. A key ring that is not there yet is fine.
func (*configCheckCmd) Run(a *app) error {
	c, err := a.settings(config.Overrides{})
	if err != nil {
		return err
	}
	if _, err := email.NewComposer(c.EmailSettings()); err != nil {
		return err
	}
	if err := c.SMTPSettings().Check(); err != nil {
		return err
	}
	if err := a.keyFile(c).Check(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// A name that two arguments would have shows only in the schema.
	if _, err := schema.New(nil, schemaSettings(c, newLog(a.Stderr, c.Log))); err != nil {
		return err
	}
	for _, warning := range c.Warnings() {
		fmt.Fprintf(a.Stderr, "accountd: warning: %s\n", warning)
	}
	_, err = io.WriteString(a.Stdout, "The settings are fine.\n")
	return err
}

type configShowCmd struct{}

// Run prints settings; there are no secrets among them.
func (*configShowCmd) Run(a *app) error {
	c, err := a.settings(config.Overrides{})
	if err != nil {
		return err
	}
	_, err = io.WriteString(a.Stdout, c.Redacted())
	return err
}
