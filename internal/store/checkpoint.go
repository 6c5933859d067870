package store

import (
	"context"
	"fmt"
	"time"
)

// A checkpoint is due whenever so many pages have been written to the WAL.
const (
	checkpointPages = 500                 // it runs beside the writer
	maxWALPages     = 4 * checkpointPages // the writer waits for it: the disk is slower than the writes
)

// Checkpoint copies committed pages from the WAL into the database, beside the writer, except those that a reader
// still needs. The package runs one every 500 pages. A batch job calls it between its writes: a commit takes several
// times as long while a checkpoint keeps the disk busy.
func (db *DB) Checkpoint(ctx context.Context) error {
	var complete bool
	err := db.writer.health.usable()
	if err == nil {
		err = db.ReadOne(ctx, func(tx *Tx) (err error) {
			complete, err = tx.conn.checkpoint(ctx)
			return err
		})
	}
	db.writer.health.copied(complete, err)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// runCheckpoints runs a checkpoint whenever the writer asks for one, until the writer has stopped, and refills the
// reserve once a second. SQLite does not sync the database if pages were written meanwhile, so runCheckpoints does.
// The writer then copies those pages: only a WAL that is copied completely is restarted by the next write, which
// needs a moment without writes.
func (db *DB) runCheckpoints() {
	refill := time.NewTicker(time.Second)
	defer refill.Stop()
	for {
		select {
		case <-db.writer.long:
		case <-refill.C:
			_ = db.writer.reserve.refill() // readiness reports the error
			continue
		case <-db.writer.stopped:
			return
		}
		if err := db.Checkpoint(context.Background()); err == nil { // otherwise health has the error
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

// requestCheckpoint asks for a checkpoint if one is due, and waits for it if the WAL is too long.
func (wr *writer) requestCheckpoint() {
	switch {
	case wr.pages < checkpointPages:
	case wr.pages < maxWALPages:
		select {
		case wr.long <- struct{}{}:
		default: // one is running
		}
	default:
		select {
		case wr.long <- struct{}{}:
		case <-wr.copied:
			wr.checkpointRest()
		}
	}
}

// checkpointFull runs a checkpoint after each commit on a full disk, so that the next commit restarts the WAL. The
// database may have to grow for that, into space of the reserve.
func (wr *writer) checkpointFull() {
	wr.checkpointRest()
	if noRoom(wr.health.failure()) && wr.reserve.release(reserveStep) {
		wr.checkpointRest()
	}
}

// checkpointRest copies what is left in the WAL, between two transactions or before the file is closed. It reports
// whether the WAL was copied completely.
func (wr *writer) checkpointRest() (complete bool) {
	err := wr.health.usable()
	if err == nil {
		err = wr.conn.ready(context.Background())
	}
	if err == nil {
		complete, err = wr.conn.checkpoint(context.Background())
	}
	wr.health.copied(complete, err)
	wr.pages = 0
	return complete && err == nil
}
