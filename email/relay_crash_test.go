package email

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// TestRelayKilled: whatever step the process dies at, the mail is delivered once. It is delivered twice, with one
// Message-ID, only if the reply of acceptance was lost.
func TestRelayKilled(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		step string
		want int
	}{{"greeting", 1}, {"mail", 1}, {"rcpt", 1}, {"data", 1}, {"accepted", 2}} {
		t.Run(test.step, func(t *testing.T) {
			inBubble(t, StartTLS, func(t *testing.T, p *post) {
				killed := false
				p.script(func(at event) error {
					if at.step == test.step && !killed {
						killed = true
						p.crash()
						return errCut
					}
					return nil
				})
				p.start()
				p.mail("ada@example.com")
				time.Sleep(5 * time.Second)
				p.stop()
				if names := p.in("new"); !killed || len(names) != 1 || len(p.in("retry")) != 0 {
					t.Fatalf("got killed %t, in new %q, in retry %q; want true, one mail, none", killed, names,
						p.in("retry"))
				}
				p.start()
				time.Sleep(5 * time.Second)
				p.empty()
				ids := p.server.accepted["ada@example.com"]
				if len(ids) != test.want || len(slices.Compact(ids)) != 1 {
					t.Errorf("taken: %q, want %d", ids, test.want)
				}
			})
		})
	}
}

// TestRelayKilledUnsettled: a process that dies after publishing and before the deletion of the row has sent
// nothing.
func TestRelayKilledUnsettled(t *testing.T) {
	t.Parallel()
	inBubble(t, StartTLS, func(t *testing.T, p *post) {
		if err := p.Start(t.Context()); err != nil { // and no Run, which would settle
			t.Fatal(err)
		}
		p.startRelay()
		p.mail("ada@example.com")
		time.Sleep(time.Minute)
		p.crash()
		p.stop()
		if len(p.spooled(t)) != 1 || p.rows(t) != 1 || p.taken("ada@example.com") != 0 {
			t.Fatalf("got %d mails, %d rows, taken %d times; want 1, 1, 0", len(p.spooled(t)), p.rows(t),
				p.taken("ada@example.com"))
		}
		p.start()
		time.Sleep(5 * time.Second)
		p.empty()
		if p.rows(t) != 0 || p.taken("ada@example.com") != 1 {
			t.Errorf("got %d rows, taken %d times; want 0, 1", p.rows(t), p.taken("ada@example.com"))
		}
	})
}

// TestRelayRemembers: a new process waits for the next attempt, and completes a mail that was being given up.
func TestRelayRemembers(t *testing.T) {
	t.Parallel()
	inBubble(t, StartTLS, func(t *testing.T, p *post) {
		tries := 0
		p.script(func(at event) error {
			if at.step == "rcpt" {
				tries++
				return errLater
			}
			return nil
		})
		p.start()
		p.mail("ada@example.com")
		time.Sleep(2 * time.Second)
		for range 20 {
			p.stop()
			p.start()
			time.Sleep(2 * time.Second)
		}
		if tries != 1 {
			t.Errorf("got %d attempts in 42 seconds, want 1", tries)
		}
		p.stop()
		name := p.in("new")[0]
		reason := p.spool.reasonPath(name) // written, and then killed
		if err := os.WriteFile(reason, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		p.script(func(at event) error { return map[string]error{"rcpt": errNever}[at.step] })
		p.start()
		time.Sleep(2 * time.Minute)
		text, err := os.ReadFile(reason)
		if err != nil || !strings.HasPrefix(string(text), "RCPT TO: 550 5.1.1 no such user: ") ||
			len(p.in("failed")) != 2 || len(p.in("new"))+len(p.in("retry")) != 0 {
			t.Errorf("got %q, %v, in failed %q; want the refusal in two files of failed only", text, err,
				p.in("failed"))
		}
	})
}

// TestRelayEnds: when the process ends, the mail that is being sent is completed if the server is quick, and kept
// otherwise.
func TestRelayEnds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		stall time.Duration
		want  int // mails that are still there
	}{{"quick", 2 * time.Second, 0}, {"slow", time.Minute, 1}} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, StartTLS, func(t *testing.T, p *post) {
				p.script(func(at event) error {
					if at.step == "data" {
						time.Sleep(test.stall)
					}
					return nil
				})
				p.start()
				p.mail("ada@example.com")
				time.Sleep(1500 * time.Millisecond)
				before := time.Now()
				p.stop()
				if took := time.Since(before); took > stopTime+quitTime {
					t.Errorf("got an end after %v, want at most %v", took, stopTime+quitTime)
				}
				if got := len(p.in("new")); got != test.want || len(p.in("retry")) != 0 {
					t.Errorf("%d mails left, want %d; in retry %q", got, test.want, p.in("retry"))
				}
			})
		})
	}
}

