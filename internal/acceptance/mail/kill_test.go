//go:build unix

package mail_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/mail"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"accountd/internal/servertest"
)

// mailSink is a mail server that accepts every mail, and calls reached before it answers each step of a client.
type mailSink struct {
	addr string

	mu      sync.Mutex
	reached func(step string)   // guarded by mu
	taken   map[string][]string // guarded by mu; recipient → the Message-IDs of what was taken for it
}

func newMailSink(t *testing.T) *mailSink {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &mailSink{addr: listener.Addr().String(), reached: func(string) {}, taken: map[string][]string{}}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				s.serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	return s
}

// serve answers one client until the connection ends.
func (s *mailSink) serve(conn net.Conn) {
	in, to := textproto.NewReader(bufio.NewReader(conn)), ""
	answer := func(step, text string) {
		s.mu.Lock()
		reached := s.reached
		s.mu.Unlock()
		reached(step)
		_, _ = io.WriteString(conn, text+"\r\n") // whoever went does not read it
	}
	answer("greeting", "220 sink")
	for {
		line, err := in.ReadLine()
		if err != nil {
			return
		}
		switch verb := strings.ToUpper(strings.Fields(line + " ?")[0]); verb {
		case "RCPT":
			to = strings.Trim(strings.TrimPrefix(line[len(verb):], " TO:"), "<>")
			answer(verb, "250 ok")
		case "DATA":
			answer(verb, "354 go on")
			raw, err := io.ReadAll(in.DotReader())
			if err != nil {
				return
			}
			id := "no mail"
			if message, err := mail.ReadMessage(bytes.NewReader(raw)); err == nil {
				id = message.Header.Get("Message-ID")
			}
			s.mu.Lock()
			s.taken[to] = append(s.taken[to], id)
			s.mu.Unlock()
			answer("taken", "250 ok")
		case "QUIT":
			answer(verb, "221 bye")
			return
		default:
			answer(verb, "250 ok")
		}
	}
}

func (s *mailSink) onStep(reached func(step string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reached = reached
}

// of returns the Message-IDs of the mails for a recipient, and whether there were others.
func (s *mailSink) of(to string) (ids []string, others bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.taken[to]), len(s.taken) > 1 || len(s.taken) == 1 && s.taken[to] == nil
}

// env are the settings for delivery to the sink.
func (s *mailSink) env() []string {
	_, port, _ := net.SplitHostPort(s.addr)
	return append([]string{"ACCOUNTD_EMAIL_SMTP_HOST=127.0.0.1", "ACCOUNTD_EMAIL_SMTP_TLS=none",
		"ACCOUNTD_EMAIL_SMTP_PORT=" + port}, servertest.CheapHashing...)
}

const (
	mailedTo  = "ada@example.com"
	mailSpell = "quiet-otter-42"
)

// mailOutcome is the state of one mail after its server was killed.
type mailOutcome struct {
	acknowledged, committed bool
	mails                   int
}

// afterKill starts the server twice more and checks the promises. An acknowledged registration exists. A
// registration has its mail at least once, with one Message-ID; without one there is no mail. No file is left over.
func afterKill(t *testing.T, sink *mailSink, dataDir string, acknowledged bool) mailOutcome {
	t.Helper()
	out := mailOutcome{acknowledged: acknowledged}
	sink.onStep(func(string) {})
	server := servertest.Start(t, dataDir, sink.env()...)
	session, err := server.Login(http.DefaultClient, "ada", mailSpell)
	if err != nil {
		t.Fatal(err)
	}
	out.committed = session.Success
	// where it lies since before the server was ready
	server.Await(t, func() bool { return len(filesIn(t, dataDir, "new")) == 0 })
	if err := server.Stop(); err != nil {
		t.Errorf("SIGTERM: got %v, want no error\n%s", err, server.Log())
	}
	ids, others := sink.of(mailedTo)
	out.mails = len(ids)
	switch {
	case acknowledged && !out.committed:
		t.Error("got no account of an acknowledged registration, want one")
	case out.committed != (len(ids) > 0):
		t.Errorf("got %d mails, want some %t as the registration was committed", len(ids), out.committed)
	case len(ids) > 2 || len(slices.Compact(ids)) > 1 || others:
		t.Errorf("got the mails %q taken, and for others %t; want one id at most twice, and none for others", ids,
			others)
	}
	for _, sub := range []string{"tmp", "new", "retry", "failed"} {
		if left := filesIn(t, dataDir, sub); len(left) != 0 {
			t.Errorf("%s: got %q left, want nothing\n%s", sub, left, server.Log())
		}
	}
	// What is still in the outbox would be published now.
	if err := servertest.Cheap(t, dataDir).Stop(); err != nil {
		t.Error(err)
	}
	if left := filesIn(t, dataDir, "new"); len(left) != 0 {
		t.Errorf("the outbox: got %q left, want nothing", left)
	}
	return out
}

// filesIn returns the file names in a directory of the spool.
func filesIn(t *testing.T, dataDir, sub string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dataDir, "spool", sub))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// TestSecurityMailKilledBySMTP kills the server at each step of SMTP. A mail is delivered twice only if the mail
// server had accepted it before.
func TestSecurityMailKilledBySMTP(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		step string
		want int
	}{{"greeting", 1}, {"EHLO", 1}, {"MAIL", 1}, {"RCPT", 1}, {"DATA", 1}, {"taken", 2}, {"QUIT", 1}} {
		t.Run(test.step, func(t *testing.T) {
			t.Parallel()
			sink, dataDir := newMailSink(t), filepath.Join(t.TempDir(), "data")
			server := servertest.Start(t, dataDir, sink.env()...)
			var once sync.Once
			sink.onStep(func(step string) {
				if step == test.step {
					once.Do(server.Kill)
				}
			})
			session, err := server.Register(http.DefaultClient, "ada", mailSpell)
			if err != nil || !session.Success {
				t.Fatalf("got %+v, %v; want success", session, err)
			}
			_ = server.Wait() // "signal: killed"
			if out := afterKill(t, sink, dataDir, true); out.mails != test.want {
				t.Errorf("%d mails, want %d", out.mails, test.want)
			}
		})
	}
}
