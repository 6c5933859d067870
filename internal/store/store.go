// Package store is the SQLite file: pools, transactions and migrations.
//
// It promises that what Write has acknowledged survives a power cut (WAL with synchronous=FULL), that
// there is one writer at a time, and that readers never wait for it. Writes that come at the same time
// share a commit and its fsync. It knows no table: SQL lives in query.go of the package that owns the rows.
//
// Files: the database at the path given to Open, with SQLite's -wal and -shm and the mark -needs-wal and the
// reserve (-reserve) beside it, all mode 0600.
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

// readers is the size of the reading pool: with more, readers and the writer only contend for the cores. At most longReaders
// of them are out for reads that may take long.
const (
	readers     = 4
	longReaders = readers / 2
)

var errClosed = errors.New("the database is closed")

// DB is one open SQLite file.
type DB struct {
	writer  *writer
	readers *pool
	long    chan struct{} // one for each ReadLong
	file    *os.File      // the database itself, for an fsync; not closed before the connections, whose locks would go with it
	copying chan struct{} // closed: copyLog has ended
	now     func() time.Time
	close   func() error // once
}

// Open opens the file at path and migrates it to the newest schema; now is the clock of every transaction. Where there is no
// file it makes one. A file that has users is backed up before it is migrated, into the directory backups beside it. One that
// is damaged, empty, a link or somebody else's is refused and left as it is.
func Open(ctx context.Context, path string, now func() time.Time) (*DB, error) {
	how := opening{backups: filepath.Join(filepath.Dir(path), "backups")}
	db, err := openFile(ctx, path, now, how)
	for room := newReserve(path); noRoom(err) && !errors.Is(err, ErrFull) && room.release(reserveStep); {
		db, err = openFile(ctx, path, now, how) // the index of the log takes a little room
	}
	return db, err
}

// OpenCopy is Open for a file that is a copy of another: it is migrated without a backup, and not made.
func OpenCopy(ctx context.Context, path string, now func() time.Time) (*DB, error) {
	return openFile(ctx, path, now, opening{copied: true})
}

// opening is how a file is opened.
type opening struct {
	fresh   bool   // it may be empty
	copied  bool   // it has to be there
	backups string // where the backup before a migration goes; "": none is made
}

func openFile(ctx context.Context, path string, now func() time.Time, how opening) (*DB, error) {
	fail := func(err error) (*DB, error) { return nil, fmt.Errorf("open database %s: %w", path, explain(err)) }
	abs, err := filepath.Abs(path)
	if err != nil {
		return fail(err)
	}
	err = inspect(abs)
	if errors.Is(err, fs.ErrNotExist) && !how.copied {
		if err = create(ctx, abs, now); errors.Is(err, fs.ErrExist) {
			err = nil // made by another process meanwhile
		}
	}
	if err != nil {
		return fail(err)
	}
	users, err := judge(ctx, abs)
	if err != nil {
		return fail(err)
	}
	if !users {
		how.backups = ""
	}
	db, err := openAt(ctx, abs, now, how)
	if err != nil {
		return fail(err)
	}
	return db, nil
}

// dsn is the file at an absolute path as SQLite takes it, with the pragmas of every connection and those of this one.
func dsn(abs string, pragmas ...string) string {
	all := append([]string{"foreign_keys(1)", "synchronous(FULL)", "wal_autocheckpoint(0)"}, pragmas...)
	return "file:" + (&url.URL{Path: abs}).EscapedPath() + "?_pragma=" + strings.Join(all, "&_pragma=")
}

// wait is how long a connection waits for a lock of another process, which has it for moments.
const wait = "busy_timeout(5000)"

// openAt opens and migrates the file at abs.
func openAt(ctx context.Context, abs string, now func() time.Time, how opening) (*DB, error) {
	flags := os.O_RDWR
	if how.fresh {
		flags |= os.O_CREATE | os.O_EXCL
	}
	// SQLite gives -wal and -shm the mode of the file, so the file's is enough, whatever the umask.
	f, err := os.OpenFile(abs, flags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(0o600); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	c, err := newConn(dsn(abs, wait, "journal_mode(WAL)"))
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := check(ctx, c); err != nil {
		return nil, errors.Join(err, c.close(), f.Close())
	}
	db := &DB{now: now, long: make(chan struct{}, longReaders), file: f, copying: make(chan struct{})}
	if db.readers, err = newPool(dsn(abs, wait, "query_only(1)"), readers); err != nil {
		return nil, errors.Join(err, c.close(), f.Close())
	}
	marked := abs
	if how.fresh || how.copied {
		marked = "" // nobody is told what is written to it: it is whole, or removed
	}
	db.writer = newWriter(c, now, marked, newReserve(abs))
	go db.copyLog()
	db.close = sync.OnceValue(func() error {
		db.writer.stop() // first: what it runs may read
		db.readers.wait()
		<-db.copying
		saved := false
		if db.writer.pages > 0 || lostLog(abs) != nil {
			saved = db.writer.copyRest() // endUse copies where this is the only process that has it open, and the log there
		}
		if err := db.writer.health.usable(); err != nil {
			return err // closing would write: what is in the WAL is left for the next start
		}
		err := errors.Join(db.readers.close(), c.close())
		if end := endUse(context.Background(), abs, saved); !noRoom(end) { // else nothing is lost: the log and its mark stay
			err = errors.Join(err, end)
		}
		err = errors.Join(err, f.Close())
		if how.fresh || how.copied {
			err = errors.Join(err, whole(abs))
		}
		return err
	})
	_ = db.writer.reserve.refill() // there may be room again for what a migration writes
	if err := db.migrate(ctx, abs, how.backups); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// check asks SQLite whether the pragmas of the DSN took effect: an unknown one is silently ignored.
func check(ctx context.Context, c *conn) error {
	if err := c.connect(ctx); err != nil {
		return err
	}
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "wal_autocheckpoint": "0"} {
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

// whole fails when something is left in the log of a database that is closed and is going to be moved without it.
func whole(abs string) error {
	info, err := os.Stat(abs + "-wal")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil && info.Size() > 0 {
		return fmt.Errorf("what was written to %s is still in its -wal: the disk did not take the copy; look whether it is full", abs)
	}
	return nil
}

// Close waits for running transactions and for writes that wait for their turn, and closes the file. It fails with ErrUnsynced when an
// fsync has.
func (db *DB) Close() error { return db.close() }

// Now is the clock that transactions read.
func (db *DB) Now() time.Time { return db.now() }

// Read runs fn in a read-only snapshot.
func (db *DB) Read(ctx context.Context, fn func(*Tx) error) error { return db.read(ctx, false, fn) }

// ReadOne is Read for one statement that an index answers. It has a snapshot by itself, so nothing has to be begun and ended
// around it, which takes as long, and no context interrupts it, which takes as long again. A second one fails.
func (db *DB) ReadOne(ctx context.Context, fn func(*Tx) error) error { return db.read(ctx, true, fn) }

// ReadLong is Read for what may look at much of the file. Half of the pool is all that such reads get, however many there are,
// so that the others never wait for them.
func (db *DB) ReadLong(ctx context.Context, fn func(*Tx) error) error {
	select {
	case db.long <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-db.readers.closing:
		return errClosed
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
	tx.Tx.tx = tx
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
			c.drop() // it may be the connection that failed
		default:
			if rerr := c.rollback(); rerr != nil {
				err = errors.Join(err, rerr) // not without: err is to stay the value that fn returned
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
