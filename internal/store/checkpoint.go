package store

import (
	"context"
	"fmt"
)

// Checkpoint copies what committed transactions have left in the write-ahead log into the file, as far as no reader is in the way,
// and holds up neither readers nor the writer. Without it SQLite does so in the commit that makes the log a thousand pages long, which
// then takes ten times as long as others.
func (db *DB) Checkpoint(ctx context.Context) error {
	err := db.ReadOne(ctx, func(tx *Tx) error {
		var busy, logged, copied int // busy: another one is at it
		return tx.QueryRowContext(ctx, `PRAGMA wal_checkpoint(PASSIVE)`).Scan(&busy, &logged, &copied)
	})
	db.writer.health.failed(err) // of an fsync, for one
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}
