package cli

import (
	"fmt"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"accountd/email"
)

func TestMailPreview(t *testing.T) {
	w := newWorldHere(t)
	w.write("config.toml", "[email]\nsite_name = \"Acme\"\nlink_base = \"https://acme.example\"\n")
	for _, kind := range email.Kinds() {
		message, err := mail.ReadMessage(strings.NewReader(w.ok("mail", "preview", string(kind))))
		if err != nil || !strings.Contains(message.Header.Get("Subject"), "Acme") {
			t.Errorf("%s: %v, %v, want text with %q", kind, message, err, "Acme")
		}
		if text := w.ok("mail", "preview", string(kind), "--text"); !strings.HasPrefix(text,
			"Acme\n\nHello ada,\n\n") || !strings.Contains(text, "\nhttps://acme.example") {
			t.Errorf("%s --text prints %q, want text with %q, text with %q", kind, text, "Acme\n\nHello ada,\n\n",
				"\nhttps://acme.example")
		}
		if html := w.ok("mail", "preview", string(kind), "--html"); !strings.HasPrefix(html, "<!DOCTYPE html>") {
			t.Errorf("%s --html prints %q, want text with %q", kind, html, "<!DOCTYPE html>")
		}
	}
	equal(t, w.ok("mail", "preview", "password_reset", "--to=reset.eml"), "")
	w.ok("mail", "preview", "password_reset", "--to=reset.eml")
	if raw, err := os.ReadFile("reset.eml"); err != nil || string(raw) != w.ok("mail", "preview", "password_reset") {
		t.Errorf("got reset.eml %q, %v, want the mail that preview prints", raw, err)
	}
	w.fails(exitUsage, "accountd: --to config.toml: the name of the file ends in .eml\nTry accountd --help.\n", "mail",
		"preview", "activation", "--to=config.toml")
	w.fails(exitFailure, "accountd: open nowhere/x.eml: no such file or directory\n", "mail", "preview", "activation",
		"--to=nowhere/x.eml")
	kinds := strings.ReplaceAll(strings.Trim(fmt.Sprint(email.Kinds()), "[]"), " ", `","`)
	w.fails(exitUsage, `accountd: <kind> must be one of "`+kinds+
		"\" but got \"reset\"\nTry accountd --help.\n", "mail", "preview", "reset")
	if code, _, stderr := w.run("mail", "preview", "activation", "--html", "--text"); code != exitUsage ||
		!strings.Contains(stderr, "can't be used together") {
		t.Errorf("two forms: %d, %s, want %v, text with %q", code, stderr, exitUsage, "can't be used together")
	}
	if _, err := os.Stat("data"); err == nil {
		t.Error("got a data directory, want none")
	}
}

// TestBrokenTemplates: every command that makes mails reports the problem, and the server does not start.
func TestBrokenTemplates(t *testing.T) {
	w := newWorldHere(t)
	w.write("config.toml", "[email]\ntemplates_dir = \"mails\"\n")
	if err := os.Mkdir("mails", 0o700); err != nil {
		t.Fatal(err)
	}
	w.write("mails/activation.txt", "{{.Name}}\n{{.Lnk}}\n")
	w.write("mails/activaton.html", "")
	want := "accountd: the email templates cannot be used:\n  " + filepath.Join("mails", "activation.txt") +
		":2: <.Lnk>: there is no Lnk: did you mean Link?\n  " + filepath.Join("mails", "activaton.html") +
		": is no template: did you mean activation.html?\n"
	for _, args := range [][]string{
		{"config", "check"}, {"mail", "preview", "password_reset"},
		{"user", "add", "--username=ada", "--email=ada@example.com", "--no-password"},
	} {
		w.fails(exitFailure, want, args...)
	}
	if code, _, stderr := w.run("serve", "--listen=127.0.0.1:0"); code != exitFailure ||
		!strings.HasSuffix(stderr, want) {
		t.Errorf("serve: got exit code %d with %s, want %d with %q", code, stderr, exitFailure, want)
	}
}

// TestOverrideExample: the example of docs/emails.md does what the document says.
func TestOverrideExample(t *testing.T) {
	document, err := os.ReadFile(filepath.Join("..", "..", "docs", "emails.md"))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorldHere(t)
	if err := os.Mkdir("mails", 0o700); err != nil {
		t.Fatal(err)
	}
	files := regexp.MustCompile("(?m)`([a-z_./]+)`:\n\n```\\w+\n((?s:.*?))```$").FindAllStringSubmatch(string(document),
		-1)
	if len(files) != 3 {
		t.Fatalf("docs/emails.md has %d files, want 3", len(files))
	}
	for _, file := range files {
		w.write(file[1], file[2])
	}
	block := regexp.MustCompile("(?s)```text\n\\$ accountd mail preview activation --text\n(.*?)```")
	shown := block.FindStringSubmatch(string(document))
	if shown == nil {
		t.Fatal("docs/emails.md: got no output of the example, want it")
	}
	equal(t, w.ok("mail", "preview", "activation", "--text"), shown[1])
	message, err := mail.ReadMessage(strings.NewReader(w.ok("mail", "preview", "activation")))
	if err != nil || message.Header.Get("Subject") != "Welcome to Acme, ada" {
		t.Errorf("%v, %v, want %q", message, err, "Welcome to Acme, ada")
	}
	if html := w.ok("mail", "preview", "activation", "--html"); !strings.Contains(html, ">Join us</a>") ||
		!strings.Contains(html, "mailto:help@acme.example") {
		t.Errorf("prints %s, want text with %q, text with %q", html, ">Join us</a>", "mailto:help@acme.example")
	}
	if code, _, stderr := w.run("config", "check"); code != exitOK {
		t.Errorf("exits with an error, want 0: %s", stderr)
	}
}
