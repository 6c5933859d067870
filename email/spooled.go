package email

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/mail"
	"os"
	"strconv"
	"strings"
	"time"

	"accountd/internal/pattern"
)

// ownName matches the results of fileName. Files of other names are ignored.
var ownName = pattern.Lazy(`^[0-9]{1,18}\.[A-Z2-7]{26}\.eml$`)

// maxMail bounds a mail, in bytes, far above what templates can produce.
const maxMail = 8 << 20

// errForeign says that a directory, or a link in the spool, has the name of a file.
var errForeign = errors.New("is not a regular file")

// badMail is the reason why a file can never be sent.
type badMail string

func (e badMail) Error() string { return "the file " + string(e) }

// reasonName is the name of the file in failed with the reason.
func reasonName(name string) string { return strings.TrimSuffix(name, ".eml") + ".txt" }

// madeAt is the time in the name of a mail.
func madeAt(name string) time.Time {
	digits, _, _ := strings.Cut(name, ".")
	micro, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return time.Time{}
	}
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
