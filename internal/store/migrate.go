package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migration brings a file from one schema version to the next, and sets PRAGMA user_version, which counts them.
type migration struct{ name, sql string }

// steps returns the migrations in order.
var steps = sync.OnceValue(func() (list []migration) {
	names, _ := fs.Glob(migrations, "migrations/*.sql") // sorted by name, so by number
	for i, name := range names {
		text, err := migrations.ReadFile(name)
		if err != nil || !strings.HasPrefix(path.Base(name), fmt.Sprintf("%04d_", i+1)) {
			panic("store: migrations are not numbered without gaps: " + name)
		}
		list = append(list, migration{path.Base(name), fmt.Sprintf("%s; PRAGMA user_version = %d", text, i+1)})
	}
	return list
})

// validate fails, and changes nothing, if the file was written by a newer accountd or is not a database of accountd.
// It returns the schema version, and whether the file has users.
func validate(ctx context.Context, file string) (version int, users bool, err error) {
	err = look(ctx, file, func(tx *Tx) error {
		if version, err = tx.version(ctx); err != nil {
			return err
		}
		objects, err := pairs[string](tx.QueryContext(ctx, schemaQuery))
		if err != nil {
			return err
		}
		for _, name := range []string{"users", "sessions", "outbox"} {
			if _, ok := objects[name]; !ok {
				return notAccountd(name)
			}
		}
		return tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM users)`).Scan(&users)
	})
	return version, users, err
}

// migrate brings the file to the newest schema. Each step is one transaction.
func (db *DB) migrate(ctx context.Context) error {
	var version int
	if err := db.Read(ctx, func(tx *Tx) (err error) { // from here on the file is locked as in use
		version, err = tx.version(ctx)
		return err
	}); err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	for i, step := range steps()[version:] {
		target := version + i + 1
		if err := db.Write(ctx, func(tx *Tx) error {
			if version, err := tx.version(ctx); err != nil || version >= target {
				return err // another process has done it
			}
			_, err := tx.ExecContext(ctx, step.sql)
			return err
		}); err != nil {
			return fmt.Errorf("migrate to schema %d (%s): %w", target, step.name, err)
		}
	}
	return nil
}

// version returns the schema version. It fails if the file is no database of accountd, or of a newer one.
func (tx *Tx) version(ctx context.Context) (version int, err error) {
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return 0, err
	}
	if version < 1 {
		return 0, notAccountd("all its tables")
	}
	if known := len(steps()); version > known {
		return version, fmt.Errorf("its schema version is %d, this accountd knows %d: it was written by a newer "+
			"accountd; run that one, or restore a backup", version, known)
	}
	return version, nil
}

// notAccountd returns an error about a database that lacks a table.
func notAccountd(missing string) error {
	return fmt.Errorf("it is no database of accountd's, or damaged: it lacks %s; name another directory, "+
		"or bring a backup back with accountd restore FILE", missing)
}

// inMemory connects to a new database in memory, of a schema version.
func inMemory(ctx context.Context, version int) (*conn, error) {
	c, err := dial(ctx, "file::memory:")
	if err != nil {
		return nil, err
	}
	for _, step := range steps()[:version] {
		if _, err := c.sql.ExecContext(ctx, step.sql); err != nil {
			return nil, errors.Join(err, c.close())
		}
	}
	return c, nil
}

// expectedSchema returns the rows of schemaQuery for a schema version. What migration 14 drops is not in it.
func expectedSchema(ctx context.Context, version int) (map[string]string, error) {
	c, err := inMemory(ctx, version)
	if err != nil {
		return nil, err
	}
	defer c.close()
	return pairs[string](c.sql.QueryContext(ctx, schemaQuery))
}

// schemaQuery returns the name of every object of the schema, and its SQL.
const schemaQuery = `SELECT name, coalesce(sql, '') FROM sqlite_schema`

// pairs returns the rows of a query with two columns, by the first.
func pairs[V any](rows *sql.Rows, err error) (map[string]V, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[string]V{}
	for rows.Next() {
		var key string
		var value V
		if err := rows.Scan(&key, &value); err != nil {
			return nil, err
		}
		all[key] = value
	}
	return all, rows.Err()
}
