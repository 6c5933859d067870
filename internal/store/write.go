package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// groupSize is the largest number of writes that share a commit: the first waits for the last.
const groupSize = 64

// Write runs fn in a transaction that holds the only write lock: do nothing slow in fn, and never hash a password.
// Its only effects are on tx and through tx.After. An error from fn, or a panic, rolls its changes back. ctx cancels
// the write only until fn begins. Transactions do not nest: a Write inside a Write deadlocks. A Write inside a Read
// keeps a connection, and a checkpoint needs one.
//
// Writes that arrive while others run share their commit, and are acknowledged after it. Each runs behind a
// savepoint, so a failed one is rolled back alone. A full disk and an I/O error fail the whole group. After an fsync
// has failed, every write fails: see Broken. On a full disk Write fails with ErrFull; use WriteUrgent for what must
// succeed.
//
// fn runs in the writer's goroutine. A panic of fn continues in the caller's goroutine, with the same value.
func (db *DB) Write(ctx context.Context, fn func(*Tx) error) error {
	err := db.writer.write(ctx, fn, false)
	if noRoom(err) && !errors.Is(err, ErrFull) {
		err = fmt.Errorf("%w (%w)", ErrFull, err)
	}
	return err
}

// writer runs the functions of Write, one after the other in one goroutine.
type writer struct {
	conn    *conn
	now     func() time.Time
	queue   chan *write   // unbuffered: a caller that has not been received can leave
	closing chan struct{} // closed: new writes are refused
	stopped chan struct{} // closed: the goroutine has ended
	group   []*write      // writes that have begun in the open transaction
	health  health
	reserve *reserve
	marked  string    // path of the database, which gets the mark; "": no mark
	markBy  *sql.Conn // the connection that set the mark: while it has the file open, no process removes the mark

	pages  int           // written since the last checkpoint
	long   chan struct{} // sent to: a checkpoint is due
	copied chan struct{} // received from: it is done, except for what was written meanwhile
}

// write is one call of Write.
type write struct {
	fn      func(*Tx) error
	urgent  bool          // runs on a full disk as well
	claimed atomic.Bool   // by the writer, which runs fn, or by the caller, who leaves
	done    chan struct{} // closed: the fields below are final

	tx        *Tx // nil: fn did not run
	err       error
	panicked  any
	committed bool
}

func (w *write) failed() bool { return w.err != nil || w.panicked != nil }

func newWriter(c *conn, now func() time.Time, marked string, room *reserve) *writer {
	wr := &writer{
		conn: c, now: now, marked: marked, reserve: room, health: health{broken: make(chan struct{})},
		queue: make(chan *write), closing: make(chan struct{}), stopped: make(chan struct{}),
		long: make(chan struct{}), copied: make(chan struct{}),
	}
	c.written() // by opening: a new file gets its WAL then, and needs no mark
	go wr.loop()
	return wr
}

func (wr *writer) write(ctx context.Context, fn func(*Tx) error, urgent bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-wr.closing:
		return errClosed
	case <-wr.health.broken:
		return wr.health.failure()
	default:
	}
	w := &write{fn: fn, urgent: urgent, done: make(chan struct{})}
	select {
	case wr.queue <- w:
	case <-ctx.Done():
		return ctx.Err()
	case <-wr.stopped:
		return errClosed
	}
	return w.wait(ctx)
}

// wait returns the outcome, or the error of ctx if that ends before fn begins.
func (w *write) wait(ctx context.Context) error {
	select {
	case <-w.done:
	case <-ctx.Done():
		if w.claimed.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		<-w.done
	}
	if w.tx != nil {
		w.tx.ended(w.committed)
	}
	if w.panicked != nil {
		panic(w.panicked)
	}
	return w.err
}

// stop refuses further writes, and waits for those that have been called.
func (wr *writer) stop() {
	close(wr.closing)
	<-wr.stopped
}

func (wr *writer) loop() {
	ended := false
	defer func() {
		if !ended { // by runtime.Goexit in a function, as t.FailNow does
			wr.abort(errors.New("a function ended its goroutine"))
			go wr.loop()
		}
	}()
	for {
		select {
		case w := <-wr.queue:
			wr.transact(w)
			continue
		case <-wr.copied:
			wr.checkpointRest()
			continue
		case <-wr.closing:
		}
		if w := wr.next(); w != nil {
			wr.transact(w)
			continue
		}
		ended = true
		close(wr.stopped)
		return
	}
}

