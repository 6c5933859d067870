package email

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// deliver brings one mail that take gave one step further: it is delivered, tried again later, or given up. It returns the
// connection for the next; nil where there is none.
func (r *Relay) deliver(ctx context.Context, c *connection, name string) *connection {
	state, err := r.spool.loadRetry(name)
	defer r.release(name)
	if err != nil {
		r.hold(name, r.now().Add(firstBackoff), err)
		return c
	}
	raw, to, err := r.read(ctx, name, state)
	var bad badMail
	switch {
	case errors.As(err, &bad):
		r.giveUp(name, state, bad.Error())
		return c
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, errForeign) || errors.Is(err, errUnsettled):
		return c // taken away, swapped, or too early
	case err != nil:
		r.hold(name, r.now().Add(firstBackoff), err)
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
		// We broke it off ourselves, and the next process begins at once.
	case !isDelivery || !failed.ofMessage():
		r.serverFailed(err)
	case failed.permanent():
		r.serverWorks()
		r.giveUp(name, state, r.settings.explain(err))
	default:
		if failed.usable() {
			r.serverWorks() // or mails that are refused for now would add to what it is left alone for when it breaks off
		}
		r.tryLater(name, state, r.settings.explain(err))
	}
	return c
}

// errUnsettled says that the outbox still has the mail.
var errUnsettled = errors.New("the outbox still has it")

// read gives the mail and its recipient. It fails with badMail where it will never be sent.
func (r *Relay) read(ctx context.Context, name string, state retry) (raw []byte, to string, err error) {
	waits, err := r.waitsInOutbox(ctx, name)
	if err == nil && waits {
		err = errUnsettled
	}
	if err != nil {
		return nil, "", err
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
		return nil, "", badMail(fmt.Sprintf("has waited for more than %d days", maxAge/(24*time.Hour)) + after(state.Error))
	}
	return raw, to, nil
}

func after(text string) string {
	if text == "" {
		return ""
	}
	return "; last: " + text
}

// send uses c, or makes a connection. A server may end one that it has taken a message on whenever it likes: then there is
// another at once.
func (r *Relay) send(ctx context.Context, c *connection, to string, raw []byte) (*connection, error) {
	if c != nil {
		err := c.send(r.from, to, raw)
		var failed *deliveryError
		if errors.As(err, &failed) && failed.step == stepMail && (failed.code() == 0 || failed.code() == 421) {
			c.close()
		} else {
			return r.keep(c, err)
		}
	}
	c, err := r.settings.connect(ctx, r.dial, r.roots)
	if err != nil {
		return nil, err
	}
	return r.keep(c, c.send(r.from, to, raw))
}

// keep gives the connection back if it takes another message.
func (r *Relay) keep(c *connection, err error) (*connection, error) {
	var failed *deliveryError
	if err == nil || errors.As(err, &failed) && failed.usable() && c.reset() == nil {
		return c, err
	}
	c.close()
	return nil, err
}

// release ends what take began.
func (r *Relay) release(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.onTheWay[name] {
		r.retrying--
	}
	delete(r.onTheWay, name)
}

// tryLater writes down when the mail is tried again.
func (r *Relay) tryLater(name string, state retry, reason string) {
	state.Attempts++
	state.Error = reason
	wait := backoff(firstBackoff, longestWait, state.Attempts, r.chance())
	state.next = r.now().Add(wait)
	r.log.Warn("mail_deferred", "mail", name, "attempts", state.Attempts, "wait", wait.Round(time.Second), "error", reason)
	if err := r.spool.saveRetry(name, state); err != nil {
		r.hold(name, state.next, fmt.Errorf("write down when a mail is tried again: %w", err))
	}
}

// hold leaves a mail alone for a while although that cannot be written down.
func (r *Relay) hold(name string, until time.Time, err error) {
	r.mu.Lock()
	r.held[name] = until
	r.mu.Unlock()
	r.report(err)
}

// giveUp moves the mail to failed.
func (r *Relay) giveUp(name string, state retry, reason string) {
	r.log.Error("mail_given_up", "mail", name, "attempts", state.Attempts+1, "reason", reason)
	if err := r.spool.giveUp(name, reason); err != nil {
		r.hold(name, r.now().Add(firstBackoff), fmt.Errorf("move a mail to failed: %w", err))
	}
}
