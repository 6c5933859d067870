package cli

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// mailbox is a mail server on this machine that takes mail for everybody but nobody@.
type mailbox struct {
	addr    *net.TCPAddr
	arrived chan string // as many mails as fit in

	mu    sync.Mutex
	mails []string // guarded by mu
}

func newMailbox(t *testing.T) *mailbox {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	box := &mailbox{addr: listener.Addr().(*net.TCPAddr), arrived: make(chan string, 10)}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return boxSession{box}, nil }))
	server.AllowInsecureAuth = true
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		_ = server.Close()
		serving.Wait()
	})
	return box
}

type boxSession struct{ box *mailbox }

func (boxSession) Reset()                               {}
func (boxSession) Logout() error                        { return nil }
func (boxSession) AuthMechanisms() []string             { return []string{sasl.Plain} }
func (boxSession) Mail(string, *smtp.MailOptions) error { return nil }

func (boxSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, _, password string) error {
		if password != "quiet-otter-42" {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "go away"}
		}
		return nil
	}), nil
}

func (boxSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasPrefix(to, "nobody@") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	}
	return nil
}

func (s boxSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	s.box.mails = append(s.box.mails, string(raw))
	select {
	case s.box.arrived <- string(raw):
	default:
	}
	return err
}

const (
	waiting = "1799999000000000.AAAAAAAAAAAAAAAAAAAAAAAAAA.eml"
	failed  = "1799999000000001.BBBBBBBBBBBBBBBBBBBBBBBBBB.eml"
)

// spool makes a spool with a mail that waits and one that was given up.
func (w *world) spool() {
	w.t.Helper()
	w.ok("user", "add", "--username=ada", "--email=ada@example.com", "--no-password")
	for _, name := range []string{"new/" + waiting, "failed/" + failed} {
		w.write("data/spool/"+name,
			"From: <accounts@localhost>\r\nTo: <ada@example.com>\r\nSubject: "+
				"=?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nhello\r\n")
	}
	w.write("data/spool/failed/"+strings.TrimSuffix(failed, "eml")+"txt", "RCPT TO: 550 no such user\n")
}

func TestMailQueue(t *testing.T) {
	w := newWorld(t)
	if code, _, stderr := w.run("mail", "list"); code != exitFailure || !strings.Contains(stderr, "no mails here: ") ||
		!strings.Contains(stderr, "--data-dir") {
		t.Errorf("without a spool: %d, %s, want %v, text with %q, text with %q", code, stderr, exitFailure,
			"no mails here: ", "--data-dir")
	}
	w.spool()
	table := func(next string) string {
		return "NAME                                             TO                 STATE    ATTEMPTS  NEXT" +
			strings.Repeat(" ", max(2, len(next)-2)) + "ERROR\n" +
			waiting + "  <ada@example.com>  waiting  0         " + next + strings.Repeat(" ", max(2, 6-len(next))) +
			"\n" +
			failed + "  <ada@example.com>  failed   0         -" + strings.Repeat(" ", max(5, len(next)+1)) +
			"RCPT TO: 550 no such user\n"
	}
	equal(t, w.ok("mail", "list"), table("-")+
		"\nMails wait in the spool for a program of yours: there is no email.smtp.host to send "+
		"them to.\n")
	equal(t, w.ok("mail", "show", waiting),
		"From: <accounts@localhost>\r\nTo: <ada@example.com>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nhello\r\n")
	const noServer = "accountd: there is no mail server to send to: set email.smtp.host\n"
	w.fails(exitFailure, noServer, "mail", "retry", "--all")
	w.fails(exitFailure, noServer, "mail", "test", "ada@example.com")

	w.environ = append(w.environ, "ACCOUNTD_EMAIL_SMTP_HOST=smtp.example.com", "ACCOUNTD_EMAIL_FROM=a@example.com")
	equal(t, w.ok("mail", "list"), table("now"))
	usage := "accountd: mail retry takes the name of one mail, or --all\nTry accountd --help.\n"
	w.fails(exitUsage, usage, "mail", "retry")
	w.fails(exitUsage, usage, "mail", "retry", waiting, "--all")
	for _, args := range [][]string{{"show"}, {"retry"}, {"drop"}} {
		for _, name := range []string{"../../keys.json", "x", waiting[1:], ""} {
			if name == "" && args[0] == "retry" {
				continue
			}
			w.fails(exitFailure, "accountd: "+strconv.Quote(name)+
				": there is no such mail in the spool: mail list has their names\n", "mail", args[0], name)
		}
	}
	equal(t, w.ok("mail", "retry", strings.TrimSuffix(failed, ".eml")), "1 to be tried now.\n")
	var got []map[string]any
	for line := range strings.Lines(w.ok("mail", "list", "--json")) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		got = append(got, m)
	}
	if len(got) != 2 || got[0]["name"] != waiting || got[0]["next_attempt"] != nil || got[0]["subject"] != "Grüße" ||
		got[0]["made_at"] != 1_799_999_000.0 ||
		got[1]["name"] != failed || got[1]["state"] != "waiting" || got[1]["next_attempt"] != 1_800_000_000.0 ||
		got[1]["error"] != "" || got[1]["to"] != "<ada@example.com>" {
		t.Errorf("got %v, want the waiting mail, and the failed one due now", got)
	}
	equal(t, w.ok("mail", "retry", "--all"), "2 to be tried now.\n")
	equal(t, w.ok("mail", "drop", waiting), "Dropped.\n")
	equal(t, w.ok("mail", "drop", failed), "Dropped.\n")
	equal(t, w.ok("mail", "list", "--json"), "")
	for _, sub := range []string{"new", "failed", "retry", "tmp"} {
		if left, err := os.ReadDir(w.path("data/spool/" + sub)); err != nil || len(left) != 0 {
			t.Errorf("left in %s: %v, %v, want 0", sub, left, err)
		}
	}
}

