package graphiql

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

func get(t *testing.T, url, encoding string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", encoding)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body
}

// sums are the hashes of the files as npm has them, by name.
func sums(t *testing.T) map[string]string {
	t.Helper()
	f, err := os.Open(filepath.Join("assets", "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		sum, name, _ := strings.Cut(lines.Text(), "  ")
		out[name] = sum
	}
	if len(out) != 4 {
		t.Fatalf("SHA256SUMS has %d files, want 4", len(out))
	}
	return out
}

// TestPage loads the pages as a browser would: every file that they name is there, and is what npm has.
func TestPage(t *testing.T) {
	server := httptest.NewServer(Handler(true))
	defer server.Close()
	for query, endpoint := range map[string]string{"": "/graphql", "?endpoint=relay": "/relay",
		"?endpoint=http://evil": "/graphql"} {
		resp, body := get(t, server.URL+"/"+query, "")
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/html; charset=utf-8" ||
			resp.Header.Get("Cache-Control") != "no-cache" ||
			resp.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%q: status %d, %v, want 200, %q, %q, %q", query, resp.StatusCode, resp.Header,
				"text/html; charset=utf-8", "no-cache", "nosniff")
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
				"font-src data:; " +
				"img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
			"X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%q: %s is %q, want %v", query, name, got, want)
			}
		}
		if !bytes.Contains(body, []byte(`data-endpoint="`+endpoint+`"`)) || bytes.Contains(body, []byte("evil")) {
			t.Errorf("%q: got %s, want the endpoint %s", query, body, endpoint)
		}
		if inline := regexp.MustCompile(`<script>|<style|\son\w+=|\sstyle=|https?://`).Find(body); inline != nil {
			t.Errorf("%q: got %q in the page, want nothing inline", query, inline)
		}
		found := 0
		want := sums(t)
		for _, m := range regexp.MustCompile(`(?:src|href)="(/[^"]+)"`).FindAllSubmatch(body, -1) {
			found++
			url := server.URL + string(m[1])
			plain, content := get(t, url, "")
			packed, raw := get(t, url, "gzip")
			if plain.StatusCode != 200 || packed.StatusCode != 200 ||
				!strings.Contains(plain.Header.Get("Cache-Control"), "immutable") {
				t.Errorf("%s: status %d and %d, %v, want 200, 200, text with %q", url, plain.StatusCode,
					packed.StatusCode, plain.Header, "immutable")
			}
			sent := sha256.Sum256(raw)
			if packed.Header.Get("Content-Encoding") == "gzip" {
				raw = unpack(raw)
			}
			sum := sha256.Sum256(content)
			name := path.Base(url)
			if !bytes.Equal(raw, content) || !strings.Contains(url, "/"+hex.EncodeToString(sent[:8])+"/") {
				t.Errorf("%s: packed and plain differ, or the path is not of the content", url)
			}
			if want[name] != "" && want[name] != hex.EncodeToString(sum[:]) {
				t.Errorf("%s is not what SHA256SUMS says", name)
			}
			delete(want, name)
			if kind := map[string]string{".js": "text/javascript; charset=utf-8",
				".css": "text/css; charset=utf-8"}[path.Ext(name)]; plain.Header.Get("Content-Type") != kind {
				t.Errorf("%s: content type %q, want %v", name, plain.Header.Get("Content-Type"), kind)
			}
		}
		if found != 6 || len(want) != 0 {
			t.Errorf("%q names %d files and leaves out %v", query, found, want)
		}
	}
	for _, missing := range []string{"/graphiql/", "/graphiql/0123456789abcdef/start.js", "/index.html",
		"/assets/react.production.min.js.gz"} {
		if resp, _ := get(t, server.URL+missing, ""); resp.StatusCode != 404 {
			t.Errorf("%s: status %d, want 404", missing, resp.StatusCode)
		}
	}
}

// TestMail: the pages link to the mails only where these are.
func TestMail(t *testing.T) {
	for _, mail := range []bool{true, false} {
		for _, path := range []string{"/", "/?endpoint=relay"} {
			w := httptest.NewRecorder()
			Handler(mail).ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			if got := strings.Contains(w.Body.String(), ` data-mail="/dev/mail">`); got != mail {
				t.Errorf("%s links to mails: %t, want %t", path, got, mail)
			}
		}
	}
}

// TestMethods: the page and its files accept only GET and HEAD, and a missing file is missing for every method.
func TestMethods(t *testing.T) {
	handler := Handler(true)
	ask := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w
	}
	file := load("start.js").path
	for _, path := range []string{"/", "/?endpoint=relay", file} {
		for _, method := range []string{"GET", "HEAD"} {
			if w := ask(method, path); w.Code != 200 {
				t.Errorf("%s %s: status %d, want 200", method, path, w.Code)
			}
		}
		for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
			if w := ask(method, path); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: status %d, allows %q, want 405, %q", method, path, w.Code, w.Header().Get("Allow"),
					"GET, HEAD")
			}
		}
	}
	if w := ask("POST", "/nothing"); w.Code != 404 {
		t.Errorf("POST /nothing: status %d, want 404", w.Code)
	}
}

func TestEncodings(t *testing.T) {
	handler := Handler(true)
	file := load("assets/react.production.min.js.gz").path
	for offer, packed := range map[string]bool{
		"gzip": true, "br, GZIP": true, "br;q=1.0, gzip;q=0.5": true, "gzip; q=1": true, "gzip;q=0.001": true,
		"": false, "identity": false, "br": false, "gzip;q=0": false, "gzip; q=0.000": false, "gzip;q=x": false,
		"gzippy": false,
	} {
		r := httptest.NewRequest("GET", file, nil)
		r.Header.Set("Accept-Encoding", offer)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != packed {
			t.Errorf("%q: gzip %t, want %v", offer, got, packed)
		}
		if w.Header().Get("Vary") != "Accept-Encoding" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%q: %v, want %q, %q", offer, w.Header(), "Accept-Encoding", "nosniff")
		}
	}
}

// TestTour holds every step against the schemas, ours and the one that we follow.
func TestTour(t *testing.T) {
	plain, relay := [2]string{"(", ")"}, [2]string{"(input: {", "})"}
	for name, brackets := range map[string][2]string{
		"plain.graphql": plain, "relay.graphql": relay, "contract/plain.graphql": plain,
		"contract/relay.graphql": relay,
	} {
		sdl, err := os.ReadFile(filepath.Join("..", "..", "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		schema := gqlparser.MustLoadSchema(&ast.Source{Name: name, Input: string(sdl)})
		list := steps(brackets[0], brackets[1])
		if len(list) != 6 {
			t.Errorf("%d steps, want 6", len(list))
		}
		for _, step := range list {
			doc, errs := gqlparser.LoadQueryWithRules(schema, step, nil)
			if len(errs) > 0 {
				t.Errorf("%s: got %v, want a valid document:\n%s", name, errs, step)
				continue
			}
			if len(doc.Operations) != 1 || doc.Operations[0].Name == "" {
				t.Errorf("got\n%s\nwant a named operation, for the title of the tab", step)
			}
		}
		if got := tabs(brackets[0], brackets[1]); strings.Count(got, "Authorization") != 1 {
			t.Errorf("the header is not where me is asked: %s, want 1", got)
		}
	}
}
