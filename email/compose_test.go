package email

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// newComposer returns a composer with settings that a test may change.
func newComposer(t *testing.T, change func(*Settings)) *Composer {
	t.Helper()
	c, err := NewComposer(testSettings(change))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func testSettings(change func(*Settings)) Settings {
	s := Settings{
		From: "Acme <accounts@example.org>", SiteName: "Acme", LinkBase: "https://acme.example/",
		ActivationPath:     "activate",
		SecondaryEmailPath: "activate-second", PasswordResetPath: "password-reset",
		PasswordSetPath: "account/password-set",
	}
	if change != nil {
		change(&s)
	}
	return s
}

// parsed is a message as a strict parser reads it.
type parsed struct {
	header     map[string]string // decoded
	text, html string            // with \n
}

// parseMail fails for everything that a strict parser may refuse: line ends, long lines, bytes in headers that are
// not text, duplicate headers, and parts other than a plain text followed by HTML.
func parseMail(t *testing.T, raw []byte) parsed {
	t.Helper()
	head, _, _ := strings.Cut(string(raw), "\r\n\r\n")
	if strings.ContainsFunc(head, func(r rune) bool { return r > '~' || r < ' ' && r != '\r' && r != '\n' }) {
		t.Errorf("got the header %q, want printable ASCII", head)
	}
	if strings.ContainsAny(strings.ReplaceAll(string(raw), "\r\n", ""), "\r\n\x00") || !utf8.Valid(raw) {
		t.Error("got a bare CR or LF, a NUL, or invalid UTF-8; want UTF-8 with lines that end in CRLF")
	}
	for line := range strings.SplitSeq(string(raw), "\r\n") {
		if len(line) > 998 {
			t.Errorf("got a line of %d bytes, want at most 998", len(line))
		}
	}
	message, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	out := parsed{header: map[string]string{}}
	for key, values := range message.Header {
		if len(values) != 1 {
			t.Errorf("got %d headers %s, want 1", len(values), key)
		}
		if out.header[key], err = new(mime.WordDecoder).DecodeHeader(values[0]); err != nil {
			t.Errorf("header %s: got %v, want no error", key, err)
		}
	}
	kind, params, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("got %s, %v; want multipart/alternative", kind, err)
	}
	parts := multipart.NewReader(message.Body, params["boundary"])
	out.text = nextPart(t, parts, "text/plain; charset=UTF-8")
	out.html = nextPart(t, parts, "text/html; charset=UTF-8")
	if _, err := parts.NextRawPart(); !errors.Is(err, io.EOF) {
		t.Errorf("after two parts: got %v, want io.EOF", err)
	}
	return out
}

