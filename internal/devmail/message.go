package devmail

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"accountd/internal/pattern"
)

// Message is one mail in the spool. Link is its first URL that ends in a token. Link and Token are "" in notices.
type Message struct {
	Name    string    `json:"name"` // of its file
	To      string    `json:"to"`
	Subject string    `json:"subject"`
	Date    time.Time `json:"date"`
	Link    string    `json:"link"`
	Token   string    `json:"token"`
	Text    string    `json:"text"`
	HTML    string    `json:"html"`

	raw string
}

const (
	maxFile = 1 << 20 // bytes that are read of a mail
	maxLook = 10_000  // files that are read for one list
)

// fileName matches names that the spool gives to mails, without the flags that mail readers append.
var fileName = pattern.Lazy(`^(\d{1,19})\.[A-Z2-7]{1,64}\.eml$`)

// list returns the newest messages, at most limit. With to, it returns only those to that address, in any case.
func list(spool, to string, limit int) ([]Message, error) {
	paths, err := files(spool)
	if err != nil {
		return nil, err
	}
	messages := []Message{}
	for _, path := range paths[:min(len(paths), maxLook)] {
		if len(messages) == limit {
			break
		}
		m, err := read(path)
		if errors.Is(err, fs.ErrNotExist) { // delivered or removed meanwhile
			continue
		}
		if err != nil {
			return nil, err
		}
		if to == "" || strings.EqualFold(m.To, to) {
			messages = append(messages, m)
		}
	}
	return messages, nil
}

// find returns the message of a name, or fs.ErrNotExist.
func find(spool, name string) (Message, error) {
	paths, err := files(spool)
	if err != nil {
		return Message{}, err
	}
	for _, path := range paths {
		if nameOf(path) == name {
			return read(path)
		}
	}
	return Message{}, fmt.Errorf("mail %q: %w", name, fs.ErrNotExist)
}

// files returns the paths of the mails, read or not, newest first.
func files(spool string) ([]string, error) {
	var paths []string
	for _, sub := range []string{"new", "cur"} {
		entries, err := os.ReadDir(filepath.Join(spool, sub))
		if err != nil {
			return nil, fmt.Errorf("spool: %w", err)
		}
		for _, entry := range entries {
			if fileName().MatchString(nameOf(entry.Name())) && entry.Type().IsRegular() {
				paths = append(paths, filepath.Join(spool, sub, entry.Name()))
			}
		}
	}
	slices.SortFunc(paths, func(a, b string) int {
		return cmp.Or(cmp.Compare(micros(b), micros(a)), strings.Compare(nameOf(b), nameOf(a)))
	})
	return paths, nil
}

func nameOf(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ":")
	return name
}

func micros(path string) int64 {
	digits, _, _ := strings.Cut(nameOf(path), ".")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0 // out of range
	}
	return n
}

func read(path string) (Message, error) {
	f, err := os.Open(path)
	if err != nil {
		return Message{}, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return Message{}, err
	}
	return parse(nameOf(path), raw), nil
}

// parse accepts anything. If it is not a mail, the subject says so.
func parse(name string, raw []byte) Message {
	m := Message{Name: name, Date: time.UnixMicro(micros(name)).UTC(), raw: strings.ToValidUTF8(string(raw), "\uFFFD")}
	parsed, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		m.Subject = "not a mail: " + err.Error()
		return m
	}
	m.Subject = parsed.Header.Get("Subject")
	if decoded, err := new(mime.WordDecoder).DecodeHeader(m.Subject); err == nil {
		m.Subject = decoded
	}
	m.Subject = strings.ToValidUTF8(m.Subject, "\uFFFD")
	m.To = strings.ToValidUTF8(parsed.Header.Get("To"), "\uFFFD")
	if to, err := mail.ParseAddress(m.To); err == nil {
		m.To = to.Address
	}
	if date, err := parsed.Header.Date(); err == nil {
		m.Date = date.UTC()
	}
	m.parts(parsed)
	m.findLink()
	return m
}

// parts reads the bodies of a mail up to the first error.
func (m *Message) parts(parsed *mail.Message) {
	kind, params, err := mime.ParseMediaType(parsed.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(kind, "multipart/") {
		m.body(kind, parsed.Header.Get("Content-Transfer-Encoding"), parsed.Body)
		return
	}
	for r := multipart.NewReader(parsed.Body, params["boundary"]); ; {
		part, err := r.NextRawPart()
		if err != nil {
			return
		}
		kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		m.body(kind, part.Header.Get("Content-Transfer-Encoding"), part)
	}
}

func (m *Message) body(kind, encoding string, r io.Reader) {
	if strings.EqualFold(encoding, "quoted-printable") {
		r = quotedprintable.NewReader(r)
	}
	raw, _ := io.ReadAll(r) // up to an error
	text := strings.ToValidUTF8(strings.ReplaceAll(string(raw), "\r\n", "\n"), "\uFFFD")
	if kind == "text/html" {
		m.HTML = text
	} else {
		m.Text = text
	}
}

// tokenLink matches a URL whose path or query ends in a token.
var tokenLink = pattern.Lazy(`https?://[^\s<>"']*[/=]([A-Za-z0-9_-]{40,})`)

func (m *Message) findLink() {
	found := tokenLink().FindStringSubmatch(m.Text)
	if found == nil {
		found = tokenLink().FindStringSubmatch(html.UnescapeString(m.HTML))
	}
	if found != nil {
		m.Link, m.Token = found[0], found[1]
	}
}
