package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

var (
	// errRolledBack is for writes that were well themselves.
	errRolledBack = errors.New("the transaction was rolled back")
	errOneOnly    = errors.New("the second statement of a ReadOne: its snapshot would be another")
	errForeignKey = errors.New("FOREIGN KEY constraint failed when the transaction was about to end")
)

// Tx is one transaction. Now is read once, so every row it touches carries the same time.
//
// ExecContext, QueryContext and QueryRowContext prepare their query once and for all: give them
// constant text. A query put together at run time goes through Tx.Tx, which prepares nothing.
// Their context interrupts a statement of Read; what Write and ReadOne have begun is not interrupted.
type Tx struct {
	Tx  unprepared
	Now time.Time

	conn    *conn
	writing bool
	single  bool // for ReadOne
	ran     bool // a statement; only told where single
	over    bool
	rows    []*sql.Rows // asked for, maybe not closed
	after   []func(committed bool)
}

// After registers fn to run once, after the transaction has ended and its connection is free, before
// Write returns and in its goroutine.
func (tx *Tx) After(fn func(committed bool)) { tx.after = append(tx.after, fn) }

// ended runs what After registered.
func (tx *Tx) ended(committed bool) {
	for _, f := range tx.after {
		f(committed)
	}
}

// end closes what was left open, and refuses every further statement: the connection belongs to others.
func (tx *Tx) end() {
	tx.over = true
	for _, rows := range tx.rows {
		_ = rows.Close() // an error of reading has been the reader's
	}
	tx.rows = nil
}

// usable fails where SQLite would run a statement outside of this transaction. It comes before each statement.
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

// context is the one a statement runs under. An interrupted write can end the transaction, in which others
// have written as well; and a context that can end costs a goroutine for each statement.
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

// ExecContext runs a constant statement, prepared once.
func (tx *Tx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	ctx = tx.context(ctx)
	stmt, err := tx.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	return stmt.ExecContext(ctx, args...)
}

// QueryContext runs a constant query, prepared once.
func (tx *Tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	ctx = tx.context(ctx)
	stmt, err := tx.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	return tx.keep(stmt.QueryContext(ctx, args...))
}

// QueryRowContext runs a constant query of one row, prepared once.
func (tx *Tx) QueryRowContext(ctx context.Context, query string, args ...any) *Row {
	return newRow(tx.QueryContext(ctx, query, args...))
}

// keep remembers rows for end.
func (tx *Tx) keep(rows *sql.Rows, err error) (*sql.Rows, error) {
	if err == nil {
		tx.rows = append(tx.rows, rows)
	}
	return rows, err
}

// unprepared runs queries that are put together at run time.
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

// Row is the answer to QueryRowContext.
type Row struct {
	rows *sql.Rows
	err  error
}

func newRow(rows *sql.Rows, err error) *Row { return &Row{rows, err} }

// Scan copies the first row into dest, and fails with sql.ErrNoRows when there is none.
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
