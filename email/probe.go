package email

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// SendTest sends a message to an address at once, without outbox and spool. The error names the failed step and a
// remedy.
func SendTest(ctx context.Context, c *Composer, s SMTPSettings, to string, at time.Time) error {
	if !isPlainAddress(to) {
		return fmt.Errorf("%q is no address: write it without a name, and its domain in ASCII", to)
	}
	raw, err := c.testMessage(to, at)
	if err != nil {
		return fmt.Errorf("make the test message: %w", err)
	}
	conn, err := s.connect(ctx, (&net.Dialer{}).DialContext, nil)
	if err != nil {
		return errors.New(s.explain(err))
	}
	if err := conn.send(c.from.Address, to, raw); err != nil {
		conn.close()
		return errors.New(s.explain(err))
	}
	conn.quit()
	return nil
}

func (c *Composer) testMessage(to string, at time.Time) ([]byte, error) {
	id := strings.TrimSuffix(fileName(at), ".eml")
	msg, err := c.message(to, id, at, gomail.NoEncoding)
	if err != nil {
		return nil, err
	}
	msg.Subject(c.settings.SiteName + ": a test of accountd's mail")
	msg.SetBodyString(gomail.TypeTextPlain, "This is a test: mail from "+c.settings.SiteName+" arrives here.\r\n")
	return encode(msg)
}
