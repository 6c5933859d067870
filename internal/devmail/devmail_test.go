package devmail

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const token = "abcdefghijklmnopqrstuvwxyz0123456789_-ABCD"

// spoolOf is a Maildir with these files, by their path.
func spoolOf(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"new", "cur"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range files {
		if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// note is a mail with both bodies.
func note(to, subject, text, htmlText string) string {
	return strings.ReplaceAll(fmt.Sprintf("Date: Fri, 15 Jan 2027 08:00:00 +0000\nSubject: %s\nTo: "+
		"<%s>\nContent-Type: multipart/alternative;\n boundary=b\n\n"+
		"--b\nContent-Transfer-Encoding: 8bit\nContent-Type: text/plain; charset=UTF-8\n\n%s\n"+
		"--b\nContent-Transfer-Encoding: 8bit\nContent-Type: text/html; charset=UTF-8\n\n%s\n--b--\n", subject, to,
		text, htmlText), "\n", "\r\n")
}

func ask(spool, method, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	Handler(spool).ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w
}

func mails(t *testing.T, spool, query string) []Message {
	t.Helper()
	w := ask(spool, "GET", "/dev/mail.json"+query)
	var list []Message
	if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || w.Code != 200 ||
		w.Header().Get("Content-Type") != "application/json; charset=utf-8" {
		t.Fatalf("status %d, %v, %s: %v, want 200, %q", w.Code, w.Header(), w.Body, err,
			"application/json; charset=utf-8")
	}
	return list
}

func TestParse(t *testing.T) {
	at := time.Date(2027, 1, 15, 8, 0, 0, 0, time.UTC)
	golden, err := os.ReadFile(filepath.Join("..", "..", "testdata", "mails", "password_reset.eml"))
	if err != nil {
		t.Fatal(err)
	}
	quoted := "Date: Fri, 15 Jan 2027 08:00:00 +0000\r\nSubject: =?utf-8?q?Hi_=C3=A9?=\r\nTo: " +
		"a@b\r\nContent-Transfer-Encoding: quoted-printable\r\n" +
		"Content-Type: text/html; charset=UTF-8\r\n\r\n<a href=3D\"https://x.example/?a=3D1&amp;token=3D" + token[:20] +
		"=\r\n" + token[20:] + "\">go</a>"
	for _, test := range []struct {
		name, raw string
		want      Message
	}{
		{"both bodies", note("a@b", "Hi", "Go:\n\nhttps://x.example/reset/"+token+"\n", "<b>Go</b>"),
			Message{To: "a@b", Subject: "Hi", Date: at, Link: "https://x.example/reset/" + token, Token: token,
				Text: "Go:\n\nhttps://x.example/reset/" + token + "\n", HTML: "<b>Go</b>"}},
		{"quoted-printable, link in the HTML alone", quoted,
			Message{To: "a@b", Subject: "Hi é", Date: at, Link: "https://x.example/?a=1&token=" + token, Token: token,
				HTML: `<a href="https://x.example/?a=1&amp;token=` + token + `">go</a>`}},
		{"no link", note("a@b", "Hi", "https://x.example/short javascript:alert/"+token, ""),
			Message{To: "a@b", Subject: "Hi", Date: at, Text: "https://x.example/short javascript:alert/" + token}},
		{"no date", "Subject: Hi\r\nTo: a@b\r\n\r\nText",
			Message{To: "a@b", Subject: "Hi", Date: time.Unix(1, 0).UTC(), Text: "Text"}},
		{"many recipients", "Subject: Hi\r\nTo: a@b, c@d\r\n\r\nText",
			Message{To: "a@b, c@d", Subject: "Hi", Date: time.Unix(1, 0).UTC(), Text: "Text"}},
		{"nothing", "", Message{Subject: "not a mail: EOF", Date: time.Unix(1, 0).UTC()}},
		{"no boundary", "Content-Type: multipart/mixed\r\n\r\nText", Message{Date: time.Unix(1, 0).UTC()}},
		{"bytes", "Subject: \xff\r\n\r\n\xff", Message{Subject: "\uFFFD", Date: time.Unix(1, 0).UTC(), Text: "\uFFFD"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.want.Name = "1000000.A.eml"
			got := parse("1000000.A.eml", []byte(test.raw))
			got.Raw = ""
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(Message{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	// What the mails of this program look like; their sample token is short.
	raw := strings.ReplaceAll(string(golden), "to-ken_1:2", token)
	if m := parse("1.A.eml", []byte(raw)); m.Token != token || m.Link != "https://acme.example/password-reset/"+token ||
		m.To != "ada@xn--bcher-kva.example" ||
		!strings.Contains(m.HTML, "</html>") || !strings.Contains(m.Text, m.Link) {
		t.Errorf("got %+v, want the token %q at the end of a link in both bodies", m, token)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(note("a@b", "Hi", "https://x.example/"+token, "<b>")))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := parse("1.A.eml", raw)
		if _, err := json.Marshal(m); err != nil {
			t.Error(err)
		}
		if m.Link != "" && !strings.HasPrefix(m.Link, "http") {
			t.Errorf("got the link %q, want one of http or https", m.Link)
		}
	})
}

func TestJSON(t *testing.T) {
	spool := spoolOf(t, map[string]string{
		"new/999.B.eml":      note("ada@example.com", "first", "", ""),
		"new/1000.A.eml":     note("bob@example.com", "second", "", ""),
		"cur/1001.A.eml:2,S": note("Ada@example.com", "third", "https://x.example/"+token, ""),
		"new/1001.B.eml":     note("cyd@example.com", "fourth", "", ""),
		"new/notes.txt":      "no mail", "cur/1002.A.eml.bak": "no mail",
	})
	for query, want := range map[string]string{
		"": "fourth third second first", "?limit=2": "fourth third", "?to=ada@example.com": "third first",
		"?to=%20ADA@EXAMPLE.COM&limit=1": "third",
		"?to=nobody@example.com":         "", "?to=": "fourth third second first",
		"?limit=1000": "fourth third second first",
	} {
		var subjects []string
		for _, m := range mails(t, spool, query) {
			subjects = append(subjects, m.Subject)
		}
		if got := strings.Join(subjects, " "); got != want {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
	}
	want := `[{"name":"1001.A.eml","to":"Ada@example.com","subject":"third","date":"2027-01-15T08:00:00Z",` +
		`"link":"https://x.example/` + token + `","token":"` + token +
		`","text":"https://x.example/` + token + `","html":""}]` + "\n"
	if got := ask(spool, "GET", "/dev/mail.json?to=ada@example.com&limit=1").Body.String(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := ask(spool, "GET", "/dev/mail.json?to=nobody").Body.String(); got != "[]\n" {
		t.Errorf("nobody's: %s, want %q", got, "[]\n")
	}
	for _, limit := range []string{"0", "-1", "1001", "x", "1.5"} {
		if w := ask(spool, "GET", "/dev/mail.json?limit="+limit); w.Code != 400 ||
			w.Body.String() != "limit is a number from 1 to 1000.\n" {
			t.Errorf("limit %s: status %d, %s, want 400, %q", limit, w.Code, w.Body,
				"limit is a number from 1 to 1000.\n")
		}
	}
}

// TestPage: what a mail says stays inside of its frame.
func TestPage(t *testing.T) {
	const hostile = `</iframe><script>alert(1)</script><img src=x onerror="alert(1)">"'`
	spool := spoolOf(t, map[string]string{
		"new/1.A.eml": note("ada@example.com", hostile, hostile+" https://x.example/"+token, hostile),
		"new/2.A.eml": note("bob@example.com", "Hello", "text", ""),
	})
	for path, status := range map[string]int{"/dev/mail": 200, "/dev/mail/1.A.eml": 200, "/dev/mail/2.A.eml": 200,
		"/dev/mail/3.A.eml": 404, "/dev/mail/..%2f..%2fetc%2fpasswd": 404} {
		w := ask(spool, "GET", path)
		body := w.Body.String()
		if w.Code != status || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: status %d, %v, want %v, %q", path, w.Code, w.Header(), status, "text/html; charset=utf-8")
		}
		if !strings.Contains(body, "Hello") || !strings.Contains(body, "bob@example.com") ||
			strings.Index(body, "2.A.eml") > strings.Index(body, `"/dev/mail/1.A.eml`) {
			t.Errorf("%s: got the list\n%s\nwant both mails, the newer one first", path, body)
		}
		if strings.Contains(body, "<script>") || strings.Contains(body, "<img") ||
			regexp.MustCompile(`\s(style|onerror)=["']`).MatchString(body) {
			t.Errorf("%s: got\n%s\nwant the content of mails escaped", path, body)
		}
		for _, m := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(body, -1) {
			if link := html.UnescapeString(m[1]); link != "data:," && link != "https://x.example/"+token &&
				ask(spool, "GET", link).Code != 200 {
				t.Errorf("%s: got the link %s, want it to answer 200", path, link)
			}
		}
	}
	body := ask(spool, "GET", "/dev/mail/1.A.eml").Body.String()
	frame := regexp.MustCompile(`<iframe title="[^"]*" sandbox="([^"]*)" srcdoc="([^"]*)">`).FindStringSubmatch(body)
	if frame == nil || frame[1] != "allow-popups allow-popups-to-escape-sandbox" ||
		html.UnescapeString(frame[2]) != `<base target="_blank">`+hostile {
		t.Errorf("got the frame %q, want a sandbox with the mail", frame)
	}
	if !strings.Contains(body, `<a href="https://x.example/`+token+`" target="_blank" rel="noopener noreferrer">`) {
		t.Errorf("got\n%s\nwant a link that opens in a new tab", body)
	}
	for name, shows := range map[string]bool{"1.A.eml": true, "2.A.eml": false} {
		if got := strings.Contains(ask(spool, "GET", "/dev/mail/"+name).Body.String(), "by itself: <code>"+token+
			"</code>"); got != shows {
			t.Errorf("%s shows a token: %t, want %v", name, got, shows)
		}
	}
	if body := ask(spoolOf(t, nil), "GET", "/dev/mail").Body.String(); !strings.Contains(body, "No mail yet") {
		t.Errorf("an empty spool: %s, want text with %q", body, "No mail yet")
	}
}

// TestHeaders: every answer has them, and nothing is changed.
func TestHeaders(t *testing.T) {
	spool := spoolOf(t, map[string]string{"new/1.A.eml": note("ada@example.com", "Hello", "text", "")})
	for _, path := range []string{"/dev/mail", "/dev/mail/1.A.eml", "/dev/mail.json", "/dev/mail.css", "/dev/mail.js"} {
		for method, status := range map[string]int{"GET": 200, "HEAD": 200, "POST": 405, "DELETE": 405,
			"OPTIONS": 405} {
			w := ask(spool, method, path)
			if w.Code != status || (w.Header().Get("Allow") == "GET, HEAD") != (status == 405) {
				t.Errorf("%s %s: status %d, %v, want %d, and Allow with 405", method, path, w.Code, w.Header(), status)
			}
			for name, want := range map[string]string{
				"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' " +
					"'unsafe-inline'; img-src data:; " +
					"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
				"X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
				"Cache-Control":              "no-store",
				"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
				"Access-Control-Allow-Origin": "",
			} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s %s: %s is %q, want %v", method, path, name, got, want)
				}
			}
		}
	}
	for _, path := range []string{"/dev/", "/dev/mail/", "/dev/mail/1.A.eml/raw", "/dev/keys"} {
		if w := ask(spool, "GET", path); w.Code != http.StatusNotFound {
			t.Errorf("%s: status %d, want %v", path, w.Code, http.StatusNotFound)
		}
	}
}

// TestUnreadable: a spool that cannot be read is said to be so.
func TestUnreadable(t *testing.T) {
	for _, path := range []string{"/dev/mail", "/dev/mail/1.A.eml", "/dev/mail.json"} {
		if w := ask(filepath.Join(t.TempDir(), "none"), "GET", path); w.Code != 500 ||
			!strings.Contains(w.Body.String(), "spool: ") {
			t.Errorf("%s: status %d, %s, want 500, text with %q", path, w.Code, w.Body, "spool: ")
		}
	}
}
