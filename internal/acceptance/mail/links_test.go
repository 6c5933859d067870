//go:build unix

// Package mail_test tests mails of the built program: their contents, the spool, delivery by SMTP, and kills in
// between.
//
// Tests that kill the program at a system call need strace and are skipped without it.
package mail_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"accountd/internal/servertest"
)

// strictMail is a mail as parsed by readStrictly.
type strictMail struct{ subject, text, html string }

// readStrictly parses a mail and fails for anything ambiguous: bytes, line ends and line lengths outside the
// standard, unexpected headers or values, and parts other than text and HTML.
func readStrictly(t *testing.T, raw, to string) strictMail {
	t.Helper()
	if strings.ContainsAny(strings.ReplaceAll(raw, "\r\n", ""), "\r\n\x00") || !utf8.ValidString(raw) {
		t.Errorf("got %q, want UTF-8 without a bare CR or LF and without NUL", raw)
	}
	head, body, _ := strings.Cut(raw, "\r\n\r\n")
	for line := range strings.SplitSeq(raw, "\r\n") {
		if len(line) > 998 {
			t.Errorf("got a line of %d bytes, want at most 998", len(line))
		}
	}
	values := map[string]string{}
	for line := range strings.SplitSeq(strings.ReplaceAll(head, "\r\n ", " "), "\r\n") {
		name, value, ok := strings.Cut(line, ": ")
		if _, twice := values[name]; twice || !ok || strings.ContainsFunc(line, func(r rune) bool {
			return r < ' ' ||
				r > '~'
		}) {
			t.Errorf("got the header line %q, want a known header in ASCII, once", line)
		}
		values[name] = value
	}
	for name, pattern := range map[string]string{
		"From": `.+ <accounts@example\.org>`, "To": "<" + regexp.QuoteMeta(to) + ">",
		"Message-ID": `<\d+\.[A-Z2-7]{26}@example\.org>`, "MIME-Version": `1\.0`,
		"Auto-Submitted": "auto-generated", "Date": `[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} \+0000`,
		"Content-Type": `multipart/alternative; boundary=accountd-\d+\.[A-Z2-7]{26}`, "Subject": `.+`,
	} {
		if !regexp.MustCompile("^(?:" + pattern + ")$").MatchString(values[name]) {
			t.Errorf("%s: %q, want %s", name, values[name], pattern)
		}
		if name != "Subject" {
			delete(values, name)
		}
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(values["Subject"])
	if err != nil || len(values) != 1 {
		t.Errorf("got %v and the headers %q, want one header", err, values)
	}
	_, boundary, _ := strings.Cut(head, "boundary=")
	boundary, _, _ = strings.Cut(boundary, "\r\n")
	parts := multipart.NewReader(strings.NewReader(body), boundary)
	out := strictMail{subject: subject, text: strictPart(t, parts, "text/plain"), html: strictPart(t, parts,
		"text/html")}
	if _, err := parts.NextRawPart(); !errors.Is(err, io.EOF) {
		t.Errorf("after two parts: got %v, want the end", err)
	}
	return out
}

func strictPart(t *testing.T, parts *multipart.Reader, want string) string {
	t.Helper()
	part, err := parts.NextRawPart()
	if err != nil {
		t.Fatal(err)
	}
	var content io.Reader = part
	switch encoding := part.Header.Get("Content-Transfer-Encoding"); encoding {
	case "8bit":
	case "quoted-printable":
		content = quotedprintable.NewReader(part)
	default:
		t.Errorf("got the encoding %q, want a known one", encoding)
	}
	text, err := io.ReadAll(content)
	if err != nil || part.Header.Get("Content-Type") != want+"; charset=UTF-8" || len(part.Header) != 2 {
		t.Errorf("%v: %v, want %s", err, part.Header, want)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

// send sends a raw request and returns status and body.
func send(t *testing.T, server *servertest.Server, method, target string, headers []string, body string) (int, string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(server.URL, "http://"), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\n%s\r\nConnection: close\r\nContent-Type: "+
		"application/json\r\nContent-Length: %d\r\n\r\n%s",
		method, target, strings.Join(headers, "\r\n"), len(body), body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

func graphql(t *testing.T, query string, variables map[string]any) string {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestSecurityMailLinks: Host and forwarding headers do not change mails. A request for an unknown host is refused
// and changes nothing; only health checks answer it.
func TestSecurityMailLinks(t *testing.T) {
	t.Parallel()
	server := servertest.New(t, "ACCOUNTD_EMAIL_FROM=Acme <accounts@example.org>")
	host := strings.TrimPrefix(server.URL, "http://")
	_, port, _ := net.SplitHostPort(host)
	forwarded := []string{
		"X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https", "X-Forwarded-Port: 8443",
		"X-Forwarded-Prefix: /evil",
		"X-Forwarded-Server: evil.example",
		"X-Host: evil.example", "X-Original-URL: https://evil.example/", "X-Rewrite-URL: https://evil.example/",
		"X-HTTP-Host-Override: evil.example",
		"Forwarded: host=evil.example;proto=https", "Referer: https://evil.example/",
	}
	const evil = "http://evil.example/graphql"
	tests := []struct {
		name, target string
		headers      []string
		status       int
	}{
		{"plain", "/graphql", []string{"Host: " + host}, 200},
		{"another port", "/graphql", []string{"Host: localhost:1"}, 200},
		{"upper case", "/graphql", []string{"Host: LOCALHOST:" + port}, 200},
		{"forwarded", "/graphql", append([]string{"Host: " + host}, forwarded...), 200},
		// RFC 9112, section 3.2.2: the Host is ignored
		{"absolute, evil Host", server.URL + "/graphql", []string{"Host: evil.example"}, 200},
		{"evil Host", "/graphql", []string{"Host: evil.example"}, 421},
		{"evil Host, our port", "/graphql", []string{"Host: evil.example:" + port}, 421},
		{"evil Host, forwarded ours", "/graphql", []string{"Host: evil.example", "X-Forwarded-Host: " + host,
			"Forwarded: host=" + host}, 421},
		{"begins like ours", "/graphql", []string{"Host: 127.0.0.1.evil.example"}, 421},
		{"ends like ours", "/graphql", []string{"Host: evil-localhost"}, 421},
		{"absolute, evil", evil, []string{"Host: " + host}, 421},
		{"no Host", "/graphql", []string{"Host:"}, 421},
		{"two Hosts", "/graphql", []string{"Host: " + host, "Host: evil.example"}, 400},
		{"user in Host", "/graphql", []string{"Host: 127.0.0.1@evil.example"}, 400},
	}
	link := regexp.MustCompile(`/(?:activate|password-reset)/[\w:.-]+`)
	var want [2]strictMail
	for i, test := range tests {
		name := fmt.Sprintf("user%02d", i)
		to := name + "@example.com"
		mails := func(n int) []string {
			got := servertest.MailsTo(t, filepath.Join(server.DataDir, "spool"), to)
			if len(got) != n {
				t.Errorf("%s: %d mails, want %d", test.name, len(got), n)
			}
			return got
		}
		register := graphql(t, `mutation($e: String!, $n: String!, $p: String!) { register(email: $e, username: $n, `+
			`password1: $p, password2: $p) { success } }`,
			map[string]any{"e": to, "n": name, "p": mailSpell})
		status, body := send(t, server, "POST", test.target, test.headers, register)
		if status != test.status || status == 421 && !strings.Contains(body, `"code":"unknown_host"`) {
			t.Errorf("%s: register answers %d %s, want %d", test.name, status, body, test.status)
		}
		if test.status != 200 {
			mails(0)
			if session, err := server.Login(http.DefaultClient, name, mailSpell); err != nil || session.Success {
				t.Errorf("%s: got a login %t, %v; want none after a refused registration", test.name, session.Success,
					err)
			}
			continue
		}
		first := mails(1)
		if len(first) == 0 {
			continue
		}
		token := strings.TrimPrefix(link.FindString(first[0]), "/activate/")
		mutateOK(t, server, `mutation($token: String!) { it: verifyAccount(token: $token) { success errors } }`,
			map[string]any{"token": token})
		if status, body := send(t, server, "POST", test.target, test.headers,
			graphql(t, `mutation($e: String!) { sendPasswordResetEmail(email: $e) { success } }`,
				map[string]any{"e": to})); status != 200 {
			t.Errorf("%s: reset: got %d %s, want 200", test.name, status, body)
		}
		for k, raw := range mails(2) {
			if strings.Contains(raw, "evil") || !strings.Contains(raw, "\r\n"+server.URL+link.FindString(raw)+"\r\n") {
				t.Errorf("%s: got the mail\n%s\nwant a link to %s", test.name, raw, server.URL)
			}
			got := readStrictly(t, link.ReplaceAllString(strings.ReplaceAll(raw, name, "NAME"), "/LINK"),
				"NAME@example.com")
			for _, text := range []*string{&got.text, &got.html} {
				*text = regexp.MustCompile(`\d\d:\d\d UTC`).ReplaceAllString(*text, "NOW")
			}
			if i == 0 {
				want[k] = got
			}
			if diff := cmp.Diff(want[k], got, cmp.AllowUnexported(strictMail{})); diff != "" {
				t.Errorf("%s: another mail (-plain +this):\n%s", test.name, diff)
			}
		}
	}
	for path, want := range map[string]int{"/livez": 200, "/readyz": 200, "/relay": 421, "/": 421, "/auth": 421,
		"/dev/mail.json": 421, "/.well-known/jwks.json": 421, "/livez/": 421} {
		if got, _ := send(t, server, "GET", path, []string{"Host: evil.example"}, ""); got != want {
			t.Errorf("GET %s for an evil host answers %d, want %d", path, got, want)
		}
	}
}

// hostileNames are first names that try to change a mail's headers, parts or links.
var hostileNames = []string{
	"x\r\nBcc: evil@example.com", "x\nBcc: evil@example.com", "x\rBcc: evil@example.com", "x\r\n\r\n<h1>new body</h1>",
	"x\r\n Folded: y", "x%0d%0aBcc: evil@example.com",
	"x%0D%0A%0D%0Abody", "x\u2028Bcc: evil@example.com", "x\u2029Bcc: evil@example.com", "x\u0085Bcc: evil@example.com",
	"x\v\fBcc: evil@example.com", "x\u560d\u560aBcc: evil@example.com",
	"=?utf-8?q?=0d=0aBcc:_evil@example.com?=", strings.Repeat("x", 150), strings.Repeat("long \r\n ", 18),
	strings.Repeat("ü", 150), strings.Repeat("日本 ", 50), "\r\n.\r\n",
	"--accountd-1.A--", "<evil@example.com>, \"", "{{7*7}}", "{{.Token}}", "{{template \"body\" .}}", "${7*7}",
	"<script>alert(7*7)</script>", "<a href=\"http://evil.example\">x</a>",
	"\"><img src=x onerror=alert(1)>", "&lt;script&gt;", "http://evil.example", "HTTPS://evil.example/x",
	"www.evil.example", "evil.example/login", "javascript://evil.example/%0aalert(1)",
	"\u202egnp.exe", "a\u200bb\ufeff",
}

// TestSecurityMailHostileNames: names are data. Each mail has exactly its headers, its parts and the text of its
// template, and its own link only.
func TestSecurityMailHostileNames(t *testing.T) {
	t.Parallel()
	templates := t.TempDir()
	for file, text := range map[string]string{
		"activation.subject": "For {{.User.FirstName}} and {{.User.LastName}}",
		"activation.txt":     "Hello {{.User.FirstName}} {{.User.LastName}}!\n\n{{.Link}}\n",
		"activation.html": "<p title=\"{{.User.LastName}}\">Hello {{.User.FirstName}}!</p><p><a " +
			"href=\"{{.Link}}\">{{.Link}}</a></p>",
	} {
		if err := os.WriteFile(filepath.Join(templates, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := servertest.New(t, "ACCOUNTD_EMAIL_TEMPLATES_DIR="+templates,
		"ACCOUNTD_EMAIL_FROM=Acme <accounts@example.org>",
		"ACCOUNTD_ACCOUNTS_REGISTER_FIELDS=email,username,first_name,last_name")
	for i, name := range hostileNames {
		to := fmt.Sprintf("user%02d@example.com", i)
		mutateOK(t, server, `mutation($e: String!, $u: String!, $n: String!, $p: String!) {
			it: register(email: $e, username: $u, firstName: $n, lastName: $n, password1: $p, password2: $p) { success
				errors } }`,
			map[string]any{"e": to, "u": fmt.Sprintf("user%02d", i), "n": name, "p": mailSpell})
		mails := servertest.MailsTo(t, filepath.Join(server.DataDir, "spool"), to)
		if len(mails) != 1 {
			t.Fatalf("%q: got %d mails, want 1", name, len(mails))
		}
		got := readStrictly(t, mails[0], to)
		link := regexp.MustCompile(regexp.QuoteMeta(server.URL) + `/activate/[\w:.-]+`).FindString(got.text)
		if lines := strings.Split(got.text, "\n"); len(lines) != 4 || !strings.HasPrefix(lines[0], "Hello ") ||
			!strings.HasSuffix(lines[0], "!") || lines[2] != link || link == "" {
			t.Errorf("%q: got the text %q, want a greeting, a line and the link", name, got.text)
		}
		if !strings.HasPrefix(got.subject, "For ") || utf8.RuneCountInString(got.subject) > len("For  and ")+2*80 ||
			strings.ContainsFunc(got.subject, func(r rune) bool { return r < ' ' || r == '\u2028' || r == '\u202e' }) {
			t.Errorf("%q: got the subject %q, want one line of text", name, got.subject)
		}
		tags := regexp.MustCompile(`<[^>]*>`).FindAllString(got.html, -1)
		for k, want := range []string{`<p title="`, `</p>`, `<p>`, `<a href="` + link + `">`, `</a>`, `</p>`} {
			if len(tags) != 6 || !strings.HasPrefix(tags[k], want) || strings.Count(tags[k], `"`) != strings.Count(want,
				`"`)+
				max(0, 1-k) {
				t.Errorf("%q: got the tags %q, want those of the template only", name, tags)
				break
			}
		}
		for _, text := range []string{got.subject, got.text, got.html} {
			rest := strings.ReplaceAll(text, link, "")
			if strings.Contains(rest, "49") || regexp.MustCompile(`(?i)://|www\.|evil\.example/`).MatchString(rest) ||
				strings.Contains(rest, link[strings.LastIndex(link, "/")+1:]) {
				t.Errorf("%q: got %q, want no link and no result of a template", name, rest)
			}
		}
		if strings.Contains(name, "7*7") && !strings.Contains(got.text, strings.TrimSpace(name)) {
			t.Errorf("got the text %q, want %q in it as it is", got.text, strings.TrimSpace(name))
		}
	}
}

// TestSecurityMailHostileAddresses: addresses and usernames with several headers or recipients are refused, and no
// mail is sent.
func TestSecurityMailHostileAddresses(t *testing.T) {
	t.Parallel()
	server := servertest.New(t)
	for _, evil := range []string{
		"ada@example.com\r\nBcc: evil@example.com", "ada@example.com\nBcc: evil@example.com",
		"ada@example.com, evil@example.com", "ada@example.com;evil@example.com",
		"<ada@example.com>", "Ada <ada@example.com>", "ada@example.com (x)", "g: ada@example.com;",
		"\"a\r\nBcc: evil\"@example.com", "ada%0d%0a@exa\u2028mple.com",
		"ada@example.com\u2028evil@example.com", "ada@[127.0.0.1]", "ada@example.com\x00", strings.Repeat("a", 65) +
			"@" +
			strings.Repeat("b.", 100) + "example",
	} {
		for _, fields := range []map[string]any{
			{"e": evil, "u": "ada", "p": mailSpell}, {"e": "ada@example.com", "u": evil, "p": mailSpell},
		} {
			answer, err := server.Ask(http.DefaultClient, "", `mutation($e: String!, $u: String!, $p: String!) {
				it: register(email: $e, username: $u, password1: $p, password2: $p) { success errors } }`, fields)
			var out servertest.Session
			if err == nil {
				err = answer.Field("it", &out)
			}
			if err != nil || out.Success || len(out.Errors) < 10 {
				t.Errorf("%q: got success %t, %s, %v; want problems", fields, out.Success, out.Errors, err)
			}
		}
	}
	if got := filesIn(t, server.DataDir, "new"); len(got) != 0 {
		t.Errorf("got the mails %q, want none", got)
	}
}

// TestSecurityMailHostileSettings: a setting with more than one header is refused at start, by its name.
func TestSecurityMailHostileSettings(t *testing.T) {
	t.Parallel()
	for variable, key := range map[string]string{
		"ACCOUNTD_EMAIL_SITE_NAME=Acme\r\nBcc: evil@example.com":                   "email.site_name",
		"ACCOUNTD_EMAIL_SITE_NAME=Acme\u2028Bcc":                                   "email.site_name",
		"ACCOUNTD_EMAIL_FROM=Acme <accounts@example.org>\r\nBcc: evil@example.com": "email.from",
		"ACCOUNTD_EMAIL_FROM=accounts@example.org, evil@example.com":               "email.from",
		"ACCOUNTD_EMAIL_LINK_BASE=https://acme.example/\r\nBcc: evil@example.com":  "email.link_base",
		"ACCOUNTD_EMAIL_ACTIVATION_PATH=activate\r\nBcc: evil@example.com":         "email.activation_path",
		"ACCOUNTD_EMAIL_SMTP_HOST=mail.example.com\r\nRCPT TO: <evil@example.com>": "email.smtp.host",
	} {
		cmd := exec.Command(servertest.Binary(t), "config", "check")
		cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), variable)
		out, err := cmd.CombinedOutput()
		if err == nil || !bytes.Contains(out, []byte(key)) {
			t.Errorf("%q: got %v, %s; want a refusal that names %s", variable, err, out, key)
		}
	}
}