// next returns a write that is already waiting, or nil.
func (wr *writer) next() *write {
	select {
	case w := <-wr.queue:
		return w
	default:
		return nil
	}
}

// transact runs first, and the writes that arrive meanwhile, in one transaction.
func (wr *writer) transact(first *write) {
	full := wr.reserve.short.Load()
	err := wr.health.usable()
	if full && !first.urgent {
		err = ErrFull
	}
	if err == nil {
		err = wr.conn.begin(context.Background(), "BEGIN IMMEDIATE")
		wr.failed(err)
	}
	if err != nil {
		first.refuse(err)
		return
	}
	for w := first; w != nil; {
		if w.claimed.CompareAndSwap(false, true) {
			err := wr.run(w)
			wr.failed(w.err)
			if err != nil {
				if noRoom(w.err) {
					err = fmt.Errorf("%w: %w", err, ErrFull) // so that urgent writes of the group try again
				}
				wr.failed(err)
				wr.abort(err)
				return
			}
		}
		if w = nil; !full && len(wr.group) < groupSize { // on a full disk, each transaction as small as possible
			w = wr.next()
		}
	}
	if err := wr.health.usable(); err != nil { // an fsync has failed meanwhile
		wr.abort(err)
		return
	}
	if err := wr.conn.commit(); err != nil {
		wr.failed(err)
		wr.finish(fmt.Errorf("commit: %w", classify(err)))
		return
	}
	pages := wr.conn.written()
	wr.pages += pages
	wr.health.set(&wr.health.write, nil)
	wr.health.set(&wr.health.mark, wr.mark(pages))
	wr.finish(nil)
	if full {
		wr.checkpointFull()
	} else {
		wr.requestCheckpoint()
	}
}

// failed records the error of a write if it comes from the file. After a full disk the reserve is short, so ordinary
// writes are refused.
func (wr *writer) failed(err error) {
	if isFileError(err) {
		wr.health.set(&wr.health.write, err)
	}
	if noRoom(err) && !wr.reserve.short.Load() {
		wr.reserve.release(reserveBlock)
	}
}

// refuse fails w, which has not begun.
func (w *write) refuse(err error) {
	if w.claimed.CompareAndSwap(false, true) {
		w.err = fmt.Errorf("begin transaction: %w", err)
		close(w.done)
	}
}

// mark sets the mark before a commit of this many pages is acknowledged, so that the loss of the WAL is noticed. If it
// fails, the commit is durable all the same, and readiness reports the error.
func (wr *writer) mark(pages int) error {
	if wr.marked == "" || wr.markBy == wr.conn.sql || pages == 0 { // without pages there may be no WAL
		return nil
	}
	if err := setMark(wr.marked); err != nil {
		return err
	}
	wr.markBy = wr.conn.sql
	return nil
}

// run runs w, and rolls it back if it fails. An error fails the whole group.
//
// The first write of a group needs no savepoint: there is nothing else to keep.
func (wr *writer) run(w *write) error {
	first := len(wr.group) == 0
	wr.group = append(wr.group, w)
	if !first {
		if err := wr.conn.exec("SAVEPOINT turn"); err != nil {
			return fmt.Errorf("begin transaction: %w", err)
		}
	}
	w.tx = &Tx{Now: wr.now().UTC(), conn: wr.conn, writing: true}
	w.call()
	if !w.failed() && !wr.conn.lost.Load() {
		w.err = wr.conn.checkForeignKeys() // COMMIT would fail the whole group
	}
	switch {
	case wr.conn.lost.Load(), first && w.failed():
		return errRolledBack
	case first:
		return nil
	case w.failed():
		if err := wr.conn.exec("ROLLBACK TO turn"); err != nil {
			return fmt.Errorf("roll back: %w", err)
		}
	}
	if err := wr.conn.exec("RELEASE turn"); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// call runs fn and recovers its panic.
func (w *write) call() {
	defer func() {
		w.panicked = recover()
		w.tx.end()
	}()
	w.err = w.fn(w.tx)
}

// abort rolls the open transaction back. Writes of its group that have not failed by themselves fail with err.
func (wr *writer) abort(err error) {
	wr.finish(errors.Join(err, wr.conn.rollback()))
}

// finish ends the writes of the group after the transaction; nil: it was committed. Failed writes wait until then as
// well, because they may have failed over a change of another write, which has to be durable first.
func (wr *writer) finish(err error) {
	for _, w := range wr.group {
		if !w.failed() {
			w.err, w.committed = err, err == nil
		}
		close(w.done)
	}
	clear(wr.group)
	wr.group = wr.group[:0]
}
