//go:build unix

package mail_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"accountd/internal/servertest"
)

// TestMailpit delivers to a real mailpit, with each kind of encryption and with a login, and follows the links of
// the delivered mails. testdata/mailpit/run builds mailpit and runs this test.
func TestMailpit(t *testing.T) {
	t.Parallel()
	binary := os.Getenv("MAILPIT")
	if binary == "" {
		t.Skip("MAILPIT names no mailpit: testdata/mailpit/run builds one")
	}
	for _, test := range []struct {
		mode string
		args []string
	}{
		{"none", []string{"--smtp-auth-allow-insecure"}},
		{"starttls", []string{"--smtp-require-starttls"}},
		{"implicit", []string{"--smtp-require-tls"}},
	} {
		t.Run(test.mode, func(t *testing.T) {
			dir := t.TempDir()
			pit := startMailpit(t, binary, dir, test.args)
			env := append(pit.env, "ACCOUNTD_EMAIL_SMTP_TLS="+test.mode,
				"ACCOUNTD_EMAIL_FROM=Söhne & Co <accounts@example.org>",
				"ACCOUNTD_EMAIL_SITE_NAME=Söhne", "ACCOUNTD_EMAIL_LINK_BASE=https://app.example.org/in")
			server := servertest.Cheap(t, filepath.Join(dir, "data"), env...)
			session, err := server.Register(http.DefaultClient, "ada", mailSpell)
			if err != nil || !session.Success {
				t.Fatalf("got %+v, %v; want success", session, err)
			}
			pit.read(t, "Activate your account on Söhne", "https://app.example.org/in/activate/", func(token string) {
				mutateOK(t, server, `mutation($token: String!) { it: verifyAccount(token: $token) { success errors } }`,
					map[string]any{"token": token})
			})
			mutateOK(t, server, `mutation { it: sendPasswordResetEmail(email: "ada@example.com") { success errors } }`,
				nil)
			pit.read(t, "Reset your password on Söhne", "https://app.example.org/in/password-reset/",
				func(token string) {
					mutateOK(t, server, `mutation($token: String!, $new: String!) { it: passwordReset(token: `+
						`$token, newPassword1: `+
						`$new, newPassword2: $new) { success errors } }`,
						map[string]any{"token": token, "new": "loud-badger-43"})
				})
			if session, err := server.Login(http.DefaultClient, "ada", "loud-badger-43"); err != nil ||
				!session.Success {
				t.Errorf("got %+v, %v; want a login", session, err)
			}
			pit.read(t, "Your password on Söhne has been changed", "", nil)

			trial := exec.Command(servertest.Binary(t), "mail", "test", "ada@example.com", "--data-dir",
				filepath.Join(dir, "data"))
			trial.Dir, trial.Env = dir, append(os.Environ(), env...)
			if out, err := trial.CombinedOutput(); err != nil {
				t.Fatalf("mail test: got %v, want no error: %s", err, out)
			}
			pit.read(t, "Söhne: a test of accountd's mail", "", nil)
			server.Await(t, func() bool { return len(filesIn(t, server.DataDir, "new")) == 0 })
		})
	}
}

// mutateOK sends a mutation, aliased as it, that has to succeed.
func mutateOK(t *testing.T, server *servertest.Server, query string, variables map[string]any) {
	t.Helper()
	var out servertest.Session
	answer, err := server.Ask(http.DefaultClient, "", query, variables)
	if err == nil {
		err = answer.Field("it", &out)
	}
	if err != nil || !out.Success {
		t.Fatalf("%s: got %s, %v; want success", query, out.Errors, err)
	}
}

// mailpit is a running mailpit.
type mailpit struct {
	api string   // of its messages
	env []string // has accountd deliver to it
	log *bytes.Buffer
}