// TestRelayStalls: a server that stalls for a minute, or forever, on some mails delays no others. The relay waits
// for a slow reply to the message, because giving up would duplicate it.
func TestRelayStalls(t *testing.T) {
	t.Parallel()
	inBubble(t, StartTLS, func(t *testing.T, p *post) {
		p.script(func(at event) error {
			switch {
			case local(at.to) == "stall" && at.step == "rcpt":
				time.Sleep(10 * time.Minute)
			case local(at.to) == "slow" && at.step == "accepted":
				time.Sleep(time.Minute)
			}
			return nil
		})
		p.start()
		p.mail("slow@example.com")
		p.mail("stall1@example.com")
		p.mail("ada@example.com")
		time.Sleep(3 * time.Second)
		if p.taken("ada@example.com") != 1 {
			t.Error("the mail beside two recipients that stall: got it not taken, want it taken once")
		}
		time.Sleep(2 * time.Minute)
		if p.taken("slow@example.com") != 1 || len(p.list()) != 1 {
			t.Errorf("slow: got taken %d times, the list %+v; want 1, one mail", p.taken("slow@example.com"), p.list())
		}
		// More of them than connections. They are tried again, and again leave one for what is new.
		for i := range 9 {
			p.mail(fmt.Sprintf("stall%d@example.com", i+2))
		}
		time.Sleep(10 * time.Minute)
		for i := range 30 {
			to := fmt.Sprintf("ada%d@example.com", i)
			p.mail(to)
			time.Sleep(3 * time.Second)
			if p.taken(to) != 1 {
				t.Fatalf("%s: got it held up, want it taken: %+v", to, p.list())
			}
		}
	})
}

// TestRelayReconnects: after the server has closed a connection that delivered a mail, the next mail uses a new one
// at once.
func TestRelayReconnects(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]error{"cut": errCut, "421": &smtp.SMTPError{Code: 421, Message: "enough"}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, StartTLS, func(t *testing.T, p *post) {
				p.script(func(at event) error {
					if at.step == "mail" && at.n%2 == 0 {
						return fail
					}
					return nil
				})
				for i := range 4 {
					p.write(fileName(time.Now()), letter(fmt.Sprintf("ada%d@example.com", i)))
				}
				if err := p.claimSpool(); err != nil {
					t.Fatal(err)
				}
				relay := NewRelay(p.Outbox, p.settings)
				relay.dial, relay.roots, relay.chance = p.server.dial, p.server.roots, p.chance
				if more, err := relay.scan(); more != maxConnections || err != nil {
					t.Fatalf("scan: got %d, %v; want %d", more, err, maxConnections)
				}
				relay.work(t.Context())
				p.empty()
				if relay.server.Attempts != 0 || len(p.server.messages) != 4 {
					t.Errorf("got %d failures of the server, %d mails; want 0, 4", relay.server.Attempts,
						len(p.server.messages))
				}
			})
		})
	}
}

// TestRelayHolds: an attempt that cannot be stored still delays the mail, and the failure is logged.
func TestRelayHolds(t *testing.T) {
	t.Parallel()
	inBubble(t, NoTLS, func(t *testing.T, p *post) {
		var tries atomic.Int32
		p.script(func(at event) error {
			if at.step == "rcpt" {
				tries.Add(1)
				return errLater
			}
			return nil
		})
		p.startRelay()
		if err := os.Remove(filepath.Join(p.dir, "tmp")); err != nil {
			t.Fatal(err)
		}
		p.write(fileName(time.Now()), letter("ada@example.com"))
		time.Sleep(45 * time.Second)
		if tries.Load() != 1 || !strings.Contains(p.logged.String(), "store the next attempt of a mail") {
			t.Errorf("got %d attempts, want 1 and an error about storing the next:\n%s", tries.Load(), &p.logged)
		}
		if err := os.Mkdir(filepath.Join(p.dir, "tmp"), 0o700); err != nil {
			t.Fatal(err)
		}
		p.script(func(event) error { return nil })
		time.Sleep(time.Minute)
		if p.taken("ada@example.com") != 1 {
			t.Error("got no further attempt, want one")
		}
	})
}

