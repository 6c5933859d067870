package email

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"accountd/internal/store"
)

// maxConnections is how many connections to the mail server there are at most. One of them is never used for mails that
// have failed before, so that those delay none that is new.
const maxConnections = 3

// scanInterval is how often the relay looks into the spool.
const scanInterval = time.Second

// Relay delivers the mails of the spool by SMTP. What it remembers is in the spool: it can be killed at any time. A mail is
// deleted once the server has answered for it; when that answer is lost, it is sent again, with the same Message-ID.
type Relay struct {
	settings SMTPSettings
	from     string
	outbox   *Outbox
	spool    spool
	now      func() time.Time
	log      *slog.Logger
	dial     dialer
	roots    *x509.CertPool // nil: the system's
	chance   func() float64 // 0 to 1; workers call it at the same time

	mu       sync.Mutex
	fresh    []string             // guarded by mu; not tried yet, oldest first
	newest   bool                 // guarded by mu; whether the next of them is the newest
	again    []string             // guarded by mu; tried before and due, the longest due first
	onTheWay map[string]bool      // guarded by mu; true: it has been tried before
	retrying int                  // guarded by mu; how many of those have been
	held     map[string]time.Time // guarded by mu; not before then, because it could not be written down
	sent     map[string]bool      // guarded by mu; delivered, and could not be deleted
	workers  int                  // guarded by mu
	server   retry                // guarded by mu; of the server as a whole
	trouble  string               // guarded by mu; with files, the last that was logged
}

// NewRelay makes the relay of an outbox's spool; Run starts it. Settings with a login have passed Check.
func NewRelay(o *Outbox, s SMTPSettings) *Relay {
	return &Relay{
		settings: s, from: o.from.Address, outbox: o, spool: o.spool, now: o.db.Now, log: o.log,
		dial: (&net.Dialer{}).DialContext, chance: rand.Float64,
		onTheWay: map[string]bool{}, held: map[string]time.Time{}, sent: map[string]bool{},
	}
}

