package email

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ErrNoMail says that the spool has no mail with the given name.
var ErrNoMail = errors.New("there is no such mail in the spool")

// Queue lists and edits the mails of a spool for an operator. The server may run or not.
type Queue struct{ spool spool }

// Queued is an undelivered mail.
type Queued struct {
	Name     string
	Failed   bool   // given up; it stays in failed until it is dropped or retried
	To       string // "" if the file has none
	Subject  string
	Made     time.Time
	Attempts int
	Next     time.Time // next attempt; zero: as soon as possible, or never if Failed
	Error    string    // of the last attempt, in one line; "": not tried yet
}

// OpenQueue fails if dir is not a spool.
func OpenQueue(dir string) (Queue, error) {
	if _, err := os.Stat(filepath.Join(dir, "new")); err != nil {
		return Queue{}, fmt.Errorf("no mails here: %w", err)
	}
	err := spool(dir).open() // a spool of an older version lacks retry
	return Queue{spool(dir)}, err
}

// List returns the waiting mails, oldest first, and then those that were given up.
func (q Queue) List() ([]Queued, error) {
	server, err := q.spool.loadRetry(serverRetry)
	if err != nil {
		return nil, err
	}
	list := []Queued{}
	for _, sub := range []string{"new", "failed"} {
		names, err := q.spool.mails(sub)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			m, err := q.describe(sub, name, server)
			if err != nil {
				return nil, err
			}
			list = append(list, m)
		}
	}
	return list, nil
}

// describe reads headers and state of a mail. The headers stay empty if the file cannot be read, which the relay logs.
func (q Queue) describe(sub, name string, server retry) (Queued, error) {
	m := Queued{Name: name, Made: madeAt(name), Failed: sub == "failed"}
	raw, _ := readMail(q.spool.path(sub, name))
	if message, err := mail.ReadMessage(bytes.NewReader(raw)); err == nil {
		subject := message.Header.Get("Subject")
		if decoded, err := new(mime.WordDecoder).DecodeHeader(subject); err == nil {
			subject = decoded
		}
		m.To, m.Subject = shortReply(message.Header.Get("To")), shortReply(subject)
	}
	if m.Failed {
		reason, err := os.ReadFile(q.spool.reasonPath(name))
		m.Error = shortReply(string(reason))
		if errors.Is(err, fs.ErrNotExist) { // other readers write no reason
			err = nil
		}
		return m, err
	}
	state, err := q.spool.loadRetry(name)
	m.Attempts, m.Next, m.Error = state.Attempts, state.next, state.Error
	if server.Attempts > 0 { // it delays every mail
		m.Error = server.Error
		if server.next.After(m.Next) {
			m.Next = server.next
		}
	}
	return m, err
}

// find returns the directory and the file of a mail. The name may lack its suffix.
func (q Queue) find(name string) (sub, file string, err error) {
	file = strings.TrimSuffix(name, ".eml") + ".eml"
	if ownName().MatchString(file) {
		for _, sub := range []string{"new", "failed"} {
			info, err := os.Lstat(q.spool.path(sub, file))
			if err == nil && info.Mode().IsRegular() {
				return sub, file, nil
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", "", err
			}
		}
	}
	return "", "", fmt.Errorf("%q: %w: mail list has their names", name, ErrNoMail)
}

// Read returns the bytes of a mail.
func (q Queue) Read(name string) ([]byte, error) {
	sub, file, err := q.find(name)
	if err != nil {
		return nil, err
	}
	return readMail(q.spool.path(sub, file))
}

// Retry schedules a waiting or failed mail for now and resets its attempts. A running server delivers it within a
// second.
func (q Queue) Retry(name string, now time.Time) error {
	sub, file, err := q.find(name)
	if err != nil {
		return err
	}
	if err := q.spool.saveRetry(file, retry{Since: now.Unix(), next: now}); err != nil {
		return err
	}
	if sub == "failed" {
		if err := os.Rename(q.spool.path(sub, file), q.spool.newPath(file)); err != nil {
			return err
		}
		if err := errors.Join(q.spool.sync(), removeFile(q.spool.reasonPath(file))); err != nil {
			return err
		}
	}
	return q.retryServer(now)
}

// RetryAll retries every mail of List and counts them.
func (q Queue) RetryAll(now time.Time) (int, error) {
	list, err := q.List()
	if err != nil {
		return 0, err
	}
	n := 0
	for _, m := range list {
		switch err := q.Retry(m.Name, now); {
		case errors.Is(err, ErrNoMail) || errors.Is(err, fs.ErrNotExist): // delivered meanwhile
		case err != nil:
			return n, err
		default:
			n++
		}
	}
	return n, q.retryServer(now)
}

// retryServer ends the backoff of the mail server.
func (q Queue) retryServer(now time.Time) error {
	server, err := q.spool.loadRetry(serverRetry)
	if err != nil || server.Attempts == 0 {
		return err
	}
	server.next = now
	return q.spool.saveRetry(serverRetry, server)
}

// Drop deletes a mail. If the relay is sending it at that moment, it may still arrive.
func (q Queue) Drop(name string) error {
	sub, file, err := q.find(name)
	if err != nil {
		return err
	}
	if err := os.Remove(q.spool.path(sub, file)); err != nil {
		return err
	}
	return errors.Join(removeFile(q.spool.reasonPath(file)), q.spool.forget(file))
}