// poison is the number of undeliverable mails that TestRelayPoison and TestMailHarness put first.
var poison = flag.Int("poison", 1000, "how many mails that never go out are queued first")

// promptly bounds the delivery to a working server: up to a second until the next scan, and a second more.
const promptly = 2 * time.Second

// TestRelayPoison: undeliverable mails, each of which costs the server time, come first. They do not delay a good
// mail, neither at their first attempt nor at later ones, and a good mail among them gets its turn.
func TestRelayPoison(t *testing.T) {
	t.Parallel()
	inBubble(t, NoTLS, func(t *testing.T, p *post) {
		const each = 100 * time.Millisecond
		p.script(func(at event) error {
			if local(at.to) == "poison" && at.step == "rcpt" {
				time.Sleep(each)
				return errLater
			}
			return nil
		})
		for i := range *poison {
			p.write(fileName(time.Now().Add(-time.Hour)), letter(fmt.Sprintf("poison%d@example.com", i)))
			if i == *poison/2 {
				p.write(fileName(time.Now().Add(-time.Hour)), letter("among@example.com"))
			}
		}
		good := func(when string) {
			for i := range 5 {
				to := fmt.Sprintf("%s%d@example.com", when, i)
				p.mail(to)
				time.Sleep(promptly)
				if p.taken(to) != 1 {
					t.Errorf("%s: got it held up, want it taken", to)
				}
			}
		}
		p.start()
		time.Sleep(promptly)
		good("first")
		time.Sleep(time.Duration(*poison)*each/maxConnections + 3*time.Second)
		if p.taken("among@example.com") != 1 {
			t.Error("a mail among poison: got it held up, want it taken")
		}
		good("again")
		if len(p.in("retry")) != *poison || len(p.in("new")) != *poison {
			t.Errorf("got %d in retry, %d in new; want %d each", len(p.in("retry")), len(p.in("new")), *poison)
		}
	})
}

// TestRelayRefusedForNow: temporary refusals of mails do not extend the backoff after a broken connection.
func TestRelayRefusedForNow(t *testing.T) {
	t.Parallel()
	inBubble(t, NoTLS, func(t *testing.T, p *post) {
		p.script(func(at event) error {
			switch {
			case at.step == "greeting" && at.n%2 == 1:
				return errCut
			case local(at.to) == "later" && at.step == "rcpt":
				return errLater
			}
			return nil
		})
		p.start()
		p.mail("later@example.com")
		time.Sleep(time.Hour)
		if list := p.list(); len(list) != 1 || list[0].Attempts < 5 {
			t.Fatalf("got the list %+v, want one mail with at least 5 attempts", list)
		}
		p.mail("ada@example.com")
		time.Sleep(serverBackoff*12/10 + 2*promptly)
		if p.taken("ada@example.com") != 1 {
			t.Errorf("got a mail held up, want it taken: %+v", p.list())
		}
	})
}

