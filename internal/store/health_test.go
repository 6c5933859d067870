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
		t.Errorf("at first: %v", err)
	}
	if err := db.Write(t.Context(), func(*Tx) error { return errRefused }); !errors.Is(err, errRefused) ||
		db.writer.health.failure() != nil {
		t.Errorf("a refusal is held against the file: %v", db.writer.health.failure())
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
			t.Fatal("a full file takes a megabyte")
		}
		if db.writer.health.failure() == nil {
			t.Error("a full file is healthy")
		}
		if err := end.run(); err != nil || db.writer.health.failure() != nil {
			t.Errorf("after %s: %v, %v", end.name, err, db.writer.health.failure())
		}
	}
	select {
	case <-db.Broken():
		t.Error("a full file is taken for a broken disk")
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
			t.Errorf("%s: %v", step.name, err)
		}
		if failure := db.writer.health.failure(); (failure == nil) != step.ends {
			t.Errorf("after %s: %v", step.name, failure)
		}
	}
}
