package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

	"accountd/email"
	"accountd/internal/config"
)

type mailCmd struct {
	Preview mailPreviewCmd `cmd:"" help:"Print a mail with sample data, to check settings and templates."`
	List    mailListCmd    `cmd:"" help:"List the mails in the spool, with next attempt and last error."`
	Show    mailShowCmd    `cmd:"" help:"Print a mail in the spool. Its links are valid, so keep it secret."`
	Retry   mailRetryCmd   `cmd:"" help:"Try a mail now, even if its delivery has failed."`
	Drop    mailDropCmd    `cmd:"" help:"Delete a mail in the spool."`
	Test    mailTestCmd    `cmd:"" help:"Send a test message, and say what fails and what to do."`
}

type mailPreviewCmd struct {
	Kind string `arg:"" enum:"${mail_kinds}" help:"One of ${mail_kinds}."`
	To   string `placeholder:"FILE.eml" xor:"what" help:"Write it to a file, for a mail program to open."`
	HTML bool   `name:"html" xor:"what" help:"Only the HTML, for a browser."`
	Text bool   `xor:"what" help:"Only the plain text."`
}

// mailKinds returns the kinds as kong takes them in an enum.
func mailKinds() string {
	var names []string
	for _, kind := range email.Kinds() {
		names = append(names, string(kind))
	}
	return strings.Join(names, ", ")
}

// Run makes a mail without sending it. It needs no data directory.
func (cmd *mailPreviewCmd) Run(a *app, c *config.Config) error {
	composer, err := email.NewComposer(c.EmailSettings())
	if err != nil {
		return err
	}
	message, err := composer.Preview(email.Kind(cmd.Kind), a.Now())
	if err != nil {
		return fmt.Errorf("make the %s email: %w", cmd.Kind, err)
	}
	switch {
	case cmd.To != "":
		return writePreview(cmd.To, message.Raw)
	case cmd.HTML:
		_, err = io.WriteString(a.Stdout, message.HTML)
	case cmd.Text:
		_, err = io.WriteString(a.Stdout, message.Text)
	default:
		_, err = a.Stdout.Write(message.Raw)
	}
	return err
}

// writePreview writes or overwrites a file. The ending .eml keeps a mistyped name from overwriting another file.
func writePreview(path string, raw []byte) error {
	if !strings.HasSuffix(path, ".eml") {
		return usageError{fmt.Errorf("--to %s: the name of the file ends in .eml", path)}
	}
	return os.WriteFile(path, raw, 0o600)
}
