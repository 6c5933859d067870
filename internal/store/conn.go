package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"modernc.org/sqlite"
)

// conn is one connection with its prepared statements. It serves one transaction at a time, without the
// goroutines that database/sql starts for each transaction and each query of one. It connects when it is
// first needed, and again after drop.
type conn struct {
	db    *sql.DB
	sql   *sql.Conn            // nil: not connected
	stmts map[string]*sql.Stmt // by query text, which is constant: the program's own text bounds it
	lost  atomic.Bool          // the transaction is rolled back, be it by SQLite itself (disk full, I/O error)

	counter *counter
}

func newConn(dsn string) (*conn, error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	return &conn{db: db, counter: newCounter()}, nil
}

func (c *conn) connect(ctx context.Context) error {
	if c.sql != nil {
		return nil
	}
	sc, err := c.db.Conn(ctx)
	if err != nil {
		return err
	}
	c.sql, c.stmts = sc, map[string]*sql.Stmt{}
	if err := sc.Raw(func(dc any) error {
		dc.(sqlite.HookRegisterer).RegisterRollbackHook(func() { c.lost.Store(true) })
		return nil
	}); err != nil {
		return err
	}
	return c.keepLog(true)
}

// drop gives up a connection whose state is not known; closing it rolls back.
func (c *conn) drop() {
	c.finalize()
	_ = c.sql.Raw(func(any) error { return driver.ErrBadConn }) // so that database/sql does not keep it
	c.sql = nil
	c.lost.Store(true)
}

func (c *conn) close() error {
	if c.sql == nil {
		return c.db.Close()
	}
	c.finalize()
	return errors.Join(c.sql.Close(), c.db.Close())
}

// finalize ends the statements: a connection that has some stays open, with its locks.
func (c *conn) finalize() {
	for _, stmt := range c.stmts {
		_ = stmt.Close() // repeats the error of its last use
	}
	c.stmts = nil
}

// prepared gives the statement for a constant query.
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

// exec runs a statement of the transaction itself, which no context interrupts.
func (c *conn) exec(query string) error {
	stmt, err := c.prepared(context.Background(), query)
	if err != nil {
		return err
	}
	_, err = stmt.ExecContext(context.Background())
	return err
}

// ready makes the connection fit for a statement.
func (c *conn) ready(ctx context.Context) error {
	c.lost.Store(false)
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

// commit rolls back when it fails.
func (c *conn) commit() error {
	if c.lost.Load() {
		return errRolledBack
	}
	err := c.exec("COMMIT")
	if err != nil {
		return errors.Join(err, c.rollback())
	}
	return nil
}

// rollback leaves the connection without a transaction, or drops it.
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

// checkForeignKeys fails when a deferred foreign key is violated, which COMMIT would refuse.
func (c *conn) checkForeignKeys() error {
	violated, err := c.status(sqlite.DBStatusDeferredFKs, false)
	if err == nil && violated != 0 {
		err = errForeignKey
	}
	return err
}

// written is how many pages the connection has written since it was asked last.
func (c *conn) written() int {
	pages, _ := c.status(sqlite.DBStatusCacheWrite, true) // which fails where nothing is connected, and something is after a commit
	return pages
}

// status gives one of SQLite's counters of the connection, and sets it to zero when reset.
func (c *conn) status(op sqlite.DBStatusOp, reset bool) (n int, err error) {
	c.counter.op, c.counter.reset = op, reset
	err = c.sql.Raw(c.counter.ask)
	return c.counter.n, err
}

// counter is what conn.status asks for, and how: with a function that is made once.
type counter struct {
	op    sqlite.DBStatusOp
	reset bool
	n     int
	ask   func(driverConn any) error
}

func newCounter() *counter {
	c := &counter{}
	c.ask = func(dc any) (err error) {
		c.n, _, err = dc.(sqlite.DBStatus).Status(c.op, c.reset)
		return err
	}
	return c
}

// checkpoint copies what committed transactions have left in the log into the file, as far as no reader is in the way, and waits for nobody.
// Complete is that all was copied that there was. SQLite does not do it by itself here (PRAGMA wal_autocheckpoint): it would in commits, each
// of which then takes several times as long, and would tell nobody of an fsync that failed.
func (c *conn) checkpoint(ctx context.Context) (complete bool, err error) {
	stmt, err := c.prepared(ctx, `PRAGMA wal_checkpoint(PASSIVE)`)
	if err != nil {
		return false, err
	}
	var busy, logged, copied int // busy: another one is at it
	err = stmt.QueryRowContext(ctx).Scan(&busy, &logged, &copied)
	return err == nil && busy == 0 && copied == logged, err
}

// pool is the connections that read. The one given back last is taken first: it has its statements
// prepared and its pages cached.
type pool struct {
	turns   chan struct{} // one for each connection that is out
	closing chan struct{}
	mu      sync.Mutex
	idle    []*conn // guarded by mu
}

func newPool(dsn string, size int) (*pool, error) {
	p := &pool{turns: make(chan struct{}, size), closing: make(chan struct{})}
	for range size {
		c, err := newConn(dsn)
		if err != nil {
			return nil, err // nothing is connected yet
		}
		p.idle = append(p.idle, c)
	}
	return p, nil
}

func (p *pool) take(ctx context.Context) (*conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case p.turns <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.closing:
		return nil, errClosed
	}
	p.mu.Lock()
	defer p.mu.Unlock()
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

// wait lets nobody in any more, and waits for those who read.
func (p *pool) wait() {
	close(p.closing)
	for range cap(p.turns) {
		p.turns <- struct{}{}
	}
}

// close closes the connections, after wait.
func (p *pool) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, c := range p.idle {
		errs = append(errs, c.close())
	}
	return errors.Join(errs...)
}
