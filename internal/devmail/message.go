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
	"net/textproto"
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

	Raw string `json:"-"`
}

const (
	maxFile = 1 << 20 // bytes that are read of a mail
	maxLook = 10_000  // files that are read for one list
)

// fileName matches names that the spool gives to mails, without the flags that mail readers append.
var fileName = pattern.Lazy(`^(\d{1,16})\.[A-Z2-7]{1,64}\.eml$`)

// list returns the newest messages, at most limit. With name it returns only the one of that name, and with to only
// those to that address, in any case.
func list(spool, name, to string, limit int) ([]Message, error) {
	paths, err := files(spool, name)
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

// files returns the paths of the mails, read or not, newest first; with name only of the one of that name.
func files(spool, name string) ([]string, error) {
	var paths []string
	for _, sub := range []string{"new", "cur"} {
		entries, err := os.ReadDir(filepath.Join(spool, sub))
		if err != nil {
			return nil, fmt.Errorf("spool: %w", err)
		}
		for _, entry := range entries {
			own := nameOf(entry.Name())
			if fileName().MatchString(own) && entry.Type().IsRegular() && (name == "" || name == own) {
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
	n, _ := strconv.ParseInt(digits, 10, 64) // cannot fail: see fileName
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
	m := Message{Name: name, Date: time.UnixMicro(micros(name)).UTC(), Raw: strings.ToValidUTF8(string(raw), "\uFFFD")}
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
	m.parts(textproto.MIMEHeader(parsed.Header), parsed.Body)
	link := tokenLink().FindStringSubmatch(m.Text)
	if link == nil {
		link = tokenLink().FindStringSubmatch(html.UnescapeString(m.HTML))
	}
	if link != nil {
		m.Link, m.Token = link[0], link[1]
	}
	return m
}

// parts reads the bodies of a mail up to the first error.
func (m *Message) parts(header textproto.MIMEHeader, r io.Reader) {
	kind, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(kind, "multipart/") {
		m.body(header, r)
		return
	}
	parts := multipart.NewReader(r, params["boundary"])
	for part, err := parts.NextRawPart(); err == nil; part, err = parts.NextRawPart() {
		m.body(part.Header, part)
	}
}

func (m *Message) body(header textproto.MIMEHeader, r io.Reader) {
	if strings.EqualFold(header.Get("Content-Transfer-Encoding"), "quoted-printable") {
		r = quotedprintable.NewReader(r)
	}
	raw, _ := io.ReadAll(r) // up to an error
	text := strings.ToValidUTF8(strings.ReplaceAll(string(raw), "\r\n", "\n"), "\uFFFD")
	if kind, _, _ := mime.ParseMediaType(header.Get("Content-Type")); kind == "text/html" {
		m.HTML = text
	} else {
		m.Text = text
	}
}

// tokenLink matches a URL whose path or query ends in a token.
var tokenLink = pattern.Lazy(`https?://[^\s<>"']*[/=]([A-Za-z0-9_-]{40,})`)
