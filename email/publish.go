package email

import (
	"context"
	"fmt"
	"slices"
	"time"

	"accountd/internal/store"
)

const (
	pollInterval = time.Second // for rows that other processes insert
	maxBackoff   = time.Minute // between attempts while the spool cannot be written
	drainBatch   = 100

	// settleDelay lets several messages share one fsync of the directory and one transaction. Their rows stay until
	// then. After a crash the remaining rows are compared with the spool, so no message is lost or published twice.
	settleDelay = 50 * time.Millisecond
)

// Start makes this process the publishing one. It creates a missing spool directory, removes partial files and
// publishes the messages that an earlier process left; from then on Send publishes. Only the holder of the lock on
// the data directory may call it.
//
// Start fails if the path of the spool is a file. Any other failure of the spool shows in Healthy: messages stay in
// the outbox, and Run tries again.
func (o *Outbox) Start(ctx context.Context) error {
	if err := o.spool.checkPath(); err != nil {
		return err
	}
	o.catchUp(ctx)
	return ctx.Err()
}

// claimSpool prepares the spool, once. Partial files in it are of earlier processes.
func (o *Outbox) claimSpool() error {
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

// Run settles published messages, and publishes those that Start and Send could not, until ctx ends. It polls every
// second, and backs off while the spool cannot be written.
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

// catchUp publishes and settles every message in the outbox.
func (o *Outbox) catchUp(ctx context.Context) {
	err := o.claimSpool()
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

// Healthy is the error of the last attempt to publish, nil if it succeeded.
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

// drain publishes all rows, oldest first. It stops at the first failure, which would be that of the next row too.
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

// publishLeft publishes a row that no request has published. published says whether the spool has the message already.
func (o *Outbox) publishLeft(ctx context.Context, r row, published bool) error {
	if !o.claim(r.name) {
		return nil // a request is publishing it
	}
	// The row may have been settled after it was listed.
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
		// The row stays claimed: each process tries it once, and then continues with the next rows.
		o.log.Error("mail cannot be opened and stays in the outbox: the key that sealed it is not in the key file",
			"row", r.id, "error", err)
		o.mu.Lock()
		o.unreadable++
		o.mu.Unlock()
		return nil
	}
	return o.publish(r, raw)
}

// claim reserves a message for the caller. It returns false if the message is claimed already.
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

// settle fsyncs the names of published messages and deletes their rows. Start and Run call it, one after the other.
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
	o.published = slices.Delete(o.published, 0, len(rows)) // requests append only
	o.mu.Unlock()
	o.release(rows...)
	return nil
}

// reportFailure reports errors and ignores success, which proves nothing about publishing.
func (o *Outbox) reportFailure(err error) {
	if err != nil {
		o.report(err)
	}
}

// report stores the outcome for Healthy. It logs changes only.
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
