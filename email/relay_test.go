package email

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-smtp"

	"accountd/internal/store"
)

// post is an outbox with a relay to a mail server in a synctest bubble.
type post struct {
	*fixture
	t        *testing.T
	root     string
	server   *mailServer
	settings SMTPSettings
	chance   func() float64
	logged   safeBuffer

	stop  func() // ends outbox and relay, as their process does
	crash func() // has them do nothing more; stop waits until they know
}

// safeBuffer is safe for concurrent use.
type safeBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// seededChance returns the same numbers each time.
func seededChance() func() float64 {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(1, 2))
	return func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return random.Float64()
	}
}

// inBubble runs a test with a mail server.
func inBubble(t *testing.T, mode TLSMode, test func(t *testing.T, p *post)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &post{
			t: t, root: t.TempDir(), server: newMailServer(t, mode), chance: seededChance(),
			settings: SMTPSettings{Host: "mail.example.com", Port: 587, TLS: mode},
		}
		p.fixture = openFixture(t, p.root, 100_000, time.Now)
		p.Outbox.log = slog.New(slog.NewTextHandler(io.MultiWriter(&p.logged, t.Output()), nil))
		t.Cleanup(func() { // also where a test gives up: the server cannot end while a relay is at the other end
			if p.stop != nil {
				p.stop()
			}
		})
		test(t, p)
	})
}

// start runs the parts of a serving process.
func (p *post) start() {
	p.t.Helper()
	outbox, err := New(p.db, p.Outbox.seal, p.Outbox.settings, p.Outbox.log)
	if err != nil {
		p.t.Fatal(err)
	}
	p.Outbox = outbox
	if err := outbox.Start(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	p.run(outbox.Run)
}

// startRelay runs the relay only.
func (p *post) startRelay() {
	p.t.Helper()
	if err := p.claimSpool(); err != nil {
		p.t.Fatal(err)
	}
	p.run(func(context.Context) {})
}

// run runs the relay until stop.
func (p *post) run(beside func(context.Context)) {
	p.t.Helper()
	outbox := p.Outbox
	relay := NewRelay(outbox, p.settings)
	relay.dial, relay.roots, relay.chance = p.server.dial, p.server.roots, p.chance
	ctx, cancel := context.WithCancel(p.t.Context())
	var running sync.WaitGroup
	running.Go(func() { beside(ctx) })
	running.Go(func() { relay.Run(ctx) })
	p.crash = func() {
		cancel()
		p.server.cut()
	}
	p.stop = func() {
		cancel()
		running.Wait()
		p.stop = nil
	}
}

// mail sends a mail in a transaction, as an operation does.
func (p *post) mail(to string) {
	p.t.Helper()
	if err := p.send(p.t, Mail{Kind: NoticePasswordChanged, To: to, User: ada}, nil); err != nil {
		p.t.Fatal(err)
	}
}

func (p *post) script(fn func(at event) error) { p.server.do(func() { p.server.script = fn }) }

// taken counts the mails that the server accepted for an address.
func (p *post) taken(to string) (n int) {
	p.server.do(func() { n = len(p.server.accepted[to]) })
	return n
}

func (p *post) list() []Queued {
	p.t.Helper()
	queue, err := OpenQueue(p.dir)
	if err != nil {
		p.t.Fatal(err)
	}
	list, err := queue.List()
	if err != nil {
		p.t.Fatal(err)
	}
	return list
}

// in lists the files in a directory of the spool.
func (p *post) in(sub string) []string {
	p.t.Helper()
	entries, err := os.ReadDir(filepath.Join(p.dir, sub))
	if err != nil {
		p.t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// empty fails the test if a mail or a state of one is left.
func (p *post) empty() {
	p.t.Helper()
	for _, sub := range []string{"tmp", "new", "retry", "failed"} {
		if names := p.in(sub); len(names) != 0 {
			p.t.Errorf("%s: got %q left, want nothing", sub, names)
		}
	}
}

func TestRelayDelivers(t *testing.T) {
	t.Parallel()
	for _, mode := range []TLSMode{StartTLS, ImplicitTLS, NoTLS} {
		for _, login := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, login %t", mode, login), func(t *testing.T) {
				inBubble(t, mode, func(t *testing.T, p *post) {
					if login && mode == NoTLS {
						p.settings.Host = "localhost"
					}
					if login {
						p.settings.Username, p.settings.PasswordFile = "accountd", filepath.Join(p.root, "password")
						if err := os.WriteFile(p.settings.PasswordFile, []byte(serverPassword+"\n"),
							0o600); err != nil {
							t.Fatal(err)
						}
					}
					p.start()
					for i := range 5 {
						p.mail(fmt.Sprintf("ada%d@example.com", i))
					}
					raw := p.spooled(t)
					time.Sleep(3 * time.Second)
					p.empty()
					if len(p.server.messages) != 5 {
						t.Fatalf("got the mails %q, want 5", p.server.messages)
					}
					for _, want := range raw {
						if !slices.Contains(p.server.messages, want) ||
							!strings.HasPrefix(want, "Auto-Submitted: auto-generated\r\n") {
							t.Errorf("got no message %.300q, want it with Auto-Submitted", want)
						}
					}
					if p.server.dials > maxConnections {
						t.Errorf("got %d connections for 5 mails, want at most %d", p.server.dials, maxConnections)
					}
				})
			})
		}
	}
}

