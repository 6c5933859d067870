// Package devmail serves the mails in the spool as a page, and as JSON for end-to-end tests. It is for development: the
// links in mails give access to accounts, so the caller has to make sure that only this machine can reach the handler.
// The package only reads. Mails that were delivered or removed are not shown.
package devmail

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"html/template"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/http"
	"net/mail"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"accountd/internal/pattern"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS []byte
	//go:embed page.js
	pageJS []byte
)

// contentSecurityPolicy applies to the page and to the frame of a mail. Mails may set styles on elements. Nothing else
// in a mail is loaded or run.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
	"img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const (
	defaultLimit = 100 // messages in a list
	maxLimit     = 1000
	maxFile      = 1 << 20 // bytes that are read of a mail
	maxLook      = 10_000  // files that are read for one list
)

var page = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page").Funcs(template.FuncMap{
		"utc": func(t time.Time) string { return t.Format("2006-01-02 15:04:05 UTC") },
		"iso": func(t time.Time) string { return t.Format(time.RFC3339) },
		// Links open in a new tab: the sandbox of the frame allows nothing else.
		"framed": func(html string) string { return `<base target="_blank">` + html },
	}).Parse(pageHTML))
})

// mailbox is the data of the page.
type mailbox struct {
	Messages []Message
	Limit    int
	Open     *Message // nil: none
	Missing  bool     // the requested mail does not exist
}

// Handler serves the mails in the Maildir spool. /dev/mail is the page, /dev/mail/NAME the page with one mail open.
// /dev/mail.json has the newest messages; the parameters "to" and "limit" restrict them to an address and a number. The
// handler sets all headers that it needs, whatever it is mounted in.
func Handler(spool string) http.Handler {
	mux := http.NewServeMux()
	page := func(w http.ResponseWriter, r *http.Request) { servePage(w, spool, r.PathValue("name")) }
	mux.HandleFunc("/dev/mail", page)
	mux.HandleFunc("/dev/mail/{name}", page)
	mux.HandleFunc("/dev/mail.json", func(w http.ResponseWriter, r *http.Request) { serveJSON(w, r, spool) })
	mux.HandleFunc("/dev/mail.css", func(w http.ResponseWriter, _ *http.Request) {
		serve(w, "text/css; charset=utf-8", http.StatusOK, pageCSS, nil)
	})
	mux.HandleFunc("/dev/mail.js", func(w http.ResponseWriter, _ *http.Request) {
		serve(w, "text/javascript; charset=utf-8", http.StatusOK, pageJS, nil)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer") // links in mails have tokens
		h.Set("Content-Security-Policy", contentSecurityPolicy)
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if _, pattern := mux.Handler(r); pattern != "" && r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "Mails are only read: GET or HEAD.", http.StatusMethodNotAllowed)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// serve answers with a body, or with the error that it comes with.
func serve(w http.ResponseWriter, contentType string, status int, body []byte, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(body) // fails only if the client has gone
}

func servePage(w http.ResponseWriter, spool, name string) {
	box, status := mailbox{Limit: defaultLimit}, http.StatusOK
	var err error
	if box.Messages, err = list(spool, "", "", defaultLimit); err == nil && name != "" {
		var named []Message
		named, err = list(spool, name, "", 1)
		if len(named) > 0 {
			box.Open = &named[0]
		} else {
			box.Missing, status = true, http.StatusNotFound
		}
	}
	var body bytes.Buffer
	if err == nil {
		err = page().Execute(&body, box)
	}
	serve(w, "text/html; charset=utf-8", status, body.Bytes(), err)
}

func serveJSON(w http.ResponseWriter, r *http.Request, spool string) {
	limit, query := defaultLimit, r.URL.Query()
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxLimit {
			http.Error(w, fmt.Sprintf("limit is a number from 1 to %d.", maxLimit), http.StatusBadRequest)
			return
		}
		limit = n
	}
	messages, err := list(spool, "", strings.TrimSpace(query.Get("to")), limit)
	var body bytes.Buffer
	if err == nil {
		err = json.NewEncoder(&body).Encode(messages)
	}
	serve(w, "application/json; charset=utf-8", http.StatusOK, body.Bytes(), err)
}

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