// TestRelayUndeletable: a delivered mail that cannot be deleted is not sent again by this process, and is deleted
// when possible.
func TestRelayUndeletable(t *testing.T) {
	t.Parallel()
	inBubble(t, NoTLS, func(t *testing.T, p *post) {
		aside := filepath.Join(p.root, "aside")
		var path string
		p.script(func(at event) error {
			if at.step != "accepted" {
				return nil
			}
			path = p.spool.newPath(p.in("new")[0])
			if err := errors.Join(os.Rename(path, aside), os.MkdirAll(filepath.Join(path, "full"), 0o700)); err != nil {
				t.Error(err)
			}
			return nil
		})
		p.start()
		p.mail("ada@example.com")
		time.Sleep(time.Minute)
		if !strings.Contains(p.logged.String(), "delete a mail that has been delivered") {
			t.Errorf("got a deleted mail, want an error in the log:\n%s", &p.logged)
		}
		if err := errors.Join(os.RemoveAll(path), os.Rename(aside, path)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		p.empty()
		if p.taken("ada@example.com") != 1 {
			t.Errorf("got the mail taken %d times, want 1", p.taken("ada@example.com"))
		}
	})
}

// TestMailHarness has mails that never go out come first, processes that are killed, a server that misbehaves in
// every way, and operations that are rolled back, and counts. Run it alone, with ten thousand of them:
//
//	go test -count=1 -run '^TestMailHarness$' -v ./email -poison 10000 | grep committed
func TestMailHarness(t *testing.T) {
	t.Parallel()
	inBubble(t, StartTLS, func(t *testing.T, p *post) {
		const seed = 7
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, seed))
		deferred, cuts := 0, 0
		mayDouble := map[string]bool{}
		p.script(func(at event) error {
			p.server.mu.Lock()
			defer p.server.mu.Unlock()
			again := at.n <= 2
			switch kind := local(at.to); {
			case at.step == "greeting" && at.n%3 == 0, // every third connection is cut
				kind == "cut" && at.step == "data" && again:
				cuts++
				return errCut
			case kind == "lost" && at.step == "accepted" && at.n == 1:
				cuts++
				mayDouble[at.to] = true
				return errCut
			case (kind == "later" && at.step == "rcpt" || kind == "full" && at.step == "data") && again:
				deferred++
				return errLater
			case kind == "forever" && at.step == "rcpt":
				return errLater
			case kind == "never" && at.step == "rcpt", kind == "spam" && at.step == "data":
				return errNever
			}
			return nil
		})
		// A third is no mail, a third is refused for good, and a third is tried again for days.
		waiting := 0
		for i := range *poison {
			text := letter(fmt.Sprintf("never%d@poison.example", i))
			switch i % 3 {
			case 0:
				text = "no mail"
			case 1:
				text = letter(fmt.Sprintf("forever%d@poison.example", i))
				waiting++
			}
			p.write(fileName(time.Now().Add(-time.Hour)), text)
		}
		kinds := []string{"ada", "ada", "ada", "later", "full", "never", "spam", "cut", "lost"}
		var committed, dead int
		refused := errors.New("rolled back")
		p.start()
		for i := range 400 {
			kind := kinds[random.IntN(len(kinds))]
			to := fmt.Sprintf("%s%d@example.com", kind, i)
			switch {
			case i%10 == 9:
				err := p.send(t, Mail{Kind: NoticePasswordChanged, To: fmt.Sprintf("ghost%d@example.com", i),
					User: ada}, refused)
				if !errors.Is(err, refused) {
					t.Fatal(err)
				}
			default:
				p.mail(to)
				committed++
				if kind == "never" || kind == "spam" {
					dead++
				}
			}
			if i%20 == 19 {
				time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
			}
			if i%50 == 49 { // killed in the middle of whatever it does
				p.server.do(func() {
					for _, name := range p.in("new") {
						if raw, err := os.ReadFile(p.spool.newPath(name)); err == nil {
							if to, err := recipient(raw); err == nil {
								mayDouble[to] = true // the answer to it may be lost
							}
						} else if !errors.Is(err, fs.ErrNotExist) {
							t.Error(err)
						}
					}
				})
				p.crash()
				p.stop()
				p.start()
			}
		}
		// what is refused twice is tried again after a minute and two more, and the server breaks off
		time.Sleep(30 * time.Minute)
		p.stop()

		var sent, duplicated, unfounded int
		for to, ids := range p.server.accepted {
			sent++
			if len(ids) > 1 {
				duplicated += len(ids) - 1
				if !mayDouble[to] || len(slices.Compact(ids)) != 1 {
					t.Errorf("%s: got the mails %q, want one, or duplicates after a crash", to, ids)
				}
			}
			if strings.HasPrefix(to, "ghost") {
				unfounded++
			}
		}
		failed := len(p.in("failed"))/2 - (*poison - waiting)
		left := len(p.in("new")) - waiting
		remembered := slices.DeleteFunc(p.in("retry"), func(name string) bool { return name == serverRetry })
		lost := committed - (sent - unfounded) - failed - left
		t.Logf("committed %d, sent %d, retried %d, cut %d, dead %d (beside %d poison), duplicated %d, lost %d, "+
			"unfounded %d",
			committed, sent, deferred, cuts, failed, *poison, duplicated, lost, unfounded)
		if lost != 0 || unfounded != 0 || failed != dead || left != 0 || len(remembered) != waiting ||
			len(p.in("tmp")) != 0 || p.rows(t) != 0 {
			t.Errorf("dead %d, want %d; in new %d, in retry %d, in tmp %d; %d rows", failed, dead, len(p.in("new")),
				len(remembered), len(p.in("tmp")), p.rows(t))
		}
		if deferred == 0 || cuts == 0 || duplicated == 0 {
			t.Errorf("got %d deferred, %d cut, %d duplicated; want some of each", deferred, cuts, duplicated)
		}
	})
}
