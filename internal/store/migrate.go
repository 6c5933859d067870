package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the file to the newest schema, one transaction a step. PRAGMA user_version counts the
// steps taken; it is part of the file and so of the step's own transaction. A file with a higher version
// was written by a newer accountd and is refused untouched.
func (db *DB) migrate(ctx context.Context) error {
	steps, err := fs.Glob(migrations, "migrations/*.sql") // sorted by name, so by number
	if err != nil {
		return err
	}
	var version int
	err = db.Read(ctx, func(tx *Tx) error {
		return tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
	})
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if version > len(steps) {
		return fmt.Errorf("its schema version is %d, this accountd knows %d: it was written by a newer accountd; run that one, or restore a backup", version, len(steps))
	}
	for i, name := range steps[version:] {
		text, err := migrations.ReadFile(name)
		if err != nil {
			return err
		}
		target := version + i + 1
		if !strings.HasPrefix(path.Base(name), fmt.Sprintf("%04d_", target)) {
			panic("store: migrations are not numbered without gaps: " + name)
		}
		err = db.Write(ctx, func(tx *Tx) error {
			if _, err := tx.Tx.ExecContext(ctx, string(text)); err != nil {
				return err
			}
			_, err := tx.Tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", target))
			return err
		})
		if err != nil {
			return fmt.Errorf("migrate to schema %d (%s): %w", target, path.Base(name), err)
		}
	}
	return nil
}
