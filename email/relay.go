package email

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// maxConnections bounds the connections to the mail server. One of them is reserved for mails that have not failed
// before.
const maxConnections = 3

// scanInterval is the time between two scans of the spool.
const scanInterval = time.Second

// Relay delivers the mails of the spool by SMTP. Its state is in the spool, so it can be killed at any time. A mail is
// deleted after the server has accepted it. If the reply is lost, the mail is sent again with the same Message-ID.
type Relay struct {
	settings SMTPSettings
	from     string
	outbox   *Outbox
	spool    spool
	now      func() time.Time
	log      *slog.Logger
	dial     dialer
	roots    *x509.CertPool // nil: the system's
	chance   func() float64 // 0 to 1, for jitter; safe for concurrent use

	mu         sync.Mutex
	untried    []string             // guarded by mu; not tried yet, oldest first
	newestNext bool                 // guarded by mu; the newest of untried is next
	due        []string             // guarded by mu; tried before and due, the longest due first
	inFlight   map[string]bool      // guarded by mu; mails that workers have; true: tried before
	retrying   int                  // guarded by mu; mails in inFlight that were tried before
	postponed  map[string]time.Time // guarded by mu; next attempts that could not be written to the spool
	sent       map[string]bool      // guarded by mu; delivered mails that could not be deleted
	workers    int                  // guarded by mu
	server     retry                // guarded by mu; of the mail server

	lastProblem atomic.Value // string: the last error of the spool that was logged
}

// NewRelay returns the relay of an outbox's spool. Settings with a user name have passed Check.
func NewRelay(o *Outbox, s SMTPSettings) *Relay {
	return &Relay{
		settings: s, from: o.from.Address, outbox: o, spool: o.spool, now: o.db.Now, log: o.log,
		dial: (&net.Dialer{}).DialContext, chance: rand.Float64,
		inFlight: map[string]bool{}, postponed: map[string]time.Time{}, sent: map[string]bool{},
	}
}

// Run delivers until ctx ends. Mails that are being sent then have stopTime. Only the publishing process may call it,
// after Outbox.Start.
func (r *Relay) Run(ctx context.Context) {
	r.report(r.spool.forgetGone()) // also of the server: settings may have changed
	var running sync.WaitGroup
	defer running.Wait()
	look := time.NewTicker(scanInterval)
	defer look.Stop()
	for {
		more, err := r.scan()
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

// scan lists the mails to deliver now and returns how many more workers they need. It lists none until the spool is
// writable: a mail that cannot be deleted would be sent again after each restart.
func (r *Relay) scan() (more int, err error) {
	if !r.outbox.publishing.Load() {
		return 0, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	r.untried, r.due = nil, nil
	maps.DeleteFunc(r.postponed, func(_ string, until time.Time) bool { return !now.Before(until) })
	names, err := r.spool.mails("new")
	next, nextErr := r.spool.nextAttempts()
	if err := errors.Join(err, nextErr); err != nil {
		return 0, fmt.Errorf("look into the spool: %w", err)
	}
	switch at, waiting := next[serverRetry]; {
	case waiting && r.server.Attempts == 0:
		err = r.spool.forget(serverRetry) // written by an operator while the server recovered
	case waiting && at.Before(r.server.next):
		r.server.next = now // written by an operator
	}
	for _, name := range names {
		at, tried := next[name]
		_, inFlight := r.inFlight[name]
		switch {
		case inFlight || !r.postponed[name].IsZero():
		case r.sent[name]:
			err = errors.Join(err, r.remove(name))
		case !tried:
			r.untried = append(r.untried, name)
		case !now.Before(at):
			r.due = append(r.due, name)
		}
	}
	slices.SortStableFunc(r.due, func(a, b string) int { return next[a].Compare(next[b]) })
	if err == nil {
		r.lastProblem.Store("") // the same error is logged again
	}
	if now.Before(r.server.next) {
		return 0, err
	}
	more = max(0, min(maxConnections, len(r.untried)+min(len(r.due), maxConnections-1))-r.workers)
	r.workers += more
	return more, err
}

// take returns the next mail for a worker, untried mails first. Of these it takes the oldest and the newest in turn,
// so that a new mail does not wait behind a backlog. While the server is in backoff, only connected workers get
// mails.
func (r *Relay) take(connected bool) (name string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !connected && r.now().Before(r.server.next) {
		return "", false
	}
	switch {
	case len(r.untried) > 0:
		last := len(r.untried) - 1
		if r.newestNext {
			name, r.untried = r.untried[last], r.untried[:last]
		} else {
			name, r.untried = r.untried[0], r.untried[1:]
		}
		r.newestNext = !r.newestNext
		r.inFlight[name] = false
	case len(r.due) > 0 && r.retrying < maxConnections-1:
		name, r.due = r.due[0], r.due[1:]
		r.inFlight[name] = true
		r.retrying++
	default:
		return "", false
	}
	return name, true
}

// work delivers until there is no mail left. It uses one connection as long as possible.
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

// remove deletes a delivered mail. It requires r.mu held.
func (r *Relay) remove(name string) error {
	if err := removeFile(r.spool.newPath(name)); err != nil {
		r.sent[name] = true
		return fmt.Errorf("delete a mail that has been delivered: %w", err)
	}
	delete(r.sent, name)
	return errors.Join(r.spool.forget(name), r.spool.sync())
}

// serverFailed starts or extends the backoff of the server. It logs when the error changes.
func (r *Relay) serverFailed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now().Before(r.server.next) {
		return // another worker reported it
	}
	text := r.settings.explain(err)
	if r.server.Error != text {
		r.log.Error("mail cannot be delivered; it is kept in the spool and tried again",
			"server", r.settings.address(), "error", text)
	}
	r.server.Attempts++
	r.server.Error = text
	wait := backoff(serverBackoff, serverWait, r.server.Attempts, r.chance())
	r.server.next = r.now().Add(wait).Truncate(time.Second) // the resolution that every file system has
	r.report(r.spool.saveRetry(serverRetry, r.server))
}

// serverWorks ends the backoff of the server, after it has accepted a mail or refused one for reasons of its own.
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

// report logs errors of the spool's files when they change.
func (r *Relay) report(err error) {
	if err != nil && r.lastProblem.Swap(err.Error()) != any(err.Error()) {
		r.log.Error("relay cannot use the spool", "error", err)
	}
}
