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

// steps returns the names of the migrations in order. PRAGMA user_version counts the ones that a file has taken.
func steps() ([]string, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql") // sorted by name, so by number
	for i, name := range names {
		if !strings.HasPrefix(path.Base(name), fmt.Sprintf("%04d_", i+1)) {
			panic("store: migrations are not numbered without gaps: " + name)
		}
	}
	return names, err
}

// validate fails, and changes nothing, if the file was written by a newer accountd or is not a database of accountd.
// It reports whether the file has users.
func validate(ctx context.Context, file string) (users bool, err error) {
	names, err := steps()
	if err != nil {
		return false, err
	}
	c, err := connectTo(ctx, file, "query_only(1)")
	if err != nil {
		return false, err
	}
	defer c.end()
	var version int
	if err := c.sql.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return false, err
	}
	switch {
	case version == 0:
		return false, notAccountd("")
	case version > len(names):
		return false, newer(version, len(names))
	}
	objects, err := readSchema(ctx, c.conn)
	if err != nil {
		return false, err
	}
	for _, name := range []string{"users", "sessions", "outbox"} {
		if _, ok := objects[name]; !ok {
			return false, notAccountd(name)
		}
	}
	err = c.sql.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM users)`).Scan(&users)
	return users, err
}

// migrate brings the file to the newest schema. Each step is one transaction, which also sets the version. The file
// is backed up first if backups names a directory.
func (db *DB) migrate(ctx context.Context, file string, backups string) error {
	names, err := steps()
	if err != nil {
		return err
	}
	var version int
	err = db.Read(ctx, func(tx *Tx) error {
		version, err = tx.version(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if version >= len(names) {
		return nil
	}
	if backups != "" {
		if err := backupBefore(ctx, file, backups, version, db.now()); err != nil {
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

// step takes the file from one schema to the next, unless another process has already done so.
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
	return fmt.Errorf("its schema version is %d, this accountd knows %d: it was written by a newer accountd; "+
		"run that one, or restore a backup", version, known)
}

// notAccountd returns an error about a database that lacks a table; "": all tables.
func notAccountd(missing string) error {
	if missing == "" {
		missing = "all its tables"
	}
	return fmt.Errorf("it is no database of accountd's, or damaged: it lacks %s; name another directory, "+
		"or bring a backup back with accountd restore FILE", missing)
}

// expectedSchema returns the SQL of every object of a schema version, by name, as SQLite stores it. What migration 14
// drops is not in it.
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
