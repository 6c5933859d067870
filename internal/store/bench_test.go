package store

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkWrite measures durable writes of one row beside their floor: database/sql on a file with the same pragmas,
// one transaction and one fsync each. They take turns, because the machine's speed changes within seconds.
//
//	go test -run '^$' -bench Write ./internal/store
func BenchmarkWrite(b *testing.B) {
	const turns = 8
	for _, goroutines := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("goroutines=%d", goroutines), func(b *testing.B) {
			ours, floor := openBoth(b)
			b.ResetTimer()
			b.StopTimer()
			var name atomic.Int64
			run := func(n int, write func(name int64) error) time.Duration {
				var done atomic.Int64
				var wg sync.WaitGroup
				begin := time.Now()
				for range goroutines {
					wg.Go(func() {
						for done.Add(1) <= int64(n) {
							if err := write(name.Add(1)); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				return time.Since(begin)
			}
			var oursTook, floorTook time.Duration
			for turn := range turns {
				n := b.N*(turn+1)/turns - b.N*turn/turns
				floorTook += run(n, floor)
				b.StartTimer()
				oursTook += run(n, ours)
				b.StopTimer()
			}
			b.ReportMetric(float64(b.N)/oursTook.Seconds(), "writes/s")
			b.ReportMetric(float64(b.N)/floorTook.Seconds(), "floor/s")
			b.ReportMetric(floorTook.Seconds()/oursTook.Seconds(), "x-floor")
		})
	}
}

// openBoth gives a write of ours, and the same as a transaction of its own.
func openBoth(b *testing.B) (ours, floor func(name int64) error) {
	b.Helper()
	dir := b.TempDir()
	var dbs []*DB
	for _, name := range []string{"ours.db", "floor.db"} {
		db, err := Open(b.Context(), filepath.Join(dir, name), time.Now)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = db.Close() })
		dbs = append(dbs, db)
	}
	if err := dbs[1].Close(); err != nil { // it has made the tables
		b.Fatal(err)
	}
	plain, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "floor.db")+
		"?_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)&_pragma=synchronous(FULL)"+
		"&_pragma=journal_mode(WAL)&_txlock=immediate")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = plain.Close() })
	plain.SetMaxOpenConns(1)
	stmt, err := plain.PrepareContext(b.Context(), insert)
	if err != nil {
		b.Fatal(err)
	}
	ours = func(name int64) error {
		return dbs[0].Write(b.Context(), func(tx *Tx) error {
			_, err := tx.ExecContext(b.Context(), insert, name)
			return err
		})
	}
	floor = func(name int64) error {
		tx, err := plain.BeginTx(b.Context(), nil)
		if err != nil {
			return err
		}
		if _, err := tx.StmtContext(b.Context(), stmt).ExecContext(b.Context(), name); err != nil {
			_ = tx.Rollback() // it has failed already
			return err
		}
		return tx.Commit()
	}
	return ours, floor
}
