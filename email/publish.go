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
	return o.drain(ctx)
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
		if err := o.drain(ctx); err != nil && ctx.Err() == nil {
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
		for _, r := range rows {
			if !o.attempt(ctx, r) {
				return nil
			}
			after = r.id
		}
	}
}

// attempt publishes one row unless somebody else in this process is at it. It reports failures itself: the
// message is safe in its row, and the request that made it has succeeded.
func (o *Outbox) attempt(ctx context.Context, r row) bool {
	o.mu.Lock()
	if o.claimed[r.name] {
		o.mu.Unlock()
		return true
	}
	o.claimed[r.name] = true
	o.mu.Unlock()

	err := o.publish(ctx, r)

	o.mu.Lock()
	delete(o.claimed, r.name)
	o.mu.Unlock()
	o.report(err)
	return err == nil
}

func (o *Outbox) publish(ctx context.Context, r row) error {
	raw, err := o.seal.Open(r.sealed, []byte(r.name))
	if err != nil {
		return fmt.Errorf("open outbox row %d: %w", r.id, err)
	}
	// Whether the row still is there decides: a look at an older snapshot may show one that is done.
	var exists bool
	if err := o.db.Read(ctx, func(tx *store.Tx) (err error) {
		exists, err = rowExists(ctx, tx, r.id)
		return err
	}); err != nil || !exists {
		return err
	}
	published, err := o.spool.has(r.name)
	if err != nil {
		return fmt.Errorf("look into the spool: %w", err)
	}
	if !published {
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
