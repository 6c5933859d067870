// Package graphiql serves GraphiQL, a page for trying the API. All files of the page are embedded: it loads nothing
// from other servers. The directory assets has the files of the npm packages, compressed; `bash assets/update` fetches
// them.
package graphiql

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"html/template"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:embed assets/*.gz start.js page.css
var files embed.FS

//go:embed index.html
var indexHTML string

//go:embed tour.graphql
var tour string

// contentSecurityPolicy lets the page load its own files only. GraphiQL's editor sets styles on elements, and its
// stylesheet contains fonts and images.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
	"font-src data:; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; " +
	"frame-ancestors 'none'"

// asset is a file of the page. Its path contains a part of its hash, so that browsers may cache it for ever.
type asset struct {
	path, contentType string
	content           []byte
	packed            bool // content is compressed with gzip
}

// page is the data of index.html for one endpoint.
type page struct {
	Endpoint, Tabs, Other, OtherName string
	Mail                             bool // the page links to /dev/mail
}

// Handler serves the page at / for the endpoint /graphql, at /?endpoint=relay for /relay, and their files below
// /graphiql/. Other values of endpoint are ignored, so that no link can point the page to a foreign server. The handler
// sets all headers that the page needs, whatever it is mounted in. With mail the page links to /dev/mail.
//
// The page is built at the first request, because most servers never get one.
func Handler(mail bool) http.Handler {
	made := sync.OnceValue(func() http.Handler { return newHandler(mail) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { made().ServeHTTP(w, r) })
}

func newHandler(mail bool) http.Handler {
	assets := map[string]*asset{} // by path
	paths := map[string]string{}  // by name
	for _, name := range []string{
		"assets/graphiql.min.js.gz", "assets/graphiql.min.css.gz", "assets/react.production.min.js.gz",
		"assets/react-dom.production.min.js.gz", "start.js", "page.css",
	} {
		a := load(name)
		assets[a.path] = a
		paths[path.Base(a.path)] = a.path
	}
	asset := func(name string) string { return paths[name] }
	index := template.Must(template.New("index").Funcs(template.FuncMap{"asset": asset}).Parse(indexHTML))
	render := func(endpoint, left, right, other, otherName string) []byte {
		var b bytes.Buffer
		if err := index.Execute(&b, page{endpoint, tabs(left, right), other, otherName, mail}); err != nil {
			panic(err) // the template is embedded
		}
		return b.Bytes()
	}
	plain := render("/graphql", "(", ")", "/?endpoint=relay", "Relay flavour")
	relay := render("/relay", "(input: {", "})", "/", "plain flavour")

	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		a := assets[r.URL.Path]
		if a == nil && r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "This page is only read: GET or HEAD.", http.StatusMethodNotAllowed)
			return
		}
		if a != nil {
			a.serve(w, r)
			return
		}
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", contentSecurityPolicy)
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-cache")
		body := plain
		if r.URL.Query().Get("endpoint") == "relay" {
			body = relay
		}
		_, _ = w.Write(body) // fails only if the browser has gone
	})
}

// must returns the value of what cannot fail, because the files are embedded.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func load(name string) *asset {
	a := &asset{content: must(files.ReadFile(name))}
	name, a.packed = strings.CutSuffix(name, ".gz")
	a.contentType = map[string]string{
		".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	}[path.Ext(name)]
	sum := sha256.Sum256(a.content)
	a.path = "/graphiql/" + hex.EncodeToString(sum[:8]) + "/" + path.Base(name)
	return a
}

func unpack(packed []byte) []byte {
	return must(io.ReadAll(must(gzip.NewReader(bytes.NewReader(packed)))))
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Add("Vary", "Accept-Encoding")
	body := a.content
	if a.packed && acceptsGzip(r) {
		h.Set("Content-Encoding", "gzip")
	} else if a.packed {
		body = unpack(body) // not needed by browsers
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

// acceptsGzip reports whether r accepts gzip with a weight other than 0 (RFC 9110, section 12.5.3).
func acceptsGzip(r *http.Request) bool {
	for offer := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		name, weight, _ := strings.Cut(offer, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		_, q, weighted := strings.Cut(weight, "=")
		value, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
		return !weighted || (err == nil && value > 0)
	}
	return false
}

// tabs returns the tour as GraphiQL's defaultTabs in JSON. left and right enclose the arguments of a mutation.
func tabs(left, right string) string {
	type tab struct {
		Query   string `json:"query"`
		Headers string `json:"headers,omitempty"`
	}
	var list []tab
	for _, step := range steps(left, right) {
		t := tab{Query: step}
		if strings.Contains(step, "query Me {") {
			t.Headers = "{\n  \"Authorization\": \"JWT \"\n}"
		}
		list = append(list, t)
	}
	return string(must(json.Marshal(list)))
}

func steps(left, right string) []string {
	return strings.Split(strings.NewReplacer("<<", left, ">>", right).Replace(tour), "#---\n")
}
