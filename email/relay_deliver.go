package email

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/mail"
	"time"
)

// deliver makes one attempt for a mail of take, which is then delivered, deferred or given up. It returns the
// connection for the next mail, or nil.
func (r *Relay) deliver(ctx context.Context, c *connection, name string) *connection {
	state, err := r.spool.loadRetry(name)
	defer r.release(name)
	if err != nil {
		r.postpone(name, r.now().Add(firstBackoff), err)
		return c
	}
	raw, to, err := r.read(ctx, name, state)
	var bad badMail
	switch {
	case errors.As(err, &bad):
		r.giveUp(name, state, bad.Error())
		return c
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, errForeign) || errors.Is(err, errUnsettled):
		return c // taken by another reader, replaced, or too early
	case err != nil:
		r.postpone(name, r.now().Add(firstBackoff), err)
		return c
	}
	c, err = r.send(ctx, c, to, raw)
	var failed *deliveryError
	switch isDelivery := errors.As(err, &failed); {
	case err == nil:
		r.serverWorks()
		r.log.Info("mail_delivered", "mail", name, "attempts", state.Attempts+1)
		r.mu.Lock()
		err = r.remove(name)
		r.mu.Unlock()
		r.report(err)
	case ctx.Err() != nil && (!isDelivery || failed.code() == 0):
		// The relay ends. The next process makes the next attempt at once.
	case !isDelivery || !failed.ofMessage():
		r.serverFailed(err)
	case failed.code() >= 500:
		r.serverWorks()
		r.giveUp(name, state, r.settings.explain(err))
	default:
		if failed.usable() {
			r.serverWorks() // refused mails must not extend the next backoff
		}
		r.tryLater(name, state, r.settings.explain(err))
	}
	return c
}

// errUnsettled says that the outbox still has the row of the mail. After a crash such a mail is published again unless
// its file is in the spool.
var errUnsettled = errors.New("the outbox still has it")

// read returns the mail and its recipient. It fails with badMail for mails that can never be sent.
func (r *Relay) read(ctx context.Context, name string, state retry) (raw []byte, to string, err error) {
	if waits, err := hasRow(ctx, r.outbox.db, name); err != nil || waits {
		return nil, "", cmp.Or(err, errUnsettled)
	}
	if raw, err = readMail(r.spool.newPath(name)); err != nil {
		return nil, "", err
	}
	if to, err = recipient(raw); err != nil {
		return nil, "", err
	}
	since := madeAt(name)
	if state.Since != 0 {
		since = time.Unix(state.Since, 0)
	}
	if r.now().Sub(since) > maxAge {
		why := fmt.Sprintf("has waited for more than %d days", maxAge/(24*time.Hour))
		if state.Error != "" {
			why += "; last: " + state.Error
		}
		return nil, "", badMail(why)
	}
	return raw, to, nil
}

// send sends over c, or over a new connection if c is nil. A server may close an idle connection at any time: then it
// makes a new one at once. It returns the connection if that can take another message.
func (r *Relay) send(ctx context.Context, c *connection, to string, raw []byte) (*connection, error) {
	for isIdle := c != nil; ; isIdle, c = false, nil {
		if c == nil {
			var err error
			if c, err = r.settings.connect(ctx, r.dial, r.roots); err != nil {
				return nil, err
			}
		}
		err := c.send(r.from, to, raw)
		failed, _ := errors.AsType[*deliveryError](err)
		if err == nil || failed.usable() && c.reset() == nil {
			return c, err
		}
		c.close()
		if !isIdle || failed.step != stepMail || failed.code() != 0 && failed.code() != 421 {
			return nil, err
		}
	}
}

// release ends the reservation of take.
func (r *Relay) release(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inFlight[name] {
		r.retrying--
	}
	delete(r.inFlight, name)
}

// tryLater schedules the next attempt.
func (r *Relay) tryLater(name string, state retry, reason string) {
	state.Attempts++
	state.Error = reason
	wait := backoff(firstBackoff, longestWait, state.Attempts, r.chance())
	state.next = r.now().Add(wait)
	r.log.Warn("mail_deferred",
		"mail", name, "attempts", state.Attempts, "wait", wait.Round(time.Second), "error", reason)
	if err := r.spool.saveRetry(name, state); err != nil {
		r.postpone(name, state.next, fmt.Errorf("store the next attempt of a mail: %w", err))
	}
}

// postpone keeps the time of the next attempt in memory, because the spool could not store it.
func (r *Relay) postpone(name string, until time.Time, err error) {
	r.mu.Lock()
	r.postponed[name] = until
	r.mu.Unlock()
	r.report(err)
}

// giveUp moves the mail to failed.
func (r *Relay) giveUp(name string, state retry, reason string) {
	r.log.Error("mail_given_up", "mail", name, "attempts", state.Attempts+1, "reason", reason)
	if err := r.spool.giveUp(name, reason); err != nil {
		r.postpone(name, r.now().Add(firstBackoff), fmt.Errorf("move a mail to failed: %w", err))
	}
}

// SendTest sends a message to an address at once, without outbox and spool. The error names the failed step and a
// remedy.
func SendTest(ctx context.Context, c *Composer, s SMTPSettings, to string, at time.Time) error {
	address, err := mail.ParseAddress(to)
	if err != nil || !isPlainAddress(to) {
		return fmt.Errorf("%q is no address: write it without a name, and its domain in ASCII", to)
	}
	raw, err := c.encode(address, fileName(at), at, Message{
		Subject: c.settings.SiteName + ": a test of accountd's mail",
		Text:    "This is a test: mail from " + c.settings.SiteName + " arrives here.\n",
	})
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
