package email

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"accountd/internal/durable"
)

// retry is the state of a mail that failed before, in the file spool/retry/NAME. The time of the next attempt is the
// modification time of the file, so that a search for due mails opens no file.
type retry struct {
	Attempts int    `json:"attempts"`
	Since    int64  `json:"since,omitempty"` // unix seconds; start of its age, 0: its creation
	Error    string `json:"error,omitempty"`

	next time.Time
}

// serverRetry is the name of the state of the mail server.
const serverRetry = "server"

const (
	firstBackoff  = time.Minute // of a message; doubles with each attempt
	longestWait   = 4 * time.Hour
	serverBackoff = 5 * time.Second // of the server; doubles with each attempt
	serverWait    = 5 * time.Minute
	maxAge        = 5 * 24 * time.Hour // of a message: RFC 5321, section 4.5.4.1, asks for four to five days
)

// backoff doubles from first to most, with a jitter of ±20 % by chance (0 to 1).
func backoff(first, most time.Duration, attempts int, chance float64) time.Duration {
	const enough = 20 // doublings; more would overflow
	wait := min(first<<min(max(attempts-1, 0), enough), most)
	return time.Duration(float64(wait) * (0.8 + 0.4*chance))
}

func (s spool) retryPath(name string) string { return s.path("retry", name) }

// loadRetry reads the state of a mail. It is zero without a file, or with a damaged one as after a power cut.
func (s spool) loadRetry(name string) (r retry, err error) {
	f, err := os.Open(s.retryPath(name))
	if errors.Is(err, fs.ErrNotExist) {
		return retry{}, nil
	}
	if err != nil {
		return retry{}, err
	}
	defer f.Close()
	if json.NewDecoder(f).Decode(&r) != nil {
		r = retry{}
	}
	info, err := f.Stat()
	if err == nil {
		r.next = info.ModTime()
	}
	return r, err
}

func (s spool) saveRetry(name string, r retry) error {
	raw, _ := json.Marshal(r) // numbers and a text cannot fail
	return s.write(s.retryPath(name), raw, r.next)
}

// forget removes the state of a mail.
func (s spool) forget(name string) error { return removeFile(s.retryPath(name)) }

// nextAttempts are the times of the next attempts, by mail.
func (s spool) nextAttempts() (map[string]time.Time, error) {
	entries, err := os.ReadDir(s.path("retry"))
	if err != nil {
		return nil, err
	}
	next := make(map[string]time.Time, len(entries))
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil { // another process may have removed it
			next[entry.Name()] = info.ModTime()
		}
	}
	return next, nil
}

// forgetGone removes the state of mails that are no longer in new.
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

// giveUp writes the reason and then moves the mail to failed. After a crash in between it does both again.
func (s spool) giveUp(name, reason string) error {
	if err := s.write(s.reasonPath(name), []byte(reason+"\n"), time.Time{}); err != nil {
		return fmt.Errorf("write the reason: %w", err)
	}
	if err := os.Rename(s.newPath(name), s.path("failed", name)); err != nil {
		return err
	}
	return errors.Join(durable.SyncDir(s.path("failed")), s.forget(name))
}
