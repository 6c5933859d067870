package email

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"accountd/internal/durable"
)

// spool is the path of a Maildir. tmp has files that are being written, new has mails to deliver, and cur has mails
// that other readers took. failed has mails that were given up, retry the state of mails that failed before.
type spool string

// open creates missing directories.
func (s spool) open() error {
	for _, sub := range []string{"", "tmp", "new", "cur", "failed", "retry"} {
		path := s.path(sub)
		if err := os.MkdirAll(path, 0o700); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
		if err := os.Chmod(path, 0o700); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
	}
	return nil
}

// checkPath fails if the path, or a part of it, is a file: waiting does not help.
func (s spool) checkPath() error {
	info, err := os.Stat(string(s))
	if err == nil && !info.IsDir() || errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("spool: %s is a file, or lies under one; a directory is needed: name another in "+
			"email.spool_dir, "+
			"or move the file away", s)
	}
	return nil
}

// fileName is the unique name of a message. Names sort by time.
func fileName(at time.Time) string {
	return fmt.Sprintf("%d.%s.eml", at.UnixMicro(), rand.Text())
}

// clean removes partial files of earlier processes.
func (s spool) clean() error {
	left, err := filepath.Glob(s.path("tmp", "*"))
	if err != nil {
		return err
	}
	for _, path := range left {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// names returns the names of all mails, also of those that a reader has moved or flagged (name:2,S).
func (s spool) names() (map[string]bool, error) {
	names := map[string]bool{}
	for _, sub := range []string{"new", "cur", "failed"} {
		entries, err := os.ReadDir(s.path(sub))
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			name, _, _ := strings.Cut(entry.Name(), ":")
			names[name] = true
		}
	}
	return names, nil
}

// publish writes the message to tmp, fsyncs it and renames it to new. The name is durable after sync.
func (s spool) publish(name string, raw []byte) error {
	tmp := s.path("tmp", rand.Text())
	if err := durable.Write(tmp, bytes.NewReader(raw)); err != nil {
		return err
	}
	if err := os.Rename(tmp, s.newPath(name)); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return nil
}

// sync fsyncs the names in new.
func (s spool) sync() error { return durable.SyncDir(s.path("new")) }

// path is the path of a directory of the spool, or of a file in it.
func (s spool) path(elem ...string) string { return filepath.Join(string(s), filepath.Join(elem...)) }

func (s spool) newPath(name string) string { return s.path("new", name) }

// removeFile removes a file that may be gone already.
func removeFile(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// replace atomically writes a small file, with the modification time at unless that is zero. Without an fsync a power
// cut may lose it, which costs one early attempt.
func (s spool) replace(path string, raw []byte, at time.Time) error {
	tmp := s.path("tmp", rand.Text())
	err := os.WriteFile(tmp, raw, 0o600)
	if err == nil && !at.IsZero() {
		err = os.Chtimes(tmp, at, at)
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp) // it may not exist; clean removes the rest
	}
	return err
}
