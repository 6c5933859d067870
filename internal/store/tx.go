package store

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"time"
)

var (
	// errRolledBack is for a write that succeeded in a transaction that did not.
	errRolledBack = errors.New("the transaction was rolled back")
	errOneOnly    = errors.New("a ReadOne has a second statement, which would read another snapshot")
	errForeignKey = errors.New("FOREIGN KEY constraint failed when the transaction was about to end")
)

// Tx is one transaction. Now is read once, so all rows that it writes carry the same time.
//
// ExecContext, QueryContext and QueryRowContext keep their statement prepared for ever, so the query must be
// constant. A query that is put together at run time goes through Tx.Tx, which keeps nothing. The context interrupts
// a statement of Read and ReadLong, but not one of Write and ReadOne.
type Tx struct {
	Tx  unprepared
	Now time.Time

	conn    *conn
	writing bool
	single  bool // for ReadOne
	ran     bool // a statement has run; set only if single
	over    bool
	rows    []*sql.Rows // returned to the caller, perhaps not closed
	after   []func(committed bool)
}

func newTx(c *conn, now time.Time) *Tx {
	tx := &Tx{Now: now.UTC(), conn: c}
	tx.Tx.tx = tx
	return tx
}

// After registers fn to run once in the caller's goroutine, after the transaction has ended and its connection is free,
// and before Write or Read returns.
func (tx *Tx) After(fn func(committed bool)) { tx.after = append(tx.after, fn) }

// ended runs the functions that After registered.
func (tx *Tx) ended(committed bool) {
	for _, f := range tx.after {
		f(committed)
	}
}

// end closes rows that were left open, and makes further statements fail: the connection is for other transactions now.
func (tx *Tx) end() {
	tx.over = true
	for _, rows := range tx.rows {
		_ = rows.Close() // the reader of the rows has seen the error
	}
	tx.rows = nil
}

// usable fails if SQLite would run a statement outside of this transaction. It is called before each statement.
func (tx *Tx) usable() error {
	switch {
	case tx.over:
		return sql.ErrTxDone
	case tx.conn.lost.Load():
		return errRolledBack
	case tx.ran:
		return errOneOnly
	}
	tx.ran = tx.single
	return nil
}

// context returns the context for a statement. An interrupted statement of a write could end the transaction, which
// other writes share. A context that can end costs a goroutine for each statement.
func (tx *Tx) context(ctx context.Context) context.Context {
	if tx.writing || tx.single {
		return context.Background()
	}
	return ctx
}

func (tx *Tx) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	if err := tx.usable(); err != nil {
		return nil, err
	}
	return tx.conn.prepared(ctx, query)
}

// ExecContext runs a constant statement, which stays prepared.
func (tx *Tx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	ctx = tx.context(ctx)
	stmt, err := tx.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	return stmt.ExecContext(ctx, args...)
}

// QueryContext runs a constant query, which stays prepared.
func (tx *Tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	ctx = tx.context(ctx)
	stmt, err := tx.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	return tx.keep(stmt.QueryContext(ctx, args...))
}

// QueryRowContext runs a constant query of one row, which stays prepared.
func (tx *Tx) QueryRowContext(ctx context.Context, query string, args ...any) *Row {
	return newRow(tx.QueryContext(ctx, query, args...))
}

// keep registers rows for end.
func (tx *Tx) keep(rows *sql.Rows, err error) (*sql.Rows, error) {
	if err == nil {
		tx.rows = append(tx.rows, rows)
	}
	return rows, err
}

// unprepared runs queries that are put together at run time, and keeps none prepared.
type unprepared struct{ tx *Tx }

// ExecContext runs one or more statements.
func (u unprepared) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if err := u.tx.usable(); err != nil {
		return nil, err
	}
	return u.tx.conn.sql.ExecContext(u.tx.context(ctx), query, args...)
}

// QueryContext runs a query.
func (u unprepared) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := u.tx.usable(); err != nil {
		return nil, err
	}
	return u.tx.keep(u.tx.conn.sql.QueryContext(u.tx.context(ctx), query, args...))
}

// QueryRowContext runs a query of one row.
func (u unprepared) QueryRowContext(ctx context.Context, query string, args ...any) *Row {
	return newRow(u.QueryContext(ctx, query, args...))
}

// Row is the result of QueryRowContext.
type Row struct {
	rows *sql.Rows
	err  error
}

func newRow(rows *sql.Rows, err error) *Row { return &Row{rows, err} }

// Scan copies the first row into dest. It fails with sql.ErrNoRows if there is no row.
func (r *Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return sql.ErrNoRows
	}
	if err := r.rows.Scan(dest...); err != nil {
		return err
	}
	return r.rows.Close()
}

// Prepared returns the constant queries that the transaction's connection has run so far, in this or earlier
// transactions. Tests examine their plans.
func (tx *Tx) Prepared() []string { return slices.Sorted(maps.Keys(tx.conn.stmts)) }
