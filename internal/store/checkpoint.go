package store

import (
	"context"
	"fmt"
	"time"
)

// The write-ahead log is copied into the file whenever so many pages have been written to it.
const (
	copyPages = 500           // then it is copied beside the writer
	maxPages  = 4 * copyPages // then the writer waits for that: it writes faster than the disk takes the copies
)

// Checkpoint copies what committed transactions have left in the write-ahead log into the file, beside the writer, as far as no reader is
// in the way. It happens by itself every 500 pages; whoever writes much that nobody waits for copies it before writing more, since a
// commit takes several times as long while the disk is busy with copies.
func (db *DB) Checkpoint(ctx context.Context) error {
	var complete bool
	err := db.writer.health.usable()
	if err == nil {
		err = db.ReadOne(ctx, func(tx *Tx) (err error) {
			complete, err = tx.conn.checkpoint(ctx)
			return err
		})
	}
	err = judged(err)
	db.writer.health.copied(complete, err)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// copyLog copies the log whenever the writer says that it is long, until that has stopped, and makes the reserve
// whole again. When others have written meanwhile, SQLite has not waited for the disk to take the copies, so that
// is done here. What they have written is left to the writer: only when nothing is left does the next write begin
// the log anew, and that takes a moment in which nobody writes.
func (db *DB) copyLog() {
	defer close(db.copying)
	refill := time.NewTicker(time.Second)
	defer refill.Stop()
	for {
		select {
		case <-db.writer.long:
		case <-refill.C:
			_ = db.writer.reserve.refill() // readiness says why not
			continue
		case <-db.writer.stopped:
			return
		}
		if err := db.Checkpoint(context.Background()); err == nil { // else health knows
			if err := db.file.Sync(); err != nil {
				db.writer.health.copied(false, fmt.Errorf("%w (%w)", ErrUnsynced, err))
			}
		}
		select {
		case db.writer.copied <- struct{}{}:
		case <-db.writer.stopped:
		}
	}
}

// keepUp sees to it that what has been written is copied.
func (wr *writer) keepUp() {
	switch {
	case wr.pages < copyPages:
	case wr.pages < maxPages:
		select {
		case wr.long <- struct{}{}:
		default: // it is being copied
		}
	default:
		select {
		case wr.long <- struct{}{}:
		case <-wr.copied:
			wr.copyRest()
		}
	}
}

// copyFull copies the log after each commit on a full disk, so that the next one begins it anew. The file may have
// to grow for that.
func (wr *writer) copyFull() {
	wr.copyRest()
	if noRoom(wr.health.failure()) && wr.reserve.release(reserveStep) {
		wr.copyRest()
	}
}

// copyRest copies what is in the log: what has been written while it was copied, or all that a process leaves that ends.
// It reports whether that was all.
func (wr *writer) copyRest() (complete bool) {
	err := wr.health.usable()
	if err == nil {
		err = wr.conn.ready(context.Background())
	}
	if err == nil {
		complete, err = wr.conn.checkpoint(context.Background())
	}
	wr.health.copied(complete, judged(err))
	wr.pages = 0
	return complete && err == nil
}
