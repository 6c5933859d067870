package email

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// overrides writes a directory of templates.
func overrides(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOverrides(t *testing.T) {
	t.Parallel()
	const document = "<!DOCTYPE html>\n<html><body><h2>Hi {{.Name}}</h2><a " +
		"href=\"{{.Link}}\">Activate</a></body></html>\n"
	link := "https://acme.example/activate/sample-token"
	for _, test := range []struct {
		name                string
		files               map[string]string
		subject, text, html string // what they have, "": what the embedded ones have
	}{
		{"none", nil, "", "", ""},
		{"the subject", map[string]string{"activation.subject": "\ufeff{{.Name}}: almost there\n"}, "ada: almost there",
			"", ""},
		{"the text", map[string]string{"activation.txt": "Click {{.Link}}\n"}, "", "Click " + link + "\n", ""},
		{"a document, and a text made of it", map[string]string{"activation.html": document}, "",
			"Hi ada\n\nActivate\n" + link + "\n",
			"<!DOCTYPE html>\n<html><body><h2>Hi ada</h2><a href=\"" + link + "\">Activate</a></body></html>\n"},
		{"a document and a text", map[string]string{"activation.html": document, "activation.txt": "{{.Link}}"}, "",
			link, "<h2>Hi ada</h2>"},
		{"blocks of the layout",
			map[string]string{"activation.html": `{{define "body"}}<p>Welcome!</p>{{end}} {{define ` +
				`"label"}}Here{{end}}`}, "", "Welcome!\n\nHere\n\nIf the button", ">Here</a>"},
		{"the layout", map[string]string{"layout.html": `<html><body>{{template "body" .}}{{template "button" ` +
			`.}}<p>Acme Ltd</p></body></html>{{define "button"}}<a href="{{.Link}}">{{block "label" ` +
			`.}}Go{{end}}</a>{{end}}`},
			"", "Please confirm", ">Activate the account</a><p>Acme Ltd</p></body>"},
		{"what desktops leave", map[string]string{".DS_Store": "\xff", ".activation.txt.swp": "{{"}, "", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			at := time.Unix(1_800_000_000, 0)
			stock, err := newComposer(t, nil).Preview(Activation, at)
			if err != nil {
				t.Fatal(err)
			}
			c := newComposer(t, func(s *Settings) { s.TemplatesDir = overrides(t, test.files) })
			got, err := c.Preview(Activation, at)
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range []struct{ name, got, want, stock string }{
				{"subject", got.Subject, test.subject, stock.Subject}, {"text", got.Text, test.text, stock.Text},
				{"html", got.HTML, test.html, stock.HTML},
			} {
				if part.want == "" && part.got != part.stock || !strings.Contains(part.got, part.want) {
					t.Errorf("%s:\n%s\nwant %q", part.name, part.got, part.want)
				}
			}
			parseMail(t, got.Raw)
		})
	}
}

// TestBrokenOverrides: every problem is reported with file and line.
func TestBrokenOverrides(t *testing.T) {
	t.Parallel()
	dir := overrides(t, map[string]string{
		"activaton.txt":                      "x",
		"README.md":                          "x",
		"activation.txt":                     "{{.Link}}\n\n{{if}}",
		"activation_resend.txt":              "a\n{{.Lnk}}",
		"activation_resend.html":             "<p>\n{{.User.Emial}}</p>",
		"secondary_email_activation.subject": " \n",
		"password_set.subject":               "two\nlines {{.Variables.none}}",
		"password_reset.subject":             "two\nlines",
		"password_reset.txt":                 "no way on",
		"password_reset.html":                "<script>var x = {{.Link}}</script>",
		"notice_registration.txt":            "\xff\xfea\x00",
		"notice_password_changed.txt":        strings.Repeat("x", maxTemplate+1),
		"notice_password_changed.html":       "{{template \"nothing\" .}}",
		"notice_secondary_added.txt":         "{{.User.Fields.phone}}",
		"notice_secondary_removed.subject":   strings.Repeat("x", maxSubject+1),
		"notice_emails_swapped.txt":          "{{if .User.LastName}}fine{{else}}{{.Nothing}}{{end}}",
		"notice_secondary_removed.txt":       " ",
		"notice_sessions_ended.txt":          "{{index .Variables 1}}",
		"notice_account_archived.html":       "<a href='{{.Link}}>x</a>",
	})
	if err := os.Mkdir(filepath.Join(dir, "notice_account_deleted.txt"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := NewComposer(testSettings(func(s *Settings) { s.TemplatesDir = dir }))
	if err == nil {
		t.Fatal("broken templates: got no error, want one")
	}
	const want = `the email templates cannot be used:
  DIR/README.md: is no template: files are named KIND.subject, KIND.txt or KIND.html, or layout.html
  DIR/activation.txt:3: missing value for if
  DIR/activation_resend.html:2: <.User.Emial>: there is no Emial: did you mean Email?
  DIR/activation_resend.txt:2: <.Lnk>: there is no Lnk: did you mean Link?
  DIR/activaton.txt: is no template: did you mean activation.txt?
  DIR/notice_account_archived.html: ends in a non-text context
  DIR/notice_account_deleted.txt: is no file
  DIR/notice_emails_swapped.txt:1: <.Nothing>: there is no Nothing: possible are User, Name, Token, Link, SiteName, Domain, Protocol, Port, Path, Timestamp, Variables
  DIR/notice_password_changed.html:1: no such template "nothing"
  DIR/notice_password_changed.txt: is larger than 256 KiB
  DIR/notice_registration.txt: is not UTF-8 text: save it as UTF-8
  DIR/notice_secondary_added.txt:1: <.User.Fields.phone>: there is no public field phone in [[accounts.fields]]
  DIR/notice_secondary_removed.subject: makes a subject of more than 200 characters: mail programs show the first 60
  DIR/notice_secondary_removed.txt: shows no text
  DIR/notice_sessions_ended.txt:1: <index .Variables 1>: error calling index: value has type int; should be string
  DIR/password_reset.html: shows no text
  DIR/password_reset.subject: has more than one line: a subject is one
  DIR/password_reset.txt: shows neither {{.Link}} nor {{.Token}}: the reader needs one of them
  DIR/password_set.subject:2: <.Variables.none>: there is no none: add it to [email.variables]
  DIR/secondary_email_activation.subject: is empty: write the subject into it, in one line`
	if diff := cmp.Diff(want, strings.ReplaceAll(err.Error(), dir, "DIR")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNoDirectory(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{filepath.Join(t.TempDir(), "nowhere"), overrides(t, map[string]string{"file": ""}) +
		"/file"} {
		_, err := NewComposer(testSettings(func(s *Settings) { s.TemplatesDir = dir }))
		if err == nil || !strings.Contains(err.Error(), "  "+dir+": no") ||
			!strings.Contains(err.Error(), "name a directory in email.templates_dir, or none") {
			t.Errorf("got the error %v, want one that names the directory", err)
		}
	}
}
