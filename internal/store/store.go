// Package store is the SQLite file: pools, transactions and migrations.
//
// It promises that what Write has acknowledged survives a power cut (WAL with synchronous=FULL), that
// there is one writer at a time, and that readers never wait for it. Writes that come at the same time
// share a commit and its fsync. It knows no table: SQL lives in query.go of the package that owns the rows.
//
// Files: the database at the path given to Open, with SQLite's -wal and -shm beside it, all mode 0600.
package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// readers is the size of the reading pool: with more, readers and the writer only contend for the cores.
const readers = 4

var errClosed = errors.New("the database is closed")

// DB is one open SQLite file.
type DB struct {
	writer  *writer
	readers *pool
	now     func() time.Time
	close   func() error // once
}

// Open opens the file at path, creates it when missing, and migrates it to the newest schema.
// now is the clock of every transaction.
func Open(ctx context.Context, path string, now func() time.Time) (*DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	// SQLite gives -wal and -shm the mode of the file, so creating it 0600 is enough, whatever the umask.
	f, err := os.OpenFile(abs, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := errors.Join(f.Chmod(0o600), f.Close()); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	const common = "?_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)&_pragma=synchronous(FULL)"
	base := "file:" + (&url.URL{Path: abs}).EscapedPath() + common
	c, err := newConn(base + "&_pragma=journal_mode(WAL)")
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	if err := check(ctx, c); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), c.close())
	}
	db := &DB{now: now}
	if db.readers, err = newPool(base+"&_pragma=query_only(1)", readers); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), c.close())
	}
	db.writer = newWriter(c, now)
	db.close = sync.OnceValue(func() error {
		db.writer.stop() // first: what it runs may read
		return errors.Join(db.readers.close(), c.close())
	})
	if err := db.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), db.Close())
	}
	return db, nil
}

// check asks SQLite whether the pragmas of the DSN took effect: an unknown one is silently ignored.
func check(ctx context.Context, c *conn) error {
	if err := c.connect(ctx); err != nil {
		return err
	}
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		var got string
		if err := c.sql.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(&got); err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("PRAGMA %s is %s, not %s: the file system does not support what durability needs", pragma, got, want)
		}
	}
	return nil
}

// Close waits for running transactions and for writes that wait for their turn, and closes the file.
func (db *DB) Close() error { return db.close() }

// Now is the clock that transactions read.
func (db *DB) Now() time.Time { return db.now() }

// Read runs fn in a read-only snapshot.
func (db *DB) Read(ctx context.Context, fn func(*Tx) error) (err error) {
	c, err := db.readers.take(ctx)
	if err != nil {
		return err
	}
	tx := &Tx{Now: db.now().UTC(), conn: c}
	tx.Tx.tx = tx
	committed := false
	defer func() { tx.ended(committed) }()
	defer db.readers.put(c)
	if err := c.begin(ctx, "BEGIN"); err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	defer func() {
		tx.end()
		if !committed {
			if rerr := c.rollback(); rerr != nil {
				err = errors.Join(err, rerr) // not without: err is to stay the value that fn returned
			}
		}
	}()
	if err := fn(tx); err != nil {
		return err
	}
	tx.end()
	if err := c.commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	committed = true
	return nil
}
