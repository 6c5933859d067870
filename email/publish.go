package email

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"accountd/internal/store"
)

const (
	pollInterval = time.Second // for rows that other processes insert
	maxBackoff   = time.Minute // between attempts while the spool cannot be written

	// settleDelay lets several messages share one fsync of the directory and one transaction. Their rows stay until
	// then. After a crash the remaining rows are compared with the spool, so no message is lost or published twice.
	settleDelay = 50 * time.Millisecond
)

// Start makes this process the publishing one. It creates a missing spool directory, removes partial files and
// publishes the messages that an earlier process left; from then on Send publishes. Only the holder of the lock on
// the data directory may call it.
//
// Start fails if the path of the spool, or a part of it, is a file. Any other failure of the spool shows in Healthy:
// messages stay in the outbox, and Run tries again.
func (o *Outbox) Start(ctx context.Context) error {
	info, err := os.Stat(string(o.spool))
	if err == nil && !info.IsDir() || errors.Is(err, syscall.ENOTDIR) { // waiting does not help
		return fmt.Errorf("spool: %s is a file, or lies under one; a directory is needed: name another in "+
			"email.spool_dir, or move the file away", o.spool)
	}
	o.catchUp(ctx)
	return ctx.Err()
}

// claimSpool prepares the spool, once. Partial files in it are of earlier processes.
func (o *Outbox) claimSpool() error {
	if o.publishing.Load() {
		return nil
	}
	if err := o.spool.open(); err != nil {
		return err
	}
	if err := o.spool.clean(); err != nil {
		return fmt.Errorf("clean the spool: %w", err)
	}
	o.publishing.Store(true)
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
			o.settleNow(ctx)
			return
		case <-o.unsettled:
			time.Sleep(settleDelay)
			o.settleNow(ctx)
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

// settleNow settles, even if ctx has ended. It reports failures only: success proves nothing about publishing.
func (o *Outbox) settleNow(ctx context.Context) {
	if err := o.settle(context.WithoutCancel(ctx)); err != nil {
		o.report(err)
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

// drain publishes all rows, oldest first. It stops at the first failure, which would be that of the next row too. No
// row is settled meanwhile, so a row that is not claimed still exists.
func (o *Outbox) drain(ctx context.Context) error {
	var spooled map[string]bool // read if there is a row
	return eachRow(ctx, o.db, func(r row) (err error) {
		if !o.claim(r.id, r.name) {
			return nil // a request is publishing it
		}
		if spooled == nil {
			spooled, err = o.spool.names()
		}
		if err != nil {
			o.release(r.id, r.name)
			return fmt.Errorf("look into the spool: %w", err)
		}
		if spooled[r.name] {
			o.addPublished(r.id)
			return nil
		}
		raw, err := o.seal.Open(r.sealed, []byte(r.name))
		if err != nil {
			// The row stays claimed: each process tries it once, and then continues with the next rows.
			o.log.Error("mail cannot be opened and stays in the outbox: the key that sealed it is not in the key file",
				"row", r.id, "error", err)
			o.unreadable.Add(1)
			return nil
		}
		return o.publish(r.id, r.name, raw)
	})
}

// claim reserves a message for the caller. It returns false if the message is claimed already.
func (o *Outbox) claim(id int64, name string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	free := o.claimed[id] != name
	o.claimed[id] = name
	return free
}

// release ends a claim, unless another message has got the id of one that was rolled back.
func (o *Outbox) release(id int64, name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.claimed[id] == name {
		delete(o.claimed, id)
	}
}

// publish writes a claimed message to the spool. The claim lasts until its row is deleted.
func (o *Outbox) publish(id int64, name string, raw []byte) error {
	if err := o.spool.write(o.spool.newPath(name), raw, time.Time{}); err != nil {
		o.release(id, name)
		return fmt.Errorf("write to the spool: %w", err)
	}
	o.addPublished(id)
	return nil
}

// addPublished has settle delete the row of a message that is in the spool.
func (o *Outbox) addPublished(id int64) {
	o.mu.Lock()
	o.published = append(o.published, id)
	o.mu.Unlock()
	select {
	case o.unsettled <- struct{}{}:
	default:
	}
}

// settle fsyncs the names of published messages and deletes their rows. Start and Run call it, one after the other.
func (o *Outbox) settle(ctx context.Context) error {
	o.mu.Lock()
	ids := slices.Clone(o.published)
	o.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	err := o.spool.sync()
	if err == nil {
		err = o.db.Write(ctx, func(tx *store.Tx) error { return deleteRows(ctx, tx, ids) })
	}
	if err != nil {
		return fmt.Errorf("settle published messages: %w", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.published = slices.Delete(o.published, 0, len(ids)) // requests append only
	for _, id := range ids {
		delete(o.claimed, id)
	}
	return nil
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
