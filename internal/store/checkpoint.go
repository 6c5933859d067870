package store

import (
	"context"
	"fmt"
)

// copyPages is how many pages are written to the write-ahead log before it is copied into the file: half of what SQLite waits for, which
// copies in the commit that makes the log a thousand pages long. That stays, for a log that other processes write to as well.
const copyPages = 500

// checkpoint copies what committed transactions have left in the log, as far as no reader is in the way, and waits for nobody.
const checkpoint = `PRAGMA wal_checkpoint(PASSIVE)`

// Checkpoint copies what committed transactions have left in the write-ahead log into the file, beside the writer, as far as no reader is
// in the way. It happens by itself each 500 pages; who writes much that nobody waits for copies it before writing more, since a
// commit takes several times as long while the disk is busy with copying.
func (db *DB) Checkpoint(ctx context.Context) error {
	err := db.writer.health.usable()
	if err == nil {
		err = db.ReadOne(ctx, func(tx *Tx) error {
			_, err := tx.ExecContext(ctx, checkpoint)
			return err
		})
	}
	db.writer.health.failed(err) // of an fsync, for one
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// copyLog copies the log whenever the writer says that it is long, until that has stopped. What is written meanwhile is left to the
// writer: only when nothing is left does the next write begin the log anew, and that takes a moment in which nobody writes.
func (db *DB) copyLog() {
	for {
		select {
		case <-db.writer.long:
		case <-db.writer.stopped:
			return
		}
		_ = db.Checkpoint(context.Background()) // what is the matter is in the file's health
		select {
		case db.writer.copied <- struct{}{}:
		case <-db.writer.stopped:
		}
	}
}

// wrote counts what a transaction has written, and says when the log is long.
func (wr *writer) wrote() {
	if wr.pages += wr.conn.written(); wr.pages < copyPages {
		return
	}
	wr.pages = 0
	select {
	case wr.long <- struct{}{}:
	default: // it is being copied
	}
}

// copyRest copies what has been written while the log was copied.
func (wr *writer) copyRest() {
	err := wr.health.usable()
	if err == nil {
		err = wr.conn.ready(context.Background())
	}
	if err == nil {
		err = wr.conn.exec(checkpoint)
	}
	wr.health.failed(err)
}