func nextPart(t *testing.T, parts *multipart.Reader, want string) string {
	t.Helper()
	part, err := parts.NextRawPart()
	if err != nil {
		t.Fatal(err)
	}
	if got := part.Header.Get("Content-Type"); got != want || len(part.Header) != 2 {
		t.Errorf("part %v, want %s", part.Header, want)
	}
	var body io.Reader = part
	switch encoding := part.Header.Get("Content-Transfer-Encoding"); encoding {
	case "8bit":
	case "quoted-printable":
		body = quotedprintable.NewReader(part)
	default:
		t.Errorf("got the encoding %q, want 8bit or quoted-printable", encoding)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

// TestMessages: messages have exactly these headers; subjects and paths are those of the API.
func TestMessages(t *testing.T) {
	t.Parallel()
	c := newComposer(t, nil)
	tests := map[Kind]struct{ subject, path string }{
		Activation:               {"Activate your account on Acme", "/activate/tok"},
		ActivationResend:         {"Activate your account on Acme", "/activate/tok"},
		SecondaryEmailActivation: {"Activate your account on Acme", "/activate-second/tok"},
		PasswordSet:              {"Set your password on Acme", "/account/password-set/tok"},
		PasswordReset:            {"Reset your password on Acme", "/password-reset/tok"},
		NoticeRegistration:       {"You already have an account on Acme", ""},
		NoticePasswordChanged:    {"Your password on Acme has been changed", ""},
		NoticeSecondaryAdded:     {"An address was added to your account on Acme", ""},
		NoticeEmailsSwapped:      {"The addresses of your account on Acme were swapped", ""},
		NoticeSecondaryRemoved:   {"An address was removed from your account on Acme", ""},
		NoticeSessionsEnded:      {"You have been logged out of Acme", ""},
		NoticeAccountArchived:    {"Your account on Acme has been archived", ""},
		NoticeAccountDeleted:     {"Your account on Acme has been deleted", ""},
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(tests)), slices.Sorted(slices.Values(Kinds()))); diff != "" {
		t.Errorf("kinds (-tested +all):\n%s", diff)
	}
	for kind, test := range tests {
		t.Run(string(kind), func(t *testing.T) {
			m := Mail{Kind: kind, To: "ada@example.com", User: ada}
			if test.path != "" {
				m.Token = "tok"
			}
			message, err := c.compose(m, "1.ID.eml", time.Unix(1_800_000_000, 0))
			if err != nil {
				t.Fatal(err)
			}
			got := parseMail(t, message.Raw)
			want := map[string]string{
				"From": `"Acme" <accounts@example.org>`, "To": "<ada@example.com>", "Subject": test.subject,
				"Message-Id": "<1.ID@example.org>", "Auto-Submitted": "auto-generated", "Mime-Version": "1.0",
				"Date":         "Fri, 15 Jan 2027 08:00:00 +0000",
				"Content-Type": "multipart/alternative; boundary=accountd-1.ID",
			}
			if diff := cmp.Diff(want, got.header); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			if message.Subject != test.subject || message.Text != got.text || message.HTML != got.html {
				t.Error("got another subject or text in the message than in the mail, want the same")
			}
			link := "https://acme.example" + test.path
			if !strings.Contains(got.text, "\n"+link+"\n") || strings.Count(got.html, `href="`+link+`"`) != 2 ||
				!strings.Contains(got.html, ">"+link+"</a>") {
				t.Errorf("got no link %s twice and as text, want it in\n%s\n%s", link, got.text, got.html)
			}
			for _, text := range []string{got.text, got.html} {
				for _, want := range []string{"Acme\n", "Hello ada,", "account ada"} {
					if !strings.Contains(strings.ReplaceAll(text, "</h1>", ""), want) {
						t.Errorf("got no %q, want it in\n%s", want, text)
					}
				}
			}
			if kind.isNotice() && kind != NoticeRegistration &&
				!strings.Contains(got.text, "15 January 2027 at 08:00 UTC") {
				t.Errorf("got no time, want 15 January 2027 at 08:00 UTC in\n%s", got.text)
			}
		})
	}
}

// TestHTML: the embedded HTML loads nothing, is small, and says the same as the text.
func TestHTML(t *testing.T) {
	t.Parallel()
	c := newComposer(t, nil)
	for _, kind := range kinds {
		message, err := c.Preview(kind, time.Unix(1_800_000_000, 0))
		if err != nil {
			t.Fatal(err)
		}
		if len(message.Raw) > 20<<10 {
			t.Errorf("%s: got %d bytes, want at most 20 KiB", kind, len(message.Raw))
		}
		for _, address := range regexp.MustCompile(`[a-z]+://[^"<]*`).FindAllString(message.HTML, -1) {
			if address != c.Link(kind, "sample-token") && kind.isNotice() == strings.Contains(address, "sample-token") {
				t.Errorf("%s: got the address %s, want the link, and no token in a notice", kind, address)
			}
		}
		if strings.Contains(message.HTML, "<img") || strings.Contains(message.HTML, "url(") ||
			!strings.HasPrefix(message.HTML, "<!DOCTYPE html>\n<html lang=\"en\">\n") {
			t.Errorf("%s: got %s, want a document without images", kind, message.HTML)
		}
		// The texts are in two files: what the HTML says is in the text, sentence by sentence.
		shown := strings.Split(htmlText(message.HTML), "\n\n")
		for _, paragraph := range shown {
			if strings.Contains(paragraph, "If the button") || strings.HasPrefix(paragraph, "Go to ") ||
				strings.Count(paragraph, " ") < 4 {
				continue // the button
			}
			if !strings.Contains(message.Text, strings.TrimSpace(paragraph)) {
				t.Errorf("%s: got no %q in the text, want it in\n%s", kind, paragraph, message.Text)
			}
		}
		if len(shown) < 5 {
			t.Errorf("%s: got only %q, want at least 5 paragraphs", kind, shown)
		}
	}
}

// TestHostileUsers: names of users cannot change the structure of a message.
func TestHostileUsers(t *testing.T) {
	t.Parallel()
	c := newComposer(t, func(s *Settings) {
		s.TemplatesDir = overrides(t, map[string]string{
			"password_reset.subject": "For {{.User.FirstName}} {{.User.LastName}} {{.User.Fields.motto}}",
		})
		s.Fields = map[string]any{"motto": "sapere aude"}
	})
	names := []string{
		"a{{7*7}}<script>alert(1)</script>", "x\r\nBcc: evil@example.com", "x\n\n\n.\n", "x\rBcc: evil",
		"%0d%0aBcc: evil@example.com", "\u2028Bcc:\u2029evil\u0085x",
		"x\x00y\x1b[2J", `"quoted", 'and', commas; <evil@example.com>`, "=?utf-8?q?evil?=", "\u202egnp.exe", "\xff\xfe",
		strings.Repeat("long ", 400),
		strings.Repeat("x", 3000), strings.Repeat("ü", 3000), "http://evil.example/x", "HTTPS://evil.example",
		"see www.evil.example now", "evil.example/login", "--accountd-1.ID--",
		"", " ",
	}
	for _, name := range names {
		for _, kind := range []Kind{Activation, PasswordReset, NoticePasswordChanged} {
			m := Mail{Kind: kind, To: "ada@example.com", User: User{
				ID: 1, Username: name, Email: "ada@example.com", FirstName: name, LastName: name,
				Fields: map[string]any{"motto": name, "secret": name},
			}}
			if !kind.isNotice() {
				m.Token = "tok"
			}
			message, err := c.compose(m, "1.ID.eml", time.Unix(1_800_000_000, 0))
			if err != nil {
				t.Fatalf("%q: got %v, want no error", name, err)
			}
			got := parseMail(t, message.Raw)
			if len(got.header) != 8 ||
				got.header["To"] != "<ada@example.com>" || got.header["Subject"] != message.Subject {
				t.Errorf("%q: got the headers %v, want 8 with the recipient and the subject", name, got.header)
			}
			if utf8.RuneCountInString(message.Subject) > 4+3*(maxShown+1) {
				t.Errorf("%q: got a subject of %d characters, want at most %d", name,
					utf8.RuneCountInString(message.Subject), 4+3*(maxShown+1))
			}
			if strings.Contains(got.html, "<script") ||
				strings.Contains(got.html, "49") || strings.Contains(got.text, "49") {
				t.Errorf("%q: got markup or a computed value, want plain data in\n%s", name, got.html)
			}
			for _, text := range []string{got.text, got.html, message.Subject} {
				text = strings.ReplaceAll(text, c.Link(kind, "tok"), "")
				if regexp.MustCompile(`(?i)://|www\.|\.example/`).MatchString(text) {
					t.Errorf("%q: got a link, want none in\n%s", name, text)
				}
			}
			if lines := strings.Count(got.text, "\n"); lines != 9 && kind != NoticePasswordChanged {
				t.Errorf("%q: got a text of %d lines, want 9:\n%s", name, lines, got.text)
			}
		}
	}
}

// TestHostileSettings: unusual names of sites and senders are accepted.
func TestHostileSettings(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"Bücher & Söhne", "日本語のとても長い名前のサイトでございますので折り返しが必要です", `Quote "this", please`, "a{{7*7}}<b>", "100%0d%0a",
		strings.Repeat("long name ", 9),
	} {
		from := mail.Address{Name: name, Address: "accounts@xn--bcher-kva.example"}
		c := newComposer(t, func(s *Settings) { s.SiteName, s.From = name, from.String() })
		for _, kind := range kinds {
			message, err := c.Preview(kind, time.Unix(1_800_000_000, 0))
			if err != nil {
				t.Fatal(err)
			}
			got := parseMail(t, message.Raw)
			if len(got.header) != 8 || got.header["Subject"] != message.Subject ||
				!strings.Contains(message.Subject, strings.TrimSpace(name)) {
				t.Errorf("%q: got the headers %v, want 8 and the name in the subject", name, got.header)
			}
			raw, err := mail.ReadMessage(bytes.NewReader(message.Raw))
			if err != nil {
				t.Fatal(err)
			}
			senders, err := raw.Header.AddressList("From")
			if err != nil || len(senders) != 1 || *senders[0] != from {
				t.Errorf("from %v, %v, want %v", senders, err, from)
			}
			if strings.Contains(got.html, "<b>") || strings.Contains(got.text+got.html, "49") {
				t.Errorf("%q: got markup or a computed value, want plain data", name)
			}
		}
	}
}

