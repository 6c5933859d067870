package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"accountd/email"
	"accountd/internal/config"
)

// withQueue runs fn on the spool, which has to exist.
func (a *app) withQueue(fn func(*config.Config, email.Queue) error) error {
	c, err := a.settings()
	if err != nil {
		return err
	}
	privateFiles()
	queue, err := email.OpenQueue(c.SpoolDir())
	if err != nil {
		return fmt.Errorf("%w: name the server's directory with --data-dir, or start the server once", err)
	}
	return fn(c, queue)
}

type mailListCmd struct {
	JSON bool `name:"json" help:"Print one JSON object a line."`
}

// Run prints the mails that wait or failed, and the last error of each.
func (cmd *mailListCmd) Run(a *app) error {
	return a.withQueue(func(c *config.Config, queue email.Queue) error {
		list, err := queue.List()
		if err != nil {
			return err
		}
		if cmd.JSON {
			return mailLines(a.Stdout, list)
		}
		return mailTable(a.Stdout, list, c.SMTPSettings().Host != "")
	})
}

func mailTable(out io.Writer, list []email.Queued, relayed bool) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tTO\tSTATE\tATTEMPTS\tNEXT\tERROR")
	waiting := 0
	for _, m := range list {
		next := "-"
		switch {
		case m.Failed:
		case !relayed:
			waiting++
		case m.Next.IsZero():
			next = "now"
		default:
			next = m.Next.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", m.Name, m.To, mailState(m), m.Attempts, next, m.Error)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if waiting > 0 {
		_, err := fmt.Fprintln(out, "\nMails wait in the spool for a program of yours: "+
			"there is no email.smtp.host to send them to.")
		return err
	}
	return nil
}

func mailState(m email.Queued) string {
	if m.Failed {
		return "failed"
	}
	return "waiting"
}

func mailLines(out io.Writer, list []email.Queued) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false) // addresses have angle brackets
	for _, m := range list {
		var next *int64
		if !m.Next.IsZero() {
			unix := m.Next.Unix()
			next = &unix
		}
		err := encoder.Encode(struct {
			Name     string `json:"name"`
			State    string `json:"state"`
			To       string `json:"to"`
			Subject  string `json:"subject"`
			Made     int64  `json:"made_at"`
			Attempts int    `json:"attempts"`
			Next     *int64 `json:"next_attempt"`
			Error    string `json:"error"`
		}{m.Name, mailState(m), m.To, m.Subject, m.Made.Unix(), m.Attempts, next, m.Error})
		if err != nil {
			return err
		}
	}
	return nil
}

type mailShowCmd struct {
	Name string `arg:"" help:"As mail list prints it."`
}

// Run prints a mail with its token.
func (cmd *mailShowCmd) Run(a *app) error {
	return a.withQueue(func(_ *config.Config, queue email.Queue) error {
		raw, err := queue.Read(cmd.Name)
		if err != nil {
			return err
		}
		_, err = a.Stdout.Write(raw)
		return err
	})
}

type mailRetryCmd struct {
	Name string `arg:"" optional:"" help:"As mail list prints it."`
	All  bool   `help:"Every mail that waits or has failed."`
}

// Run makes mails due now, for the running server or the next one.
func (cmd *mailRetryCmd) Run(a *app) error {
	if (cmd.Name == "") != cmd.All {
		return usageError{errors.New("mail retry takes the name of one mail, or --all")}
	}
	return a.withQueue(func(c *config.Config, queue email.Queue) error {
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
		_, err = fmt.Fprintf(a.Stdout, "%d to be tried now.\n", n)
		return err
	})
}

type mailDropCmd struct {
	Name string `arg:"" help:"As mail list prints it."`
}

// Run deletes a mail.
func (cmd *mailDropCmd) Run(a *app) error {
	return a.withQueue(func(_ *config.Config, queue email.Queue) error {
		if err := queue.Drop(cmd.Name); err != nil {
			return err
		}
		_, err := io.WriteString(a.Stdout, "Dropped.\n")
		return err
	})
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
		return fmt.Errorf("no mail goes out by %s:%d: %w", settings.Host, settings.Port, err)
	}
	_, err = fmt.Fprintf(a.Stdout, "%s:%d has taken a test message for %s: look whether it arrives, and not as spam.\n",
		settings.Host, settings.Port, cmd.Address)
	return err
}
