package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

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
	shown := string(message.Raw)
	switch {
	case cmd.To != "":
		if !strings.HasSuffix(cmd.To, ".eml") { // keeps a mistyped name from overwriting another file
			return usageError{fmt.Errorf("--to %s: the name of the file ends in .eml", cmd.To)}
		}
		return os.WriteFile(cmd.To, message.Raw, 0o600)
	case cmd.HTML:
		shown = message.HTML
	case cmd.Text:
		shown = message.Text
	}
	return a.printf("%s", shown)
}

// openQueue opens the spool, which has to exist.
func (a *app) openQueue() (email.Queue, error) {
	c, err := a.settings()
	if err != nil {
		return email.Queue{}, err
	}
	queue, err := email.OpenQueue(c.SpoolDir())
	if err != nil {
		return queue, fmt.Errorf("%w: name the server's directory with --data-dir, or start the server once", err)
	}
	return queue, nil
}

type mailListCmd struct{ asJSON }

// Run prints the mails that wait or failed, and the last error of each.
func (cmd *mailListCmd) Run(a *app, c *config.Config, queue email.Queue) error {
	list, err := queue.List()
	if err != nil {
		return err
	}
	relayed, waiting := c.SMTPSettings().Host != "", false
	row := func(m email.Queued) string {
		next := "-"
		switch {
		case m.Failed:
		case !relayed:
			waiting = true
		case m.Next.IsZero():
			next = "now"
		default:
			next = m.Next.UTC().Format(time.RFC3339)
		}
		return fmt.Sprintf("%s\t%s\t%s\t%d\t%s\t%s", m.Name, m.To, mailStates[m.Failed], m.Attempts, next, m.Error)
	}
	err = printList(a, cmd.JSON, list, mailObject, "NAME\tTO\tSTATE\tATTEMPTS\tNEXT\tERROR", row)
	if err == nil && waiting {
		err = a.printf("\nMails wait in the spool for a program of yours: " +
			"there is no email.smtp.host to send them to.\n")
	}
	return err
}

// mailStates are the words for Queued.Failed.
var mailStates = map[bool]string{false: "waiting", true: "failed"}

// mailObject is what is printed of a mail as JSON.
func mailObject(m email.Queued) any {
	var next *int64
	if !m.Next.IsZero() {
		next = new(m.Next.Unix())
	}
	return struct {
		Name     string `json:"name"`
		State    string `json:"state"`
		To       string `json:"to"`
		Subject  string `json:"subject"`
		Made     int64  `json:"made_at"`
		Attempts int    `json:"attempts"`
		Next     *int64 `json:"next_attempt"`
		Error    string `json:"error"`
	}{m.Name, mailStates[m.Failed], m.To, m.Subject, m.Made.Unix(), m.Attempts, next, m.Error}
}

type mailShowCmd struct {
	Name string `arg:"" help:"The name from accountd mail list."`
}

// Run prints a mail with its token.
func (cmd *mailShowCmd) Run(a *app, queue email.Queue) error {
	raw, err := queue.Read(cmd.Name)
	if err != nil {
		return err
	}
	return a.printf("%s", raw)
}

type mailRetryCmd struct {
	Name string `arg:"" optional:"" help:"The name from accountd mail list."`
	All  bool   `help:"Every mail that waits or has failed."`
}

func (cmd *mailRetryCmd) AfterApply() error {
	if (cmd.Name == "") != cmd.All {
		return errors.New("mail retry takes the name of one mail, or --all")
	}
	return nil
}

// Run makes mails due now, for the running server or the next one.
func (cmd *mailRetryCmd) Run(a *app, c *config.Config, queue email.Queue) error {
	if c.SMTPSettings().Host == "" {
		return errNoServer
	}
	n := 1
	var err error
	if cmd.All {
		n, err = queue.RetryAll(a.Now())
	} else {
		err = queue.Retry(cmd.Name, a.Now())
	}
	if err != nil {
		return err
	}
	return a.printf("%d to be tried now.\n", n)
}

type mailDropCmd struct {
	Name string `arg:"" help:"The name from accountd mail list."`
}

// Run deletes a mail.
func (cmd *mailDropCmd) Run(a *app, queue email.Queue) error {
	if err := queue.Drop(cmd.Name); err != nil {
		return err
	}
	return a.printf("Dropped.\n")
}

var errNoServer = errors.New("there is no mail server to send to: set email.smtp.host")

type mailTestCmd struct {
	Address string `arg:"" help:"Where the test message goes."`
}

// Run sends a message without the spool, and says where it fails.
func (cmd *mailTestCmd) Run(a *app, c *config.Config) error {
	settings := c.SMTPSettings()
	if settings.Host == "" {
		return errNoServer
	}
	composer, err := email.NewComposer(c.EmailSettings())
	if err != nil {
		return err
	}
	if err := email.SendTest(a.ctx, composer, settings, cmd.Address, a.Now()); err != nil {
		return fmt.Errorf("mail test by %s:%d failed: %w", settings.Host, settings.Port, err)
	}
	return a.printf("%s:%d has taken a test message for %s: look whether it arrives, and not as spam.\n",
		settings.Host, settings.Port, cmd.Address)
}
