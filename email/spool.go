package email

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"accountd/internal/durable"
)

// spool is a Maildir: tmp holds files being written, new what nobody has taken, cur and failed what readers
// moved there. Beside it, retry is what the relay remembers of mails in new. The value is the directory's path.
type spool string

// open creates the directories where they are missing.
func (s spool) open() error {
	for _, sub := range []string{"", "tmp", "new", "cur", "failed", "retry"} {
		path := filepath.Join(string(s), sub)
		if err := os.MkdirAll(path, 0o700); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
		if err := os.Chmod(path, 0o700); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
	}
	return nil
}

// possible fails where something that is no directory is in the spool's place, or in that of a directory above: no
// waiting mends that.
func (s spool) possible() error {
	info, err := os.Stat(string(s))
	if err == nil && !info.IsDir() || errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("spool: %s is a file, or lies under one; a directory is needed: name another in email.spool_dir, "+
			"or move the file away", s)
	}
	return nil
}

// fileName is the final name of a message made at a time: sortable, and taken by no other.
func fileName(at time.Time) string {
	return fmt.Sprintf("%d.%s.eml", at.UnixMicro(), rand.Text())
}

// clean removes what an earlier process left half-written.
func (s spool) clean() error {
	left, err := filepath.Glob(filepath.Join(string(s), "tmp", "*"))
	if err != nil {
		return err
	}
	for _, path := range left {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// published tells which of the messages have been published already, be it that a reader has moved or, as mail
// readers do, flagged them (name:2,S). It reads the directories once, however long they are.
func (s spool) published(names map[string]bool) (map[string]bool, error) {
	found := map[string]bool{}
	for _, sub := range []string{"new", "cur", "failed"} {
		if err := s.find(filepath.Join(string(s), sub), names, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (s spool) find(path string, names, found map[string]bool) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	for {
		entries, err := dir.Readdirnames(1000)
		for _, entry := range entries {
			if name, _, _ := strings.Cut(entry, ":"); names[name] {
				found[name] = true
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// publish makes the message appear in new, whole: the bytes are synced before they get their name. The name
// itself is durable after sync.
func (s spool) publish(name string, raw []byte) error {
	tmp := filepath.Join(string(s), "tmp", rand.Text())
	if err := durable.Write(tmp, bytes.NewReader(raw)); err != nil {
		return err
	}
	if err := os.Rename(tmp, s.newPath(name)); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return nil
}

// sync makes the names in new durable.
func (s spool) sync() error { return durable.SyncDir(filepath.Join(string(s), "new")) }

func (s spool) newPath(name string) string { return filepath.Join(string(s), "new", name) }

// replace writes a small file as a whole, with a time unless that is zero. It is there after a crash of the process, and
// after one of the machine perhaps.
func (s spool) replace(path string, raw []byte, at time.Time) error {
	tmp := filepath.Join(string(s), "tmp", rand.Text())
	err := os.WriteFile(tmp, raw, 0o600)
	if err == nil && !at.IsZero() {
		err = os.Chtimes(tmp, at, at)
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp) // it may not be there; what is left goes at the next start
	}
	return err
}
