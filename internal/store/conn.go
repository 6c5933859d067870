package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// conn is one connection with its prepared statements. It runs one transaction at a time, without the goroutines that
// database/sql starts for each transaction and each query in one. It connects at its first use, and again after drop.
type conn struct {
	dsn    string
	db     *sql.DB    // of this connection only
	sql    *sql.Conn  // of db; nil: not connected
	driver driverConn // of sql, which no other goroutine uses

	stmts map[string]*sql.Stmt // by query text, about maxStatements
	lost  atomic.Bool          // the transaction has been rolled back, perhaps by SQLite (disk full, I/O error)
}

// maxStatements is the number of statements after which a connection forgets all of them. Those of constant text are
// fewer than 200. Searches of several conditions have many texts.
const maxStatements = 300

// driverConn is what the driver offers beyond database/sql.
type driverConn interface {
	sqlite.DBStatus
	sqlite.FileControl
	sqlite.HookRegisterer
}

// dial returns a connection that is open.
func dial(ctx context.Context, dsn string) (*conn, error) {
	c := &conn{dsn: dsn}
	if err := c.connect(ctx); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *conn) connect(ctx context.Context) (err error) {
	if c.sql != nil {
		return nil
	}
	keepPlans()
	if c.db, err = sql.Open("sqlite", c.dsn); err != nil {
		return err
	}
	sc, err := c.db.Conn(ctx)
	if err == nil {
		err = sc.Raw(func(dc any) error { c.driver = dc.(driverConn); return nil })
	}
	if err != nil {
		return errors.Join(err, c.db.Close())
	}
	c.sql, c.stmts = sc, map[string]*sql.Stmt{}
	c.driver.RegisterRollbackHook(func() { c.lost.Store(true) })
	if _, err = c.driver.FileControlPersistWAL("main", 1); resultCode(err) == sqlite3.SQLITE_NOTFOUND {
		return nil // a database in memory has no WAL
	}
	return err
}

// drop closes a connection whose state is not known, which rolls back.
func (c *conn) drop() {
	_ = c.close()
	c.lost.Store(true)
}

func (c *conn) close() error {
	if c.sql == nil {
		return nil
	}
	c.finalize() // SQLite keeps a connection that has statements, with its locks
	err := errors.Join(c.sql.Close(), c.db.Close())
	c.sql = nil
	return err
}

// finalize closes the statements.
func (c *conn) finalize() {
	for _, stmt := range c.stmts {
		_ = stmt.Close() // returns the error of its last use again
	}
	clear(c.stmts)
}

// prepared returns the statement for a query.
func (c *conn) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	if stmt := c.stmts[query]; stmt != nil {
		return stmt, nil
	}
	stmt, err := c.sql.PrepareContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	c.stmts[query] = stmt
	return stmt, nil
}

// exec runs BEGIN, COMMIT and the like; no context interrupts it.
func (c *conn) exec(query string) error {
	stmt, err := c.prepared(context.Background(), query)
	if err != nil {
		return err
	}
	_, err = stmt.ExecContext(context.Background())
	return err
}

// ready connects if necessary, for the next transaction.
func (c *conn) ready(ctx context.Context) error {
	c.lost.Store(false)
	if len(c.stmts) > maxStatements {
		c.finalize()
	}
	return c.connect(ctx)
}

func (c *conn) begin(ctx context.Context, query string) error {
	if err := c.ready(ctx); err != nil {
		return err
	}
	err := c.exec(query)
	if err != nil {
		c.drop()
	}
	return err
}

// commit commits, or rolls back and fails.
func (c *conn) commit() error {
	if c.lost.Load() {
		return errRolledBack
	}
	if err := c.exec("COMMIT"); err != nil {
		return errors.Join(err, c.rollback())
	}
	return nil
}

// rollback rolls back, or drops the connection if that fails.
func (c *conn) rollback() error {
	if c.lost.Load() {
		return nil
	}
	if err := c.exec("ROLLBACK"); err != nil {
		c.drop()
		return fmt.Errorf("roll back: %w", err)
	}
	return nil
}

// checkForeignKeys fails if a deferred foreign key is violated, which would make COMMIT fail.
func (c *conn) checkForeignKeys() error {
	violated, _, err := c.driver.Status(sqlite.DBStatusDeferredFKs, false)
	if err == nil && violated != 0 {
		err = errForeignKey
	}
	return err
}

// written returns the number of pages that the connection has written since the last call.
func (c *conn) written() int {
	pages, _, _ := c.driver.Status(sqlite.DBStatusCacheWrite, true) // fails only for an unknown counter
	return pages
}

// checkpoint copies committed pages from the WAL into the database, except those that a reader still needs, and waits
// for nothing. It is complete if all pages were copied, and fails with ErrUnsynced if an fsync fails. Automatic
// checkpoints (PRAGMA wal_autocheckpoint) are off: they run inside a commit, which then takes several times as long,
// and hide an fsync that failed.
func (c *conn) checkpoint(ctx context.Context) (complete bool, err error) {
	stmt, err := c.prepared(ctx, `PRAGMA wal_checkpoint(PASSIVE)`)
	if err != nil {
		return false, err
	}
	var busy, logged, copied int // busy: another checkpoint is running
	err = stmt.QueryRowContext(ctx).Scan(&busy, &logged, &copied)
	return err == nil && busy == 0 && copied == logged, classify(err)
}

// pool holds the connections that read. The connection returned last is taken first: its statements are prepared, and
// its pages are cached.
type pool struct {
	dsn     string
	turns   chan struct{} // one element for each connection in use
	closing chan struct{}
	mu      sync.Mutex
	idle    []*conn // guarded by mu
}

// enter waits until turns, which has a buffer, takes one more element.
func (p *pool) enter(ctx context.Context, turns chan struct{}) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-p.closing:
		return errClosed
	}
}

func (p *pool) take(ctx context.Context) (*conn, error) {
	if err := p.enter(ctx, p.turns); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return &conn{dsn: p.dsn}, nil
	}
	last := len(p.idle) - 1
	c := p.idle[last]
	p.idle = p.idle[:last]
	return c, nil
}

func (p *pool) put(c *conn) {
	p.mu.Lock()
	p.idle = append(p.idle, c)
	p.mu.Unlock()
	<-p.turns
}

// close refuses further reads, waits for the running ones, and closes the connections.
func (p *pool) close() (err error) {
	close(p.closing)
	for range cap(p.turns) {
		p.turns <- struct{}{}
	}
	for _, c := range p.idle {
		err = errors.Join(err, c.close())
	}
	return err
}
