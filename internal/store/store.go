// Package store opens the SQLite file and runs transactions, checkpoints, migrations and backups on it.
//
// What Write has acknowledged survives a power cut (WAL with synchronous=FULL). There is one writer at a time, and
// readers never wait for it. Writes that arrive at the same time share a commit and its fsync (group commit). The
// schema is in migrations/; other SQL is in the package that owns the table.
//
// Files, all of mode 0600: the database at the path given to [Open], SQLite's -wal and -shm, the mark -needs-wal, and
// -reserve, which holds disk space for urgent writes.
package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// readers is the number of connections that read: more would only compete with the writer for the cores. ReadLong
// uses at most longReaders of them.
const (
	readers     = 4
	longReaders = readers / 2
)

var errClosed = errors.New("the database is closed")

// DB is one open SQLite file.
type DB struct {
	writer  *writer
	readers *pool
	long    chan struct{}  // one element for each ReadLong that runs
	file    *os.File       // the database, for fsync; closed last, because closing it drops the locks of connections
	copying sync.WaitGroup // for runCheckpoints
	now     func() time.Time
	close   func() error // once
}

// Open opens the database at path, or creates it, and migrates it to the newest schema. Every transaction reads its
// time from now. A file that has users is backed up into the directory backups beside it before it is migrated. Open
// refuses a file that is damaged, empty, a link, or not a database of accountd, and leaves it as it is.
func Open(ctx context.Context, path string, now func() time.Time) (*DB, error) {
	db, err := openFile(ctx, path, now, false)
	for room := newReserve(path); noRoom(err) && !errors.Is(err, ErrFull) && room.release(reserveStep); {
		db, err = openFile(ctx, path, now, false) // the -shm needs a little space
	}
	return db, err
}

// OpenCopy is Open for a copy of a database: it is migrated without a backup, and never created. Close fails if the
// copy is not a single file.
func OpenCopy(ctx context.Context, path string, now func() time.Time) (*DB, error) {
	return openFile(ctx, path, now, true)
}

func openFile(ctx context.Context, path string, now func() time.Time, copied bool) (_ *DB, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("open database %s: %w", path, explain(err))
		}
	}()
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	_, err = inspect(abs)
	if errors.Is(err, fs.ErrNotExist) && !copied {
		if err = create(ctx, abs); errors.Is(err, fs.ErrExist) {
			err = nil // another process has created it
		}
	}
	if err != nil {
		return nil, err
	}
	version, users, err := validate(ctx, abs)
	if err != nil {
		return nil, err
	}
	if version < len(steps()) && users && !copied {
		if err := backupBefore(ctx, abs, filepath.Join(filepath.Dir(abs), "backups"), version, now()); err != nil {
			return nil, fmt.Errorf("back up before the migration from schema %d to %d: %w", version, len(steps()), err)
		}
	}
	db, err := openAt(ctx, abs, now, copied)
	if err != nil {
		return nil, err
	}
	_ = db.writer.reserve.refill() // a migration may write if there is space again
	if err := db.migrate(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// dsn returns the SQLite URI of the file at an absolute path, with the pragmas of every connection and those given.
func dsn(abs string, pragmas ...string) string {
	all := append([]string{"foreign_keys(1)", "synchronous(FULL)", "wal_autocheckpoint(0)"}, pragmas...)
	return "file:" + (&url.URL{Path: abs}).EscapedPath() + "?_pragma=" + strings.Join(all, "&_pragma=")
}

// wait is the pragma for connections that wait for a lock of another process, which is held for moments.
const wait = "busy_timeout(5000)"

// openAt opens the file at abs.
func openAt(ctx context.Context, abs string, now func() time.Time, copied bool) (*DB, error) {
	f, err := os.OpenFile(abs, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	// SQLite gives -wal and -shm the mode of the database, whatever the umask.
	if err := f.Chmod(0o600); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	c := &conn{dsn: dsn(abs, wait, "journal_mode(WAL)")}
	if err := check(ctx, c); err != nil {
		return nil, errors.Join(err, c.close(), f.Close())
	}
	db := &DB{
		readers: &pool{
			dsn: dsn(abs, wait, "query_only(1)"), turns: make(chan struct{}, readers), closing: make(chan struct{}),
		},
		now: now, file: f, long: make(chan struct{}, longReaders),
	}
	marked := abs
	if copied {
		marked = "" // no write to it is acknowledged: the copy is completed, or removed
	}
	db.writer = newWriter(c, now, marked, newReserve(abs))
	db.copying.Go(db.runCheckpoints)
	db.close = sync.OnceValue(func() error {
		db.writer.stop() // first, since a function of Write may read
		err := db.readers.close()
		db.copying.Wait()
		// leaveAsOneFile runs a checkpoint only if no other process has the file open.
		saved := (db.writer.pages > 0 || lostLog(abs) != nil) && db.writer.checkpointRest()
		if err := db.writer.health.usable(); err != nil {
			return err // closing would write: the next start recovers the WAL
		}
		err = errors.Join(err, c.close())
		// On a full disk the WAL and its mark stay, and nothing is lost.
		if end := leaveAsOneFile(context.Background(), abs, saved); !noRoom(end) {
			err = errors.Join(err, end)
		}
		if copied && hasLog(abs) {
			err = errors.Join(err, fmt.Errorf("the last writes to %s are still in its -wal, "+
				"because the disk refused the copy: check whether it is full", abs))
		}
		return errors.Join(err, f.Close())
	})
	return db, nil
}

// check fails unless the pragmas of the DSN took effect: SQLite ignores an unknown pragma without an error.
func check(ctx context.Context, c *conn) error {
	if err := c.connect(ctx); err != nil {
		return err
	}
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "wal_autocheckpoint": "0",
	} {
		var got string
		if err := c.sql.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(&got); err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("PRAGMA %s is %s, not %s: the file system does not support what durability needs",
				pragma, got, want)
		}
	}
	return nil
}

