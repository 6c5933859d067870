package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// groupSize is how many functions share a commit at most: the first waits for the last.
const groupSize = 64

// Write runs fn in a transaction that holds the only write lock: do nothing slow in it, least of all
// hash a password. Its only effects are on tx and through tx.After. An error from fn, or a panic, rolls
// everything back; ctx does so only until fn begins. Transactions do not nest: a Write inside a Write
// waits for itself, and everybody else with it. A Write inside a Read keeps a connection from those who read, of whom
// copying the log is one that writes may have to wait for.
//
// Writes that come while others run are committed with them, each acknowledged after that commit. To each
// other they are transactions one after the other: what one did is undone alone when it fails. What is
// nobody's fault or takes the transaction with it (a full disk, an I/O error) fails them all. After an fsync that
// failed nothing is written any more: see Broken. On a full disk it fails with ErrFull, and WriteUrgent does not.
//
// fn runs in the writer's goroutine; its panic goes on in the caller's, with the same value.
func (db *DB) Write(ctx context.Context, fn func(*Tx) error) error {
	err := db.writer.write(ctx, fn, false)
	if noRoom(err) && !errors.Is(err, ErrFull) {
		err = fmt.Errorf("%w (%w)", ErrFull, err)
	}
	return err
}

// writer runs functions that write, one after the other in one goroutine.
type writer struct {
	conn    *conn
	now     func() time.Time
	queue   chan *write   // unbuffered: who has not been received can leave
	closing chan struct{} // closed: no more are taken on
	stopped chan struct{} // closed: the goroutine has ended
	group   []*write      // those that have begun in the open transaction
	health  health
	reserve *reserve
	marked  string    // the path of the database that gets the mark; "": none does
	markBy  *sql.Conn // under which the mark was set: as long as it has the file open, nobody removes the mark

	pages  int           // written since the log was copied
	long   chan struct{} // sent to: the log is long
	copied chan struct{} // received from: it has been copied, but for what came meanwhile
}

// write is one function on its way through the writer.
type write struct {
	fn      func(*Tx) error
	urgent  bool          // it is not refused on a full disk
	claimed atomic.Bool   // by the writer, who runs fn, or by the caller, who leaves
	done    chan struct{} // closed: the fields below are final

	tx        *Tx // nil: fn did not run
	err       error
	panicked  any
	committed bool
}

func (w *write) failed() bool { return w.err != nil || w.panicked != nil }

func newWriter(c *conn, now func() time.Time, marked string, room *reserve) *writer {
	wr := &writer{conn: c, now: now, marked: marked, reserve: room, queue: make(chan *write), closing: make(chan struct{}), stopped: make(chan struct{}),
		health: health{broken: make(chan struct{})}, long: make(chan struct{}), copied: make(chan struct{})}
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

// wait gives the outcome, or leaves when ctx ends before fn begins.
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

// stop waits for all who have called write.
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
			wr.copyRest()
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

// next is who waits already, nil when nobody does.
func (wr *writer) next() *write {
	select {
	case w := <-wr.queue:
		return w
	default:
		return nil
	}
}

// transact runs first, and those who come meanwhile, in one transaction.
func (wr *writer) transact(first *write) {
	full, size := wr.reserve.short.Load(), groupSize
	if full {
		size = 1 // each with as little room as it can have
	}
	if full && !first.urgent {
		first.refuse(ErrFull)
		return
	}
	err := wr.health.usable()
	if err == nil {
		err = wr.conn.begin(context.Background(), "BEGIN IMMEDIATE")
		wr.failed(err)
	}
	if err != nil {
		first.refuse(err)
		return
	}
	for w := first; w != nil; {
		if full && !w.urgent {
			w.refuse(ErrFull)
		} else if w.claimed.CompareAndSwap(false, true) {
			err := wr.run(w)
			wr.failed(w.err)
			if err != nil {
				if noRoom(w.err) {
					err = fmt.Errorf("%w: %w", err, ErrFull) // which the others may help themselves against
				}
				wr.failed(err)
				wr.abort(err)
				return
			}
		}
		if w = nil; len(wr.group) < size {
			w = wr.next()
		}
	}
	if err := wr.health.usable(); err != nil { // since it began
		wr.abort(err)
		return
	}
	if err := wr.conn.commit(); err != nil {
		wr.failed(err)
		wr.finish(fmt.Errorf("commit: %w", judged(err)))
		return
	}
	pages := wr.conn.written()
	wr.health.wrote(wr.mark(pages))
	wr.pages += pages
	wr.finish(nil)
	if full {
		wr.copyFull()
	} else {
		wr.keepUp()
	}
}

// failed is told every error of a write. After one that met a full disk the reserve is short.
func (wr *writer) failed(err error) {
	if err == nil {
		return
	}
	wr.health.failed(err)
	if noRoom(err) && !wr.reserve.short.Load() {
		wr.reserve.release(reserveBlock)
	}
}

// refuse answers w, which has not begun.
func (w *write) refuse(err error) {
	if w.claimed.CompareAndSwap(false, true) {
		w.err = fmt.Errorf("begin transaction: %w", err)
		close(w.done)
	}
}

// mark makes sure that the loss of a commit of so many pages is noticed, before anybody is told of it. Where that
// fails, the commit is no less durable, and readiness says what is wrong.
func (wr *writer) mark(pages int) error {
	if wr.marked == "" || wr.markBy == wr.conn.sql || pages == 0 { // without pages there may be no log
		return nil
	}
	if err := setMark(wr.marked); err != nil {
		return err
	}
	wr.markBy = wr.conn.sql
	return nil
}

// run gives w its turn and undoes what it did when it failed. An error is the whole group's.
//
// The first needs no savepoint: when it fails, there is nothing else to keep.
func (wr *writer) run(w *write) error {
	first := len(wr.group) == 0
	wr.group = append(wr.group, w)
	if !first {
		if err := wr.conn.exec("SAVEPOINT turn"); err != nil {
			return fmt.Errorf("begin transaction: %w", err)
		}
	}
	w.tx = &Tx{Now: wr.now().UTC(), conn: wr.conn, writing: true}
	w.tx.Tx.tx = w.tx
	w.call()
	if !w.failed() && !wr.conn.lost.Load() {
		w.err = wr.conn.checkForeignKeys() // here it is known whose they are; COMMIT would fail everybody
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

// call runs the function and catches its panic.
func (w *write) call() {
	defer func() {
		w.panicked = recover()
		w.tx.end()
	}()
	w.err = w.fn(w.tx)
}

// abort rolls the open transaction back and answers its group: who has not failed by itself fails with err.
func (wr *writer) abort(err error) {
	wr.finish(errors.Join(err, wr.conn.rollback()))
}

// finish answers the group after the transaction: nil is committed. Those who failed learn it only now,
// because they may have failed over what another did, which had to be durable first.
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
