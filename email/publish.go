package email

import (
	"context"
	"fmt"
	"time"

	"accountd/internal/store"
)

const (
	pollInterval = time.Second // for rows that commands beside the server left
	maxBackoff   = time.Minute // between attempts while the spool cannot be written
	drainBatch   = 100
)

// Start makes this process the one that publishes: it removes half-written files, publishes what an
// earlier process left, and from then on each message right after its transaction. Only the holder of
// the data directory's lock may call it. A spool that cannot be written is no error: Healthy tells.
func (o *Outbox) Start(ctx context.Context) error {
	if err := o.spool.clean(); err != nil {
		return fmt.Errorf("clean the spool: %w", err)
	}
	o.mu.Lock()
	o.publishing = true
	o.mu.Unlock()
	err := o.drain(ctx)
	if ctx.Err() != nil {
		return err
	}
	o.report(err)
	return nil
}

// Run publishes what Start and Send could not, until ctx ends: it looks every second, and less often while
// the spool cannot be written.
func (o *Outbox) Run(ctx context.Context) {
	wait := pollInterval
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if err := o.drain(ctx); ctx.Err() == nil {
			o.report(err)
		}
		if o.Healthy() == nil {
			wait = pollInterval
		} else {
			wait = min(2*wait, maxBackoff)
		}
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
			if err := o.catchUp(ctx, r, published[r.name]); err != nil {
				return err
			}
			after = r.id
		}
	}
}

// catchUp publishes what somebody else accepted, unless a request of this process is at it.
func (o *Outbox) catchUp(ctx context.Context, r row, published bool) error {
	if !o.claim(r.name) {
		return nil
	}
	defer o.release(r.name)
	// The row may have been published and deleted since it was listed.
	var exists bool
	err := o.db.Read(ctx, func(tx *store.Tx) (err error) {
		exists, err = rowExists(ctx, tx, r.id)
		return err
	})
	if err != nil || !exists {
		return err
	}
	return o.publish(ctx, r, published)
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

func (o *Outbox) release(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.claimed, name)
}

// publish brings a claimed message into the spool, unless it is there, and forgets the row.
func (o *Outbox) publish(ctx context.Context, r row, published bool) error {
	if !published {
		raw, err := o.seal.Open(r.sealed, []byte(r.name))
		if err != nil {
			return fmt.Errorf("open outbox row %d: %w", r.id, err)
		}
		if err := o.spool.publish(r.name, raw); err != nil {
			return fmt.Errorf("write to the spool: %w", err)
		}
	}
	return o.db.Write(ctx, func(tx *store.Tx) error { return deleteRow(ctx, tx, r.id) })
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
