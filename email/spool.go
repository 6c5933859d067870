package email

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/mail"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"accountd/internal/durable"
	"accountd/internal/pattern"
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

// fileName is the unique name of a message. Names sort by time.
func fileName(at time.Time) string {
	return fmt.Sprintf("%d.%s.eml", at.UnixMicro(), rand.Text())
}

// clean removes partial files of earlier processes.
func (s spool) clean() error {
	left, err := os.ReadDir(s.path("tmp"))
	for _, entry := range left {
		err = errors.Join(err, os.RemoveAll(s.path("tmp", entry.Name())))
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

// write writes a file to tmp, fsyncs it and renames it to path, with the modification time at unless that is zero. The
// name is durable after an fsync of its directory.
func (s spool) write(path string, raw []byte, at time.Time) error {
	tmp := s.path("tmp", rand.Text())
	err := durable.Write(tmp, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	if !at.IsZero() {
		err = os.Chtimes(tmp, at, at)
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(tmp))
	}
	return err
}

// ownName matches the results of fileName. Files of other names are ignored.
var ownName = pattern.Lazy(`^[0-9]{1,18}\.[A-Z2-7]{26}\.eml$`)

// maxMail bounds a mail, in bytes, far above what templates can produce.
const maxMail = 8 << 20

// errForeign says that a directory, or a link in the spool, has the name of a file.
var errForeign = errors.New("is not a regular file")

// badMail is the reason why a file can never be sent.
type badMail string

func (e badMail) Error() string { return "the file " + string(e) }

// reasonPath is the path of the file with the reason why a mail was given up.
func (s spool) reasonPath(name string) string {
	return s.path("failed", strings.TrimSuffix(name, ".eml")+".txt")
}

// madeAt is the time in the name of a mail.
func madeAt(name string) time.Time {
	digits, _, _ := strings.Cut(name, ".")
	micro, _ := strconv.ParseInt(digits, 10, 64) // ownName has matched
	return time.UnixMicro(micro).UTC()
}

// mails are the names of the mails in a directory of the spool, oldest first. It ignores directories, links and files
// with other names.
func (s spool) mails(sub string) ([]string, error) {
	entries, err := os.ReadDir(s.path(sub)) // sorted by name and thus by time
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if entry.Type().IsRegular() && ownName().MatchString(entry.Name()) {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

// readMail reads a file of the spool. It fails with errForeign for links and with badMail above maxMail.
func readMail(path string) ([]byte, error) {
	raw, err := readRegular(path, os.Lstat, maxMail)
	if errors.Is(err, errTooLarge) {
		err = badMail(fmt.Sprintf("is larger than %d bytes", maxMail))
	}
	return raw, err
}

var errTooLarge = errors.New("is too large")

// readRegular reads a regular file. It opens no other, because a pipe may have no end. It fails with errForeign and
// errTooLarge.
func readRegular(path string, stat func(string) (fs.FileInfo, error), most int) ([]byte, error) {
	info, err := stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errForeign
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	opened, err := f.Stat()
	if err == nil && !os.SameFile(info, opened) {
		err = fs.ErrNotExist // replaced between stat and Open
	}
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err == nil && len(raw) > most {
		err = errTooLarge
	}
	return raw, err
}

// recipient is the address in the To header. It fails with badMail.
func recipient(raw []byte) (string, error) {
	if len(raw) == 0 {
		return "", badMail("is empty")
	}
	message, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return "", badMail("is no mail: " + shortReply(err.Error()))
	}
	for _, name := range []string{"From", "To", "Message-Id"} {
		if n := len(message.Header[name]); n != 1 {
			return "", badMail(fmt.Sprintf("has %d headers %s, and not one", n, name))
		}
	}
	for _, name := range []string{"Cc", "Bcc"} {
		if len(message.Header[name]) != 0 {
			return "", badMail("has the header " + name + ", which accountd's mails do not have")
		}
	}
	to := message.Header.Get("To")
	address, err := mail.ParseAddress(to)
	if err != nil || !isPlainAddress(address.Address) {
		return "", badMail("has no usable address in its header To")
	}
	return address.Address, nil
}

// isPlainAddress reports whether an address needs no quoting in an SMTP command.
func isPlainAddress(address string) bool {
	local, domain, _ := strings.Cut(address, "@")
	return local != "" && domain != "" && len(address) <= 254 && !strings.ContainsFunc(address, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`<>()[]\,;:"`, r)
	}) && strings.Count(address, "@") == 1
}