func TestRecipients(t *testing.T) {
	t.Parallel()
	c := newComposer(t, nil)
	for _, to := range []string{"", "ada", "not an address\r\nBcc: evil@example.com",
		"ada@example.com, eve@example.com", "Ada <ada@example.com>", "ada@example.com (x)", "g: ada@example.com;",
		"ada@example.com\r\n"} {
		if _, err := c.compose(Mail{Kind: Activation, To: to, User: ada, Token: "t"}, "1.ID.eml",
			time.Unix(0, 0)); err == nil {
			t.Errorf("%q: got a mail, want an error", to)
		}
	}
	if _, err := c.Preview("unknown", time.Unix(0, 0)); err == nil {
		t.Error("an unknown kind: got no error, want one")
	}
	long := strings.Repeat("a", 64) + "@" + strings.Repeat(strings.Repeat("b", 60)+".", 3) + "xn--p1ai"
	message, err := c.compose(Mail{Kind: Activation, To: long, User: ada, Token: "t"}, "1.ID.eml", time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if got := parseMail(t, message.Raw).header["To"]; got != "<"+long+">" {
		t.Errorf("got the recipient %s, want <%s>", got, long)
	}
}

// TestSameBytes: composing a message again gives the same bytes.
func TestSameBytes(t *testing.T) {
	t.Parallel()
	c := newComposer(t, nil)
	var seen []byte
	for range 3 {
		message, err := c.Preview(PasswordReset, time.Unix(1_800_000_000, 0).In(time.FixedZone("elsewhere", 3600)))
		if err != nil {
			t.Fatal(err)
		}
		if seen != nil && !bytes.Equal(seen, message.Raw) {
			t.Error("composed again: got other bytes, want the same")
		}
		seen = message.Raw
	}
}

// TestLongLines: long lines of a template are encoded.
func TestLongLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("für Elise ", 300)
	c := newComposer(t, func(s *Settings) {
		s.TemplatesDir = overrides(t, map[string]string{
			"password_reset.txt":  long + "\r\n{{.Link}}\rend\n",
			"password_reset.html": "<p>" + long + "</p><p>{{.Link}}</p>",
		})
	})
	message, err := c.Preview(PasswordReset, time.Unix(1_800_000_000, 0))
	if err != nil {
		t.Fatal(err)
	}
	got := parseMail(t, message.Raw)
	if want := long + "\nhttps://acme.example/password-reset/sample-token\nend\n"; got.text != want {
		t.Errorf("got the text %q, want %q", got.text, want)
	}
	if !strings.Contains(got.html, long) {
		t.Errorf("got the HTML %q, want the long line in it", got.html)
	}
}