func startMailpit(t *testing.T, binary, dir string, args []string) *mailpit {
	t.Helper()
	web, port := servertest.FreePort(t), servertest.FreePort(t)
	p := &mailpit{api: "http://127.0.0.1:" + web + "/api/v1/", log: &bytes.Buffer{}}
	password := filepath.Join(dir, "password")
	logins := filepath.Join(dir, "logins")
	if err := errors.Join(os.WriteFile(password, []byte(mailSpell+"\n"), 0o600),
		os.WriteFile(logins, []byte("accountd:"+mailSpell+"\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	certificate, key := writeCertificate(t, dir)
	args = append([]string{"--listen", "127.0.0.1:" + web, "--smtp", "127.0.0.1:" + port, "--database",
		filepath.Join(dir, "mailpit.db"), "--disable-version-check",
		"--smtp-disable-rdns", "--smtp-strict-rfc-headers", "--smtp-auth-file", logins}, args...)
	if !slices.Contains(args, "--smtp-auth-allow-insecure") { // with a certificate it insists on STARTTLS
		args = append(args, "--smtp-tls-cert", certificate, "--smtp-tls-key", key)
	}
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Stdout, cmd.Stderr = p.log, p.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended already
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(p.log.String())
		}
	})
	p.env = []string{"ACCOUNTD_EMAIL_SMTP_HOST=127.0.0.1", "ACCOUNTD_EMAIL_SMTP_PORT=" + port,
		"ACCOUNTD_EMAIL_SMTP_USERNAME=accountd",
		"ACCOUNTD_EMAIL_SMTP_PASSWORD_FILE=" + password, "SSL_CERT_FILE=" + certificate}
	p.wait(t, func() bool {
		resp, err := http.Get("http://127.0.0.1:" + web + "/readyz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return p
}

func (p *mailpit) wait(t *testing.T, done func() bool) {
	t.Helper()
	look, tooLong := time.NewTicker(50*time.Millisecond), time.After(time.Minute)
	defer look.Stop()
	for !done() {
		select {
		case <-look.C:
		case <-tooLong:
			t.Fatal("got no such event in time, want one")
		}
	}
}

// writeCertificate makes a self-signed certificate for 127.0.0.1.
func writeCertificate(t *testing.T, dir string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour),
		NotAfter:  time.Now().Add(time.Hour),
		IsCA:      true, BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(dir, "certificate.pem"), filepath.Join(dir, "key.pem")
	err = errors.Join(os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}), 0o600),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return certificate, key
}

// ask decodes a response of mailpit's API.
func (p *mailpit) ask(t *testing.T, path string, out any) {
	t.Helper()
	resp, err := http.Get(p.api + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(raw, out)
	}
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: got %d, %v: %s; want 200", path, resp.StatusCode, err, raw)
	}
}

// read waits for the mail with a subject, checks all of it, and follows its link.
func (p *mailpit) read(t *testing.T, subject, link string, follow func(token string)) {
	t.Helper()
	var list struct {
		Messages []struct{ ID, Subject, MessageID string }
	}
	id := ""
	p.wait(t, func() bool {
		p.ask(t, "messages", &list)
		for _, m := range list.Messages {
			if m.Subject == subject {
				id = m.ID
			}
		}
		return id != ""
	})
	var got struct {
		From, ReturnPath any
		To, Cc, Bcc      []mail.Address
		MessageID        string
		Text, HTML       string
		Attachments      []any
	}
	p.ask(t, "message/"+id, &got)
	from := map[string]any{"Name": "Söhne & Co", "Address": "accounts@example.org"}
	if diff := cmp.Diff(from, got.From); diff != "" || got.ReturnPath != "accounts@example.org" {
		t.Errorf("%s: returns to %v, from (-want +got):\n%s", subject, got.ReturnPath, diff)
	}
	if diff := cmp.Diff([]mail.Address{{Address: "ada@example.com"}}, got.To); diff != "" || len(got.Cc)+len(got.Bcc)+
		len(got.Attachments) != 0 {
		t.Errorf("%s: %+v, to (-want +got):\n%s", subject, got, diff)
	}
	var header map[string][]string
	p.ask(t, "message/"+id+"/headers", &header)
	for _, added := range []string{"Received", "Return-Path"} {
		delete(header, added)
	}
	want := map[string]string{"Auto-Submitted": "auto-generated", "Mime-Version": "1.0", "To": "<ada@example.com>",
		"Message-Id": "<" + got.MessageID + ">"}
	for _, name := range []string{"From", "Subject", "Date", "Content-Type"} {
		want[name] = strings.Join(header[name], "; ")
	}
	flat := map[string]string{}
	for name, values := range header {
		if len(values) != 1 {
			t.Errorf("%s: got %d headers %s, want 1", subject, len(values), name)
		}
		flat[name] = strings.Join(values, "; ")
	}
	delete(flat, "Content-Transfer-Encoding") // of the message without HTML
	if diff := cmp.Diff(want, flat); diff != "" ||
		!regexp.MustCompile(`^[0-9]+\.[A-Z2-7]{26}@example\.org$`).MatchString(got.MessageID) {
		t.Errorf("%s: header (-want +got):\n%s", subject, diff)
	}
	if link == "" {
		return
	}
	token := regexp.MustCompile(`\n` + regexp.QuoteMeta(link) + `(\S+)\r?\n`).FindStringSubmatch(got.Text)
	if token == nil || strings.Count(got.HTML, `href="`+link+token[1]+`"`) != 2 {
		t.Fatalf("%s: got no link in the text or not two in the HTML, want them:\n%s\n%s", subject, got.Text, got.HTML)
	}
	for _, text := range []string{got.Text, got.HTML} {
		if !strings.Contains(text, "Hello ada,") || !strings.Contains(text, "Söhne") {
			t.Errorf("%s: got\n%s\nwant the greeting and the site's name", subject, text)
		}
	}
	follow(token[1])
}
