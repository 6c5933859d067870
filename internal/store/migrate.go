package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

//go:embed migrations/*.sql
var migrations embed.FS

// steps are the names of the migrations in their order. PRAGMA user_version counts the steps that a file has taken.
func steps() ([]string, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql") // sorted by name, so by number
	for i, name := range names {
		if !strings.HasPrefix(path.Base(name), fmt.Sprintf("%04d_", i+1)) {
			panic("store: migrations are not numbered without gaps: " + name)
		}
	}
	return names, err
}

// migrate brings the file to the newest schema, one transaction a step: the version is part of the file and so of the step's
// own transaction. A file that has users is backed up first. One with a higher version was written by a newer accountd and
// is refused untouched.
func (db *DB) migrate(ctx context.Context, file string, how opening) error {
	names, err := steps()
	if err != nil {
		return err
	}
	version, users := 0, false
	err = db.Read(ctx, func(tx *Tx) error {
		if version, err = tx.version(ctx); err != nil || version == 0 {
			return err
		}
		if missing, err := missingObjects(ctx, tx, "users", "sessions", "outbox"); err != nil || missing != "" {
			return errors.Join(err, notOurs(missing))
		}
		return tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM users)`).Scan(&users)
	})
	switch {
	case err != nil:
		return fmt.Errorf("read schema: %w", err)
	case version == 0 && !how.fresh:
		return notOurs("")
	case version > len(names):
		return newer(version, len(names))
	case version == len(names):
		return nil
	}
	if users && how.backups != "" {
		if err := backupBefore(ctx, file, how.backups, version, db.now()); err != nil {
			return fmt.Errorf("back up before the migration from schema %d to %d: %w", version, len(names), err)
		}
	}
	for i, name := range names[version:] {
		if err := db.step(ctx, name, version+i+1); err != nil {
			return fmt.Errorf("migrate to schema %d (%s): %w", version+i+1, path.Base(name), err)
		}
	}
	return nil
}

// step takes the file from one schema to the next, unless another process has done so meanwhile.
func (db *DB) step(ctx context.Context, name string, target int) error {
	text, err := migrations.ReadFile(name)
	if err != nil {
		return err
	}
	return db.Write(ctx, func(tx *Tx) error {
		if version, err := tx.version(ctx); err != nil || version >= target {
			return err
		}
		if _, err := tx.Tx.ExecContext(ctx, string(text)); err != nil {
			return err
		}
		_, err := tx.Tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", target))
		return err
	})
}

func (tx *Tx) version(ctx context.Context) (version int, err error) {
	err = tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
	return version, err
}

func newer(version, known int) error {
	return fmt.Errorf("its schema version is %d, this accountd knows %d: it was written by a newer accountd; run that one, or restore a backup", version, known)
}

// notOurs is an error about a database that lacks a table, or all of them.
func notOurs(missing string) error {
	if missing == "" {
		missing = "all its tables"
	}
	return fmt.Errorf("it is no database of accountd's, or damaged: it lacks %s; name another directory, or bring a backup back with accountd restore FILE", missing)
}

// missingObjects names the first of names that the schema does not have, "" when it has all.
func missingObjects(ctx context.Context, tx *Tx, names ...string) (string, error) {
	for _, name := range names {
		var exists bool
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = ?)`, name).Scan(&exists); err != nil {
			return "", err
		}
		if !exists {
			return name, nil
		}
	}
	return "", nil
}

// expectedSchema is every object that a file of a version has, by name, as SQLite writes it down.
func expectedSchema(ctx context.Context, version int) (map[string]string, error) {
	names, err := steps()
	if err != nil {
		return nil, err
	}
	c, err := newConn("file::memory:")
	if err != nil {
		return nil, err
	}
	defer c.close()
	if err := c.connect(ctx); err != nil {
		return nil, err
	}
	for _, name := range names[:version] {
		text, err := migrations.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if _, err := c.sql.ExecContext(ctx, string(text)); err != nil {
			return nil, err
		}
	}
	return readSchema(ctx, c)
}

func readSchema(ctx context.Context, c *conn) (map[string]string, error) {
	rows, err := c.sql.QueryContext(ctx, `SELECT name, coalesce(sql, '') FROM sqlite_schema`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	objects := map[string]string{}
	for rows.Next() {
		var name, sql string
		if err := rows.Scan(&name, &sql); err != nil {
			return nil, err
		}
		objects[name] = sql
	}
	return objects, rows.Err()
}
