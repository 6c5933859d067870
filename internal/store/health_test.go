package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
)

// TestHealthy: a write that the file does not take is remembered until one is committed, and asking tries one.
func TestHealthy(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "test.db"))
	big := make([]byte, 1<<20)
	fill := func(tx *Tx) error {
		_, err := tx.ExecContext(t.Context(), `INSERT INTO outbox (name, created_at, message) VALUES ('big', 1, ?)`,
			big)
		return err
	}
	limit := func(pages int) {
		if _, err := db.writer.conn.sql.ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d",
			pages)); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Healthy(t.Context()); err != nil {
		t.Errorf("at first: got %v, want healthy", err)
	}
	if err := db.Write(t.Context(), func(*Tx) error { return errRefused }); !errors.Is(err, errRefused) ||
		db.writer.health.failure() != nil {
		t.Errorf("after a refused write: got %v, want healthy", db.writer.health.failure())
	}
	limit(1) // as many as there are
	for _, end := range []struct {
		name string
		run  func() error
	}{
		{"a write", func() error { return db.Write(t.Context(), insertName("a")) }},
		{"asking", func() error { return db.Healthy(t.Context()) }},
	} {
		if err := db.Write(t.Context(), fill); err == nil {
			t.Fatal("a megabyte in a full file: got no error, want one")
		}
		if db.writer.health.failure() == nil {
			t.Error("a full file: got healthy, want a failure")
		}
		if err := end.run(); err != nil || db.writer.health.failure() != nil {
			t.Errorf("after %s: got %v, %v; want no error, healthy", end.name, err, db.writer.health.failure())
		}
	}
	select {
	case <-db.Broken():
		t.Error("a full file: got a broken disk, want none")
	default:
	}
}

// TestHealthyLog: a failed checkpoint is reported until one succeeds, whatever is written in between.
func TestHealthyLog(t *testing.T) {
	t.Parallel()
	db := open(t, filepath.Join(t.TempDir(), "test.db"))
	if _, err := db.writer.conn.sql.ExecContext(t.Context(), "PRAGMA max_page_count = 1"); err != nil {
		t.Fatal(err)
	}
	full := db.Write(t.Context(), func(tx *Tx) error {
		_, err := tx.ExecContext(t.Context(), `INSERT INTO outbox (name, created_at, message) VALUES ('big', 1, ?)`,
			make([]byte, 1<<20))
		return err
	})
	db.writer.health.copied(false, full)
	for _, step := range []struct {
		name string
		run  func() error
		ends bool
	}{
		{"a write", func() error { return db.Write(t.Context(), insertName("a")) }, false},
		{"a copy that nobody wants any more", func() error {
			db.writer.health.copied(false,
				context.Canceled)
			return nil
		}, false},
		{"a copy that somebody was in the way of", func() error { db.writer.health.copied(false, nil); return nil },
			false},
		{"asking", func() error { return db.Healthy(t.Context()) }, true},
	} {
		if err := step.run(); err != nil {
			t.Errorf("%s: got %v, want no error", step.name, err)
		}
		if failure := db.writer.health.failure(); (failure == nil) != step.ends {
			t.Errorf("after %s: got %v, want healthy %t", step.name, failure, step.ends)
		}
	}
}
