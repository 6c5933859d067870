package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

// holds fails the test unless dir has exactly these files with this content.
func holds(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		raw, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if text, ok := want[entry.Name()]; err != nil || !ok || string(raw) != text {
			t.Errorf("%s: got %q, %v, want %q", entry.Name(), raw, err, text)
		}
		if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
			t.Errorf("%s: mode %v, %v, want 0600", entry.Name(), info.Mode(), err)
		}
	}
	if len(entries) != len(want) {
		t.Errorf("got %d files, want %d", len(entries), len(want))
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	failed := errors.New("no more")
	if err := Write(path, io.MultiReader(strings.NewReader("half"), iotest.ErrReader(failed))); !errors.Is(err,
		failed) {
		t.Errorf("of content that fails: %v, want %v", err, failed)
	}
	holds(t, dir, nil)
	if err := Write(path, strings.NewReader("whole")); err != nil {
		t.Error(err)
	}
	if err := Write(path, strings.NewReader("other")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("of an existing file: %v, want %v", err, fs.ErrExist)
	}
	holds(t, dir, map[string]string{"a": "whole"})
}

func TestCreate(t *testing.T) {
	dir := t.TempDir()
	path, tmp := filepath.Join(dir, "a"), filepath.Join(dir, "tmp")
	if err := Create(path, tmp, []byte("first")); err != nil {
		t.Error(err)
	}
	if err := Create(path, tmp, []byte("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("of an existing file: %v, want %v", err, fs.ErrExist)
	}
	holds(t, dir, map[string]string{"a": "first"})
}

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := Replace(path, []byte("new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of no file: %v, want %v", err, fs.ErrNotExist)
	}
	for _, name := range []string{"a", "a.new"} { // the second as a killed process leaves it
		if err := os.WriteFile(filepath.Join(dir, name), []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := Replace(path, []byte("new")); err != nil {
		t.Error(err)
	}
	holds(t, dir, map[string]string{"a": "new"})
}
