package email

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"accountd/internal/durable"
)

// retry is what is remembered of a mail that could not be delivered yet: the file spool/retry/NAME. The next attempt is
// the time of the file, so that looking for what is due opens none of them.
type retry struct {
	Attempts int    `json:"attempts"`
	Since    int64  `json:"since,omitempty"` // unix seconds; since when its age counts, 0: since it was made
	Error    string `json:"error,omitempty"`

	next time.Time
}

// serverRetry is the name for the mail server as a whole.
const serverRetry = "server"

const (
	firstBackoff  = time.Minute // of a message; doubled with each attempt
	longestWait   = 4 * time.Hour
	serverBackoff = 5 * time.Second // of the server; doubled likewise
	serverWait    = 5 * time.Minute
	maxAge        = 5 * 24 * time.Hour // of a message: RFC 5321, section 4.5.4.1, asks for four to five days
)

// backoff doubles from first to most, and is a fifth longer or shorter by chance (0 to 1), so that what failed together
// does not come back together.
func backoff(first, most time.Duration, attempts int, chance float64) time.Duration {
	wait := first
	for range attempts - 1 {
		if wait *= 2; wait >= most {
			wait = most
			break
		}
	}
	return time.Duration(float64(wait) * (0.8 + 0.4*chance))
}

func (s spool) retryPath(name string) string { return filepath.Join(string(s), "retry", name) }

// loadRetry reads what is remembered; nothing where there is no file, or not a whole one as after a power cut.
func (s spool) loadRetry(name string) (r retry, err error) {
	path := s.retryPath(name)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return retry{}, nil
	}
	if err != nil {
		return retry{}, err
	}
	if json.Unmarshal(raw, &r) != nil {
		r = retry{}
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return retry{}, nil
	}
	if err == nil {
		r.next = info.ModTime()
	}
	return r, err
}

func (s spool) saveRetry(name string, r retry) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return s.replace(s.retryPath(name), raw, r.next)
}

// forget removes what is remembered.
func (s spool) forget(name string) error {
	if err := os.Remove(s.retryPath(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// nextAttempts has the time of the next attempt of each mail that failed before.
func (s spool) nextAttempts() (map[string]time.Time, error) {
	entries, err := os.ReadDir(filepath.Join(string(s), "retry"))
	if err != nil {
		return nil, err
	}
	next := make(map[string]time.Time, len(entries))
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil { // it may be gone by now
			next[entry.Name()] = info.ModTime()
		}
	}
	return next, nil
}

// forgetGone removes what is remembered of mails that are in new no more.
func (s spool) forgetGone() error {
	next, err := s.nextAttempts()
	if err != nil {
		return err
	}
	for name := range next {
		if _, statErr := os.Lstat(s.newPath(name)); errors.Is(statErr, fs.ErrNotExist) {
			err = errors.Join(err, s.forget(name))
		}
	}
	return err
}

// giveUp moves a mail to failed, with the reason beside it: a reason without a mail is written again.
func (s spool) giveUp(name, reason string) error {
	failed := filepath.Join(string(s), "failed")
	if err := s.replace(filepath.Join(failed, reasonName(name)), []byte(reason+"\n"), time.Time{}); err != nil {
		return fmt.Errorf("write the reason: %w", err)
	}
	if err := os.Rename(s.newPath(name), filepath.Join(failed, name)); err != nil {
		return err
	}
	return errors.Join(durable.SyncDir(failed), s.forget(name))
}