// Close waits for running transactions and queued writes, and closes the file. It fails with ErrUnsynced if an fsync
// has failed.
func (db *DB) Close() error { return db.close() }

// Now reads the clock of transactions.
func (db *DB) Now() time.Time { return db.now() }

// Read runs fn in a read transaction, which sees one snapshot.
func (db *DB) Read(ctx context.Context, fn func(*Tx) error) error { return db.read(ctx, false, fn) }

// ReadOne is Read for a single statement that an index answers. One statement is a snapshot by itself, so there is no
// BEGIN and COMMIT, each as slow as the statement, and ctx does not interrupt it. A second statement fails.
func (db *DB) ReadOne(ctx context.Context, fn func(*Tx) error) error { return db.read(ctx, true, fn) }

// ReadLong is Read for queries that may scan much of the file. They share half of the connections, so that other reads
// never wait for them.
func (db *DB) ReadLong(ctx context.Context, fn func(*Tx) error) error {
	if err := db.readers.enter(ctx, db.long); err != nil {
		return err
	}
	defer func() { <-db.long }()
	return db.read(ctx, false, fn)
}

func (db *DB) read(ctx context.Context, single bool, fn func(*Tx) error) (err error) {
	c, err := db.readers.take(ctx)
	if err != nil {
		return err
	}
	tx := &Tx{Now: db.now().UTC(), conn: c, single: single}
	committed := false
	defer func() { tx.ended(committed) }()
	defer db.readers.put(c)
	if single {
		err = c.ready(ctx)
	} else {
		err = c.begin(ctx, "BEGIN")
	}
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	defer func() {
		tx.end()
		switch {
		case committed:
		case single:
			c.drop() // the connection itself may have failed
		default:
			if rerr := c.rollback(); rerr != nil {
				err = errors.Join(err, rerr) // only here: otherwise err stays the value that fn returned
			}
		}
	}()
	if err := fn(tx); err != nil {
		return err
	}
	tx.end()
	if !single {
		if err := c.commit(); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
	}
	committed = true
	return nil
}
