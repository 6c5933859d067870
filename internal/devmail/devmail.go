// Package devmail serves the mails in the spool as a page, and as JSON for end-to-end tests. It is for development: the
// links in mails give access to accounts, so the caller has to make sure that only this machine can reach the handler.
// The package only reads. Mails that were delivered or removed are not shown.
package devmail

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
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
		serve(w, "text/css; charset=utf-8", http.StatusOK, pageCSS)
	})
	mux.HandleFunc("/dev/mail.js", func(w http.ResponseWriter, _ *http.Request) {
		serve(w, "text/javascript; charset=utf-8", http.StatusOK, pageJS)
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

func serve(w http.ResponseWriter, contentType string, status int, body []byte) {
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
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	serve(w, "text/html; charset=utf-8", status, body.Bytes())
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
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	body, err := json.Marshal(messages)
	if err != nil {
		panic(err) // cannot happen: strings and times of four-digit years
	}
	serve(w, "application/json; charset=utf-8", http.StatusOK, append(body, '\n'))
}
