package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
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
// Queries stay prepared. The context interrupts a statement of Read and ReadLong, but not one of Write and ReadOne.
type Tx struct {
	Now time.Time

	conn    *conn
	writing bool
	single  bool // for ReadOne
	ran     bool // a statement has run; set only if single
	over    bool
	rows    []*sql.Rows // returned to the caller, perhaps not closed
	after   []func(committed bool)
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

// prepare returns a statement and the context to run it with. It fails if SQLite would run the statement outside of
// this transaction.
func (tx *Tx) prepare(ctx context.Context, query string) (context.Context, *sql.Stmt, error) {
	switch {
	case tx.over:
		return nil, nil, sql.ErrTxDone
	case tx.conn.lost.Load():
		return nil, nil, errRolledBack
	case tx.ran:
		return nil, nil, errOneOnly
	}
	tx.ran = tx.single
	// An interrupted statement of a write could end the transaction, which other writes share. A context that can end
	// costs a goroutine for each statement.
	if tx.writing || tx.single {
		ctx = context.Background()
	}
	stmt, err := tx.conn.prepared(ctx, query)
	return ctx, stmt, err
}

// ExecContext runs a statement.
func (tx *Tx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	ctx, stmt, err := tx.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return stmt.ExecContext(ctx, args...)
}

// Exec runs a statement, and returns how many rows it changed. action is what failed, for the error.
func (tx *Tx) Exec(ctx context.Context, action, statement string, args ...any) (changed int64, err error) {
	result, err := tx.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", action, err)
	}
	return result.RowsAffected()
}

// QueryContext runs a query.
func (tx *Tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	ctx, stmt, err := tx.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err == nil {
		tx.rows = append(tx.rows, rows)
	}
	return rows, err
}

// QueryRowContext runs a query of one row.
func (tx *Tx) QueryRowContext(ctx context.Context, query string, args ...any) *Row {
	rows, err := tx.QueryContext(ctx, query, args...)
	return &Row{rows, err}
}

// Row is the result of QueryRowContext.
type Row struct {
	rows *sql.Rows
	err  error
}

// Scan copies the first row into dest. It fails with sql.ErrNoRows if there is no row.
func (r *Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		return cmp.Or(r.rows.Err(), sql.ErrNoRows)
	}
	return cmp.Or(r.rows.Scan(dest...), r.rows.Close())
}

// Prepared returns the queries that the transaction's connection has run so far, in this or earlier
// transactions. Tests examine their plans.
func (tx *Tx) Prepared() []string { return slices.Sorted(maps.Keys(tx.conn.stmts)) }