func TestVariables(t *testing.T) {
	t.Parallel()
	all := "{{.User.ID}} {{.User.Username}} {{.User.Email}} {{.User.SecondaryEmail}} {{.User.FirstName}} " +
		"{{.User.LastName}} {{.User.Verified}} " +
		"{{when .User.DateJoined}} {{with .User.LastLogin}}{{when .}}{{end}} {{.User.Fields.age}} " +
		"{{.User.Fields.since.Year}} {{.Name}} {{.Token}} {{.Link}} {{.SiteName}} " +
		"{{.Domain}} {{.Protocol}} {{.Port}} {{.Path}} {{.Timestamp.Unix}} {{.Variables.support}}"
	for base, want := range map[string]string{
		"https://acme.example":          "acme.example https 443",
		"http://acme.example/app":       "acme.example http 80",
		"http://[::1]:8080":             "::1 http 8080",
		"https://acme.example:8443/#/a": "acme.example https 8443",
	} {
		c := newComposer(t, func(s *Settings) {
			s.LinkBase, s.Variables = base, map[string]string{"support": "help@acme.example"}
			s.Fields = map[string]any{"age": int64(42), "since": time.Unix(0, 0)}
			s.TemplatesDir = overrides(t, map[string]string{
				"password_reset.txt": strings.ReplaceAll(all, "{{.User.Fields.since.Year}}",
					"{{with .User.Fields.since}}{{.Year}}{{end}}"),
			})
		})
		message, err := c.Preview(PasswordReset, time.Unix(1_800_000_000, 0))
		if err != nil {
			t.Fatal(err)
		}
		wantText := fmt.Sprintf("1 ada ada@example.com ada@home.example Ada Lovelace true 15 January 2027 at "+
			"08:00 UTC 15 January 2027 at 08:00 UTC 42 1970 ada sample-token "+
			"%s/password-reset/sample-token Acme %s password-reset 1800000000 help@acme.example", base, want)
		if diff := cmp.Diff(wantText, message.Text); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// TestFields: templates see the public configured fields, also those that an account lacks.
func TestFields(t *testing.T) {
	t.Parallel()
	c := newComposer(t, func(s *Settings) {
		s.Fields = map[string]any{"phone": "123", "age": int64(42)}
		s.TemplatesDir = overrides(t, map[string]string{
			"password_reset.txt": "[{{.User.Fields.phone}}] {{with .User.Fields.age}}{{.}}{{end}} {{len " +
				".User.Fields}} {{.Link}}",
		})
	})
	for want, fields := range map[string]map[string]any{
		"[]  2 ":        nil,
		"[12 3]  2 ":    {"phone": "12\n3", "age": nil, "secret": "x"},
		"[+1 23] 7 2 ":  {"phone": "+1 23", "age": int64(7)},
		"[a . b c/] 2 ": {"phone": "a.b://c/"},
	} {
		m := Mail{Kind: PasswordReset, To: "ada@example.com", User: ada, Token: "t"}
		m.User.Fields = fields
		message, err := c.compose(m, "1.eml", time.Unix(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		got, _, _ := strings.Cut(message.Text, "https")
		if strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(want), " ") {
			t.Errorf("%v shows %q, want %q", fields, got, want)
		}
	}
}
