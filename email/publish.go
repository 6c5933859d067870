package email

import (
	"context"
	"fmt"
	"slices"
	"time"

	"accountd/internal/store"
)

const (
	pollInterval = time.Second // for rows that commands beside the server left
	maxBackoff   = time.Minute // between attempts while the spool cannot be written
	drainBatch   = 100

	// settleDelay lets messages share one sync of the directory and one transaction. Until then their rows
	// stay: after a crash they are compared with the spool, so nothing is lost and nothing comes twice.
	settleDelay = 50 * time.Millisecond
)

// Start makes this process the one that publishes: it creates the spool directory where it is missing, removes
// half-written files, publishes what an earlier process left, and from then on each message right after its
// transaction. Only the holder of the data directory's lock may call it. A spool that cannot be used is no error:
// Healthy tells, messages wait in the outbox, and Run goes on where Start could not. A file in the place of the
// directory is one.
func (o *Outbox) Start(ctx context.Context) error {
	if err := o.spool.possible(); err != nil {
		return err
	}
	o.catchUp(ctx)
	return ctx.Err()
}

// takeSpool makes the spool ready to publish, once. What is half-written by then is left from an earlier process.
func (o *Outbox) takeSpool() error {
	if o.isPublishing() {
		return nil
	}
	if err := o.spool.open(); err != nil {
		return err
	}
	if err := o.spool.clean(); err != nil {
		return fmt.Errorf("clean the spool: %w", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.publishing = true
	return nil
}

// Run settles what has been published, and publishes what Start and Send could not, until ctx ends: it looks
// every second, and less often while the spool cannot be written.
func (o *Outbox) Run(ctx context.Context) {
	wait := pollInterval
	poll := time.NewTimer(wait)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			o.reportFailure(o.settle(context.WithoutCancel(ctx)))
			return
		case <-o.unsettled:
			select {
			case <-ctx.Done():
			case <-time.After(settleDelay):
				o.reportFailure(o.settle(ctx))
			}
		case <-poll.C:
			o.catchUp(ctx)
			if o.Healthy() == nil {
				wait = pollInterval
			} else {
				wait = min(2*wait, maxBackoff)
			}
			poll.Reset(wait)
		}
	}
}

// catchUp publishes all that waits, and settles it.
func (o *Outbox) catchUp(ctx context.Context) {
	err := o.takeSpool()
	if err == nil {
		err = o.drain(ctx)
	}
	if err == nil {
		err = o.settle(ctx)
	}
	if ctx.Err() == nil {
		o.report(err)
	}
}

// Healthy is the error of the last attempt to publish, nil when it went well.
func (o *Outbox) Healthy() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failure
}

func (o *Outbox) isPublishing() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.publishing
}

// drain publishes all rows, oldest first, and stops at the first that fails: the next would fail too.
func (o *Outbox) drain(ctx context.Context) error {
	after := int64(0)
	for {
		var rows []row
		err := o.db.Read(ctx, func(tx *store.Tx) (err error) {
			rows, err = listRows(ctx, tx, after, drainBatch)
			return err
		})
		if err != nil || len(rows) == 0 {
			return err
		}
		names := map[string]bool{}
		for _, r := range rows {
			names[r.name] = true
		}
		published, err := o.spool.published(names)
		if err != nil {
			return fmt.Errorf("look into the spool: %w", err)
		}
		for _, r := range rows {
			if err := o.publishLeft(ctx, r, published[r.name]); err != nil {
				return err
			}
			after = r.id
		}
	}
}

// publishLeft publishes a row that another process left, or a request of this one could not publish.
func (o *Outbox) publishLeft(ctx context.Context, r row, published bool) error {
	if !o.claim(r.name) {
		return nil // on its way
	}
	// The row may have been settled since it was listed.
	var exists bool
	err := o.db.Read(ctx, func(tx *store.Tx) (err error) {
		exists, err = rowExists(ctx, tx, r.id)
		return err
	})
	if err != nil || !exists {
		o.release(r)
		return err
	}
	if published {
		o.addPublished(r)
		return nil
	}
	raw, err := o.seal.Open(r.sealed, []byte(r.name))
	if err != nil {
		// The row stays claimed: each process tries it once, and goes on with the rows behind it.
		o.log.Error("a mail cannot be opened and stays in the outbox: the key that sealed it is not in the key file", "row", r.id, "error", err)
		o.mu.Lock()
		o.unreadable++
		o.mu.Unlock()
		return nil
	}
	return o.publish(r, raw)
}

// claim takes a message for the caller alone to publish, and says whether it was free.
func (o *Outbox) claim(name string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.claimed[name] {
		return false
	}
	o.claimed[name] = true
	return true
}

func (o *Outbox) release(rows ...row) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range rows {
		delete(o.claimed, r.name)
	}
}

// publish writes a claimed message to the spool. The claim lasts until its row is deleted.
func (o *Outbox) publish(r row, raw []byte) error {
	if err := o.spool.publish(r.name, raw); err != nil {
		o.release(r)
		return fmt.Errorf("write to the spool: %w", err)
	}
	o.addPublished(r)
	return nil
}

// addPublished has settle delete the row of a message that is in the spool.
func (o *Outbox) addPublished(r row) {
	o.mu.Lock()
	o.published = append(o.published, row{id: r.id, name: r.name})
	o.mu.Unlock()
	select {
	case o.unsettled <- struct{}{}:
	default:
	}
}

// settle makes the names of published messages durable and deletes their rows. Only Start and Run call it, one
// after the other.
func (o *Outbox) settle(ctx context.Context) error {
	o.mu.Lock()
	rows := slices.Clone(o.published)
	o.mu.Unlock()
	if len(rows) == 0 {
		return nil
	}
	err := o.spool.sync()
	if err == nil {
		err = o.db.Write(ctx, func(tx *store.Tx) error { return deleteRows(ctx, tx, rows) })
	}
	if err != nil {
		return fmt.Errorf("settle published messages: %w", err)
	}
	o.mu.Lock()
	o.published = slices.Delete(o.published, 0, len(rows)) // others have only been added behind them
	o.mu.Unlock()
	o.release(rows...)
	return nil
}

// reportFailure is report for what says nothing when it goes well.
func (o *Outbox) reportFailure(err error) {
	if err != nil {
		o.report(err)
	}
}

// report remembers the outcome for Healthy and logs when it changes, not once a second.
func (o *Outbox) report(err error) {
	o.mu.Lock()
	before := o.failure
	o.failure = err
	o.mu.Unlock()
	switch {
	case err != nil && before == nil:
		o.log.Error("mail cannot be written to the spool; it is kept and tried again", "error", err)
	case err == nil && before != nil:
		o.log.Info("mail is written to the spool again")
	}
}