func TestMailTest(t *testing.T) {
	w := newWorldHere(t)
	box := newMailbox(t)
	port := strconv.Itoa(box.addr.Port)
	w.environ = append(w.environ, "ACCOUNTD_EMAIL_SMTP_HOST=127.0.0.1", "ACCOUNTD_EMAIL_SMTP_PORT="+port)
	begin := "accountd: mail test by 127.0.0.1:" + port + " failed: "
	w.fails(exitFailure, begin+
		"STARTTLS: the server does not offer it: use the server's port for submission (587), or set email.smtp.tls "+
		"= \"implicit\" (465); \"none\" only for a server on this machine\n",
		"mail", "test", "ada@example.com")
	w.environ = append(w.environ, "ACCOUNTD_EMAIL_SMTP_TLS=none")
	equal(t, w.ok("mail", "test", "ada@example.com"), "127.0.0.1:"+port+
		" has taken a test message for ada@example.com: look whether it arrives, and not as spam.\n")
	box.mu.Lock()
	if len(box.mails) != 1 || !strings.Contains(box.mails[0], "\r\nTo: <ada@example.com>\r\n") ||
		!strings.Contains(box.mails[0], "Auto-Submitted: auto-generated\r\n") {
		t.Errorf("taken: %q, want 1, text with %q, text with %q", box.mails, "\r\nTo: <ada@example.com>\r\n",
			"Auto-Submitted: auto-generated\r\n")
	}
	box.mu.Unlock()
	w.fails(exitFailure, begin+
		"RCPT TO: 550 5.1.1 no such user: check the address; if every address is refused, the server wants a login: "+
		"email.smtp.username\n",
		"mail", "test", "nobody@example.com")
	for _, address := range []string{"Ada <ada@example.com>", "ada", "a@b@c", "a..b@example.com",
		"ada@example.com>\r\nRCPT TO:<eve@example.com", "ädä@example.com"} {
		w.fails(exitFailure, begin+strconv.Quote(address)+
			" is no address: write it without a name, and its domain in ASCII\n", "mail", "test", address)
	}
	w.environ = append(w.environ, "ACCOUNTD_EMAIL_SMTP_USERNAME=accountd", "ACCOUNTD_EMAIL_SMTP_PASSWORD_FILE=password")
	w.write("password", "wrong\n")
	w.fails(exitFailure, begin+
		"AUTH: 535 5.7.8 go away: check email.smtp.username and the password in email.smtp.password_file; some "+
		"providers want a password made for apps\n",
		"mail", "test", "ada@example.com")
	w.write("password", "quiet-otter-42\n")
	w.ok("mail", "test", "ada@example.com")
	w.environ = append(w.environ, "ACCOUNTD_EMAIL_SMTP_PORT=1")
	w.fails(exitFailure, "accountd: mail test by 127.0.0.1:1 failed: connect: connect: connection refused: check "+
		"that a mail server listens on 127.0.0.1:1 and that no firewall is between; port 465 wants email.smtp.tls = "+
		"\"implicit\"\n",
		"mail", "test", "ada@example.com")
}

// TestPasswordFile: problems of the file are reported at start, without its content.
func TestPasswordFile(t *testing.T) {
	w := newWorldHere(t)
	w.environ = append(w.environ, "ACCOUNTD_EMAIL_SMTP_HOST=127.0.0.1", "ACCOUNTD_EMAIL_SMTP_USERNAME=accountd",
		"ACCOUNTD_EMAIL_SMTP_PASSWORD_FILE=password")
	check := func(want string) {
		t.Helper()
		for _, args := range [][]string{{"config", "check"}, {"serve", "--listen=127.0.0.1:0"}} {
			code, _, stderr := w.run(args...)
			if code != exitFailure || !strings.HasSuffix(stderr, "accountd: email.smtp.password_file"+want+"\n") ||
				strings.Contains(stderr, "otter") {
				t.Errorf("%q: got exit code %d with %s, want %d with %q", args, code, stderr, exitFailure, want)
			}
		}
		if _, err := os.Stat(w.path("data")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the data directory: got %v, want none", err)
		}
	}
	check(": stat password: no such file or directory: write the password into this file, mode 0600")
	w.write("password", "\n")
	check(" password is not one line: write the password into it, and nothing else")
	w.write("password", "otter\notter\n")
	check(" password is not one line: write the password into it, and nothing else")
	w.write("password", strings.Repeat("otter", 1000))
	check(" password is no file with a password: write the password into it, in one line")
	w.write("password", "otter\n")
	if err := os.Chmod("password", 0o640); err != nil {
		t.Fatal(err)
	}
	check(" password can be read by others (mode 0640): chmod 600 it, and change the password if others have seen it")
}