// Run delivers until ctx ends; what is on its way then has a few seconds. Only the process that publishes may call it, after
// Outbox.Start. A server that cannot be reached is logged once, and tried again.
func (r *Relay) Run(ctx context.Context) {
	r.report(r.spool.forgetGone()) // the server among them: who restarts may have changed the settings
	var running sync.WaitGroup
	defer running.Wait()
	look := time.NewTicker(scanInterval)
	defer look.Stop()
	for {
		more, err := r.scan()
		if err == nil {
			r.forgetTrouble()
		}
		r.report(err)
		for range more {
			running.Go(func() { r.work(ctx) })
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// scan makes lists of what is to be delivered now, and says how many workers are missing for it. Before the spool can
// be used there is nothing: what is delivered and cannot be deleted would be sent again after each restart.
func (r *Relay) scan() (more int, err error) {
	if !r.outbox.isPublishing() {
		return 0, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	r.fresh, r.again = nil, nil
	maps.DeleteFunc(r.held, func(_ string, until time.Time) bool { return !now.Before(until) })
	names, err := r.spool.mails("new")
	if err != nil {
		return 0, fmt.Errorf("look into the spool: %w", err)
	}
	next, err := r.spool.nextAttempts()
	if err != nil {
		return 0, fmt.Errorf("look into the spool: %w", err)
	}
	switch at, waiting := next[serverRetry]; {
	case waiting && r.server.Attempts == 0:
		err = r.spool.forget(serverRetry) // it came back while an operator wanted it tried
	case waiting && at.Before(r.server.next):
		r.server.next = now // an operator wants it tried
	}
	for _, name := range names {
		at, tried := next[name]
		_, onTheWay := r.onTheWay[name]
		switch {
		case onTheWay || !r.held[name].IsZero():
		case r.sent[name]:
			err = errors.Join(err, r.remove(name))
		case !tried:
			r.fresh = append(r.fresh, name)
		case !now.Before(at):
			r.again = append(r.again, name)
		}
	}
	slices.SortStableFunc(r.again, func(a, b string) int { return next[a].Compare(next[b]) })
	if now.Before(r.server.next) {
		return 0, err
	}
	more = max(0, min(maxConnections, len(r.fresh)+min(len(r.again), maxConnections-1))-r.workers)
	r.workers += more
	return more, err
}

// take gives a worker the next mail: those that have not been tried first, of these the oldest and the newest in turn, so
// that one which is made now does not wait behind however many have piled up. While the server is left alone, only a worker
// that is connected gets one.
func (r *Relay) take(connected bool) (name string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !connected && r.now().Before(r.server.next) {
		return "", false
	}
	switch {
	case len(r.fresh) > 0:
		last := len(r.fresh) - 1
		if r.newest {
			name, r.fresh = r.fresh[last], r.fresh[:last]
		} else {
			name, r.fresh = r.fresh[0], r.fresh[1:]
		}
		r.newest = !r.newest
		r.onTheWay[name] = false
	case len(r.again) > 0 && r.retrying < maxConnections-1:
		name, r.again = r.again[0], r.again[1:]
		r.onTheWay[name] = true
		r.retrying++
	default:
		return "", false
	}
	return name, true
}

// work delivers, over one connection as long as that holds, until there is nothing to deliver.
func (r *Relay) work(ctx context.Context) {
	var c *connection
	defer func() {
		if c != nil {
			c.quit()
		}
		r.mu.Lock()
		r.workers--
		r.mu.Unlock()
	}()
	for ctx.Err() == nil {
		name, ok := r.take(c != nil)
		if !ok {
			return
		}
		c = r.deliver(ctx, c, name)
	}
}

// waitsInOutbox reports whether the mail's row is there still: deleting the file now could make another of it.
func (r *Relay) waitsInOutbox(ctx context.Context, name string) (waits bool, err error) {
	err = r.outbox.db.Read(ctx, func(tx *store.Tx) (err error) {
		waits, err = nameExists(ctx, tx, name)
		return err
	})
	return waits, err
}

// remove deletes a mail that has been delivered. The caller holds mu.
func (r *Relay) remove(name string) error {
	if err := os.Remove(r.spool.newPath(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.sent[name] = true
		return fmt.Errorf("delete a mail that has been delivered: %w", err)
	}
	delete(r.sent, name)
	return errors.Join(r.spool.forget(name), r.spool.sync())
}

// serverFailed leaves the server alone for a while, and logs when it begins to fail or fails differently.
func (r *Relay) serverFailed(err error) {
	text := r.settings.explain(err)
	r.mu.Lock()
	if r.now().Before(r.server.next) {
		r.mu.Unlock() // another worker has met the same
		return
	}
	before := r.server.Error
	r.server.Attempts++
	r.server.Error = text
	r.server.next = r.now().Add(backoff(serverBackoff, serverWait, r.server.Attempts, r.chance())).Truncate(time.Second) // as every file system keeps it
	saveErr := r.spool.saveRetry(serverRetry, r.server)
	r.mu.Unlock()
	if before != text {
		r.log.Error("mail cannot be delivered; it is kept in the spool and tried again", "server", r.settings.address(), "error", text)
	}
	r.report(saveErr)
}

// serverWorks is called when the server has taken a mail, or refused one in particular.
func (r *Relay) serverWorks() {
	r.mu.Lock()
	failing := r.server.Attempts > 0
	r.server = retry{}
	r.mu.Unlock()
	if failing {
		r.log.Info("mail is delivered again", "server", r.settings.address())
		r.report(r.spool.forget(serverRetry))
	}
}

// forgetTrouble has report log it when it comes back.
func (r *Relay) forgetTrouble() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trouble = ""
}

// report logs trouble with the spool's files when it changes.
func (r *Relay) report(err error) {
	if err == nil {
		return
	}
	r.mu.Lock()
	changed := r.trouble != err.Error()
	r.trouble = err.Error()
	r.mu.Unlock()
	if changed {
		r.log.Error("the relay has trouble with the spool", "error", err)
	}
}