// write writes a file to new.
func (p *post) write(name, text string) {
	p.t.Helper()
	// The relay may scan at any moment: it must not see a part of the file.
	half := filepath.Join(p.dir, name)
	err := errors.Join(os.WriteFile(half, []byte(text), 0o600), os.Rename(half, p.spool.newPath(name)))
	if err != nil {
		p.t.Fatal(err)
	}
}

// letter is a complete mail to an address.
func letter(to string) string {
	return "From: <accounts@example.org>\r\nTo: <" + to + ">\r\nMessage-ID: <" + to +
		">\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nhello\r\n"
}

// TestRelayWaitsForTheSpool: what an earlier process left is not delivered while it could not be deleted.
func TestRelayWaitsForTheSpool(t *testing.T) {
	t.Parallel()
	inBubble(t, NoTLS, func(t *testing.T, p *post) {
		failed := filepath.Join(p.dir, "failed")
		if err := os.Rename(failed, failed+"-gone"); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(failed, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		p.write(fileName(time.Now()), letter("ada@example.com"))
		p.start()
		time.Sleep(time.Minute)
		if p.Healthy() == nil || p.taken("ada@example.com") != 0 || len(p.in("new")) != 1 {
			t.Fatalf("got healthy %v, %d sent, %q left; want an error, 0, one", p.Healthy(), p.taken("ada@example.com"),
				p.in("new"))
		}
		if err := os.Remove(failed); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if p.Healthy() != nil || p.taken("ada@example.com") != 1 {
			t.Errorf("got healthy %v, %d sent; want no error, 1", p.Healthy(), p.taken("ada@example.com"))
		}
		p.empty()
	})
}

// TestRelayLeavesUnsettled: a mail whose row is still in the outbox is not sent, as a crash could publish it again.
func TestRelayLeavesUnsettled(t *testing.T) {
	t.Parallel()
	inBubble(t, NoTLS, func(t *testing.T, p *post) {
		p.startRelay()
		name := fileName(time.Now())
		var id int64
		err := p.db.Write(t.Context(), func(tx *store.Tx) (err error) {
			id, err = insertRow(t.Context(), tx, name, []byte("sealed"))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		p.write(name, letter("ada@example.com"))
		time.Sleep(time.Minute)
		if p.taken("ada@example.com") != 0 {
			t.Fatal("while its row is in the outbox: got it sent, want it kept")
		}
		if err := p.db.Write(t.Context(), func(tx *store.Tx) error {
			return deleteRows(t.Context(), tx, []int64{id})
		}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if p.taken("ada@example.com") != 1 {
			t.Error("after its row is deleted: got it kept, want it sent")
		}
		p.empty()
	})
}

// TestRelayRetries: a refused mail is retried after one, two, four minutes, ± 20 %.
func TestRelayRetries(t *testing.T) {
	t.Parallel()
	inBubble(t, StartTLS, func(t *testing.T, p *post) {
		var tries []time.Time
		p.script(func(at event) error {
			if at.step != "rcpt" {
				return nil
			}
			tries = append(tries, time.Now())
			if at.n < 5 {
				return errLater
			}
			return nil
		})
		p.start()
		p.mail("ada@example.com")
		time.Sleep(30 * time.Second)
		want := Queued{To: "<ada@example.com>", Attempts: 1, Error: "RCPT TO: 451 4.3.0 try later: check the address"}
		list := p.list()
		if len(list) != 1 || list[0].To != want.To || list[0].Attempts != 1 ||
			!strings.HasPrefix(list[0].Error, want.Error) ||
			list[0].Next.Before(time.Now()) ||
			list[0].Subject != "Your password on Acme has been changed" || list[0].Failed {
			t.Errorf("got the list %+v, want one mail to %s with one attempt and %q", list, want.To, want.Error)
		}
		time.Sleep(time.Hour)
		p.empty()
		if len(tries) != 5 || p.taken("ada@example.com") != 1 {
			t.Fatalf("got %d attempts, %d taken; want 5, 1", len(tries), p.taken("ada@example.com"))
		}
		for i := range 4 {
			wait, middle := tries[i+1].Sub(tries[i]), firstBackoff<<i
			if wait < middle*8/10 || wait > middle*12/10+2*scanInterval {
				t.Errorf("after attempt %d: got a wait of %v, want about %v", i+1, wait, middle)
			}
		}
	})
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		attempts int
		chance   float64
		want     time.Duration
	}{{1, 0, 48 * time.Second}, {1, 0.5, time.Minute}, {1, 1, 72 * time.Second}, {3, 0.5, 4 * time.Minute},
		{9, 0.5, longestWait}, {1_000_000, 1, longestWait * 12 / 10}} {
		if got := backoff(firstBackoff, longestWait, test.attempts,
			test.chance); got.Round(time.Millisecond) != test.want {
			t.Errorf("backoff after %d attempts, chance %v: %v, want %v", test.attempts, test.chance, got, test.want)
		}
	}
}

// TestRelayGivesUp: an undeliverable mail is moved to failed with its reason and delays no other.
func TestRelayGivesUp(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"rcpt", "data"} {
		t.Run(step, func(t *testing.T) {
			inBubble(t, StartTLS, func(t *testing.T, p *post) {
				p.script(func(at event) error {
					if at.step == step && local(at.to) == "bad" {
						return errNever
					}
					return nil
				})
				p.start()
				p.mail("bad@example.com")
				p.mail("ada@example.com")
				time.Sleep(3 * time.Second)
				if p.taken("ada@example.com") != 1 || p.taken("bad@example.com") != 0 {
					t.Errorf("got taken %d, bad taken %d; want 1, 0", p.taken("ada@example.com"),
						p.taken("bad@example.com"))
				}
				failed := p.in("failed")
				if len(failed) != 2 || failed[1] != filepath.Base(p.spool.reasonPath(failed[0])) ||
					len(p.in("new"))+len(p.in("retry")) != 0 {
					t.Fatalf("got %q in failed, want one mail and its reason", failed)
				}
				list := p.list()
				if len(list) != 1 || !list[0].Failed || !strings.Contains(list[0].Error, "550 5.1.1 no such user") {
					t.Errorf("got the list %+v, want one failed mail with the refusal", list)
				}
				// Until the address exists.
				p.script(func(event) error { return nil })
				queue, err := OpenQueue(p.dir)
				if err != nil {
					t.Fatal(err)
				}
				if err := queue.Retry(strings.TrimSuffix(failed[0], ".eml"), time.Now()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(3 * time.Second)
				if p.taken("bad@example.com") != 1 {
					t.Errorf("after a retry: got taken %d times, want 1", p.taken("bad@example.com"))
				}
				p.empty()
			})
		})
	}
}

// TestRelayFiles: foreign files in the spool are ignored or given up, and links are never followed.
func TestRelayFiles(t *testing.T) {
	t.Parallel()
	inBubble(t, NoTLS, func(t *testing.T, p *post) {
		secret := filepath.Join(p.root, "secret")
		if err := os.WriteFile(secret, []byte(letter("thief@example.com")), 0o600); err != nil {
			t.Fatal(err)
		}
		name := func() string { return fileName(time.Now()) }
		left := []string{"letter.eml", "README", ".hidden.eml", name() + ".part"}
		for _, file := range left {
			p.write(file, letter("thief@example.com"))
		}
		link, dir := name(), name()
		if err := os.Symlink(secret, p.spool.newPath(link)); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(p.spool.newPath(dir), "deeper"), 0o700); err != nil {
			t.Fatal(err)
		}
		left = append(left, link, dir)
		bad := map[string]string{}
		for reason, text := range map[string]string{
			"the file is empty\n":   "",
			"the file is no mail: ": "\x00\x01",
			"the file has 2 headers To, and not one\n": "To: <b@example.com>\r\n" +
				letter("a@example.com"),
			"the file has 0 headers Message-Id, and not one\n": "From: <a@example.com>\r\nTo: <a@example.com>\r\n\r\n",
			"the file has the header Bcc, which accountd's mails do not have\n": "Bcc: <b@example.com>\r\n" +
				letter("a@example.com"),
			"the file has no usable address in its header To\n": letter("a@example.com>, <b@example.com"),
			"the file is larger than 8388608 bytes\n":           letter("a@example.com") + strings.Repeat("x", maxMail),
			"the file has waited for more than 5 days\n":        letter("late@example.com"),
		} {
			file := name()
			if strings.Contains(reason, "5 days") {
				file = fileName(time.Now().Add(-maxAge - time.Second))
			}
			p.write(file, text)
			bad[file] = reason
		}
		almost := fileName(time.Now().Add(-maxAge + time.Minute))
		p.write(almost, letter("almost@example.com"))
		// its mail is gone
		if err := p.spool.saveRetry(fileName(time.Now()), retry{Attempts: 1, next: time.Now()}); err != nil {
			t.Fatal(err)
		}
		p.start()
		p.mail("ada@example.com")
		time.Sleep(10 * time.Second)
		slices.Sort(left)
		if got := p.in("new"); !slices.Equal(got, left) || len(p.in("retry")) != 0 {
			t.Errorf("left in new: %q, want %q; in retry: %q", got, left, p.in("retry"))
		}
		if len(p.server.messages) != 2 || p.taken("ada@example.com") != 1 || p.taken("almost@example.com") != 1 {
			t.Errorf("got the mails %v, want one each to ada and almost", p.server.accepted)
		}
		for file, reason := range bad {
			got, err := os.ReadFile(p.spool.reasonPath(file))
			if err != nil || !strings.HasPrefix(string(got), reason) {
				t.Errorf("%q, %v, want %q", got, err, reason)
			}
			if _, err := os.Lstat(filepath.Join(p.dir, "failed", file)); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestRelayServerTrouble: while the server fails, no attempts of mails are counted, the backoff grows, one line is
// logged, the outbox is healthy, and the list shows error and remedy.
func TestRelayServerTrouble(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		mode  TLSMode
		setUp func(p *post)
		mend  func(p *post)
		want  string // in the list
	}{
		{"down", StartTLS, func(p *post) { p.server.down = true },
			func(p *post) { p.server.do(func() { p.server.down = false }) },
			"connect: connection refused: check that a mail server listens on mail.example.com:587"},
		{"no STARTTLS", NoTLS, func(p *post) { p.settings.TLS = StartTLS }, nil,
			`STARTTLS: the server does not offer it: use the server's port for submission (587), or set ` +
				`email.smtp.tls = "implicit"`},
		{"TLS refused", StartTLS, func(p *post) { p.settings.TLS = ImplicitTLS }, nil,
			`TLS: no answer in time: the server does not begin with TLS on this port`},
		{"another certificate", StartTLS, func(p *post) { p.settings.Host = "mail.example.org" }, nil,
			"write the name that the server's certificate is for into email.smtp.host"},
		{"unknown issuer", StartTLS, func(p *post) { p.server.roots = nil }, nil,
			"make this machine trust who issued it"},
		{"wrong password", StartTLS, func(p *post) {
			p.settings.Username, p.settings.PasswordFile = "accountd", filepath.Join(p.root, "password")
			if err := os.WriteFile(p.settings.PasswordFile, []byte("wrong\n"), 0o600); err != nil {
				p.t.Fatal(err)
			}
		}, func(p *post) {
			if err := os.WriteFile(p.settings.PasswordFile, []byte(serverPassword), 0o600); err != nil {
				p.t.Fatal(err)
			}
		}, "AUTH: 535 5.7.8 wrong password: check email.smtp.username and the password in email.smtp.password_file"},
		{"greeting", StartTLS, func(p *post) {
			p.server.script = func(at event) error {
				if at.step == "greeting" {
					return &smtp.SMTPError{Code: 421, Message: "busy"}
				}
				return nil
			}
		}, func(p *post) { p.script(func(event) error { return nil }) }, "421"},
		{"sender", StartTLS, func(p *post) {
			p.server.script = func(at event) error {
				if at.step == "mail" {
					return errNever
				}
				return nil
			}
		}, func(p *post) { p.script(func(event) error { return nil }) },
			"MAIL FROM: 550 5.1.1 no such user: set email.from to an address that this server may send for"},
		{"stalls", StartTLS, func(p *post) {
			p.server.script = func(at event) error {
				if at.step == "mail" {
					time.Sleep(time.Hour)
				}
				return nil
			}
		}, func(p *post) { p.script(func(event) error { return nil }) },
			"MAIL FROM: no answer in time: the connection broke off"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, test.mode, func(t *testing.T, p *post) {
				test.setUp(p)
				p.start()
				for i := range 4 {
					p.mail(fmt.Sprintf("ada%d@example.com", i))
				}
				time.Sleep(30*time.Minute + time.Second/2) // not when the relay looks itself
				list := p.list()
				if len(list) != 4 {
					t.Fatalf("got the list %+v, want 4 mails", list)
				}
				for _, m := range list {
					if !strings.Contains(m.Error, test.want) || m.Attempts != 0 || m.Failed {
						t.Errorf("got %+v, want no attempts and the error %q", m, test.want)
					}
				}
				if err := p.Healthy(); err != nil {
					t.Errorf("Healthy: got %v, want no error", err)
				}
				if p.server.dials > 60 {
					t.Errorf("got %d connections in half an hour, want at most 60", p.server.dials)
				}
				if n := strings.Count(p.logged.String(), "mail cannot be delivered"); n != 1 {
					t.Errorf("got %d log entries, want 1:\n%s", n, &p.logged)
				}
				if test.mend == nil {
					return
				}
				test.mend(p)
				// An operator need not wait for it.
				queue, err := OpenQueue(p.dir)
				if err != nil {
					t.Fatal(err)
				}
				if n, err := queue.RetryAll(time.Now()); n != 4 || err != nil {
					t.Fatalf("RetryAll: got %d, %v; want 4", n, err)
				}
				time.Sleep(5 * time.Second)
				p.empty()
				if len(p.server.messages) != 4 || !strings.Contains(p.logged.String(), "mail is delivered again") {
					t.Errorf("got %d mails, want 4 and a log entry about delivery", len(p.server.messages))
				}
			})
		})
	}
}

// TestRelayForgetsServer: a retry that an operator writes while the server recovers does not remain.
func TestRelayForgetsServer(t *testing.T) {
	t.Parallel()
	inBubble(t, StartTLS, func(t *testing.T, p *post) {
		p.start()
		if err := p.spool.saveRetry(serverRetry, retry{Attempts: 3, Error: "as it was", next: time.Now()}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		p.empty()
		p.mail("ada@example.com")
		time.Sleep(2 * time.Second)
		p.empty()
		if len(p.server.messages) != 1 {
			t.Errorf("got %d mails, want 1", len(p.server.messages))
		}
	})
}
