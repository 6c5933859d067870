// Package store is the SQLite file: pools, transactions and migrations.
//
// It promises that what Write has acknowledged survives a power cut (WAL with synchronous=FULL), that
// there is one writer at a time, and that readers never wait for it. It knows no table: SQL lives in
// query.go of the package that owns the rows.
//
// Files: the database at the path given to Open, with SQLite's -wal and -shm beside it, all mode 0600.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// readers is the size of the reading pool: with more, readers and the writer only contend for the cores.
const readers = 4

// DB is one open SQLite file.
type DB struct {
	writer *pool
	reader *pool
	now    func() time.Time
}

// pool is a connection pool with its prepared statements, by query text. Only constant queries go
// through it, so the map is bounded by the program's own text.
type pool struct {
	*sql.DB
	mu    sync.RWMutex
	stmts map[string]*sql.Stmt // guarded by mu
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
	db := &DB{now: now}
	if db.writer, err = openPool(base+"&_pragma=journal_mode(WAL)&_txlock=immediate", 1); err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	if err := db.check(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), db.writer.Close())
	}
	if err := db.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), db.writer.Close())
	}
	if db.reader, err = openPool(base+"&_pragma=query_only(1)", readers); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), db.writer.Close())
	}
	return db, nil
}

func openPool(dsn string, size int) (*pool, error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	db.SetConnMaxIdleTime(0)
	return &pool{DB: db, stmts: map[string]*sql.Stmt{}}, nil
}

// check asks SQLite whether the pragmas of the DSN took effect: an unknown one is silently ignored.
func (db *DB) check(ctx context.Context) error {
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		var got string
		if err := db.writer.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(&got); err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("PRAGMA %s is %s, not %s: the file system does not support what durability needs", pragma, got, want)
		}
	}
	return nil
}

// Close waits for running transactions and closes the file.
func (db *DB) Close() error {
	return errors.Join(db.reader.Close(), db.writer.Close())
}

// Now is the clock that transactions read.
func (db *DB) Now() time.Time { return db.now() }

// Tx is one transaction. Now is read once, so every row it touches carries the same time.
//
// ExecContext, QueryContext and QueryRowContext prepare their query once and for all: give them
// constant text. A query put together at run time goes through the embedded Tx.
type Tx struct {
	*sql.Tx
	Now   time.Time
	pool  *pool
	after []func(committed bool)
}

// Write runs fn in a transaction that holds the only write lock: do nothing slow in it, least of all
// hash a password. Its only effects are on tx and through tx.After. An error from fn, or a panic, rolls
// everything back. Transactions do not nest: a Write inside a Write waits for itself.
func (db *DB) Write(ctx context.Context, fn func(*Tx) error) error {
	return db.run(ctx, db.writer, fn)
}

// Read runs fn in a read-only snapshot.
func (db *DB) Read(ctx context.Context, fn func(*Tx) error) error {
	return db.run(ctx, db.reader, fn)
}

func (db *DB) run(ctx context.Context, p *pool, fn func(*Tx) error) (err error) {
	raw, err := p.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	tx := &Tx{Tx: raw, Now: db.now().UTC(), pool: p}
	committed := false
	defer func() {
		if !committed {
			// The driver has rolled back already where Commit failed or the context ended.
			if rerr := raw.Rollback(); rerr != nil && !errors.Is(rerr, sql.ErrTxDone) {
				err = errors.Join(err, fmt.Errorf("roll back: %w", rerr))
			}
		}
		for _, f := range tx.after {
			f(committed)
		}
	}()
	if err := fn(tx); err != nil {
		return err
	}
	if err := raw.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	committed = true
	return nil
}

// After registers fn to run once, after the transaction has ended and its connection is free, before
// Write returns.
func (tx *Tx) After(fn func(committed bool)) { tx.after = append(tx.after, fn) }

// ExecContext runs a constant statement, prepared once.
func (tx *Tx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	stmt, err := tx.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	return stmt.ExecContext(ctx, args...)
}

// QueryContext runs a constant query, prepared once.
func (tx *Tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, err := tx.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(ctx, args...)
}

// QueryRowContext runs a constant query of one row, prepared once.
func (tx *Tx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	stmt, err := tx.prepared(ctx, query)
	if err != nil {
		// The query fails again the same way unprepared, and *sql.Row carries the error.
		return tx.Tx.QueryRowContext(ctx, query, args...)
	}
	return stmt.QueryRowContext(ctx, args...)
}

// prepared gives the pool's statement for query, bound to this transaction.
func (tx *Tx) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	p := tx.pool
	p.mu.RLock()
	stmt := p.stmts[query]
	p.mu.RUnlock()
	if stmt == nil {
		// Prepared on the transaction's own connection: the pool may have no other to give.
		var err error
		if stmt, err = tx.PrepareContext(ctx, query); err != nil {
			return nil, fmt.Errorf("prepare: %w", err)
		}
		tx.After(func(bool) { p.keep(query) })
		return stmt, nil
	}
	return tx.StmtContext(ctx, stmt), nil
}

// keep prepares query for the transactions to come. Failing is harmless: the next one tries again. The
// lock is not held while it waits for a connection: whoever has that may be waiting for the lock.
func (p *pool) keep(query string) {
	stmt, err := p.PrepareContext(context.Background(), query)
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stmts[query] != nil {
		_ = stmt.Close() // another transaction was first
		return
	}
	p.stmts[query] = stmt
}

// IsUnique reports whether err is a violated UNIQUE or PRIMARY KEY constraint.
func IsUnique(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) &&
		(e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}
