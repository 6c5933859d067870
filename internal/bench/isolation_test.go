//go:build linux

package bench

import (
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"accountd/email"
	"accountd/internal/bench/dataset"
	"accountd/internal/servertest"
	"accountd/internal/store"
)

const (
	bystanders  = 16     // clients that ask for what is measured, alone and beside others
	slowClients = 64     // that let the server wait
	deepClients = 8      // that ask for pages a long way down the list
	mailClients = 16     // that ask for mails
	queuedMails = 10_000 // in the spool, and as many in the outbox: its limit by default
)

// nuisance is a load beside the measured clients.
type nuisance struct {
	name  string    // as the document has it
	by    contender // what does it
	of    contender // the bystanders, at the server that has to put up with it
	alone int       // of which bystanders on their own it is compared with
	least float64   // percent of the rate alone
	p99   float64   // milliseconds; 0: no target
}

// measureIsolation compares what clients get beside a load with what they get alone, on a file of many users.
func measureIsolation(b *testing.B, dir string, users int) {
	s := start(b, dir, users)
	me := Plan{Clients: bystanders, Requests: meRequests(b, s, bystanders)}
	alone := []contender{s.contender(b, me), s.contender(b, Plan{Clients: bystanders, Requests: refreshRequests(b, s,
		bystanders)})}
	refreshing := Plan{Clients: bystanders, Requests: refreshRequests(b, s, bystanders)}
	admin, err := s.loginAs(dataset.Admin)
	if err != nil {
		b.Fatal(err)
	}
	huge := Request{Path: "/graphql", Token: admin.Token, Body: hugePage(), Want: `"p19":{"edges":[{"cursor":`}
	deep := Request{Path: "/graphql", Token: admin.Token,
		Body: ask(fmt.Sprintf(`{ users(first: 20, offset: %d) { edges { node { id } } } }`, users*9/10), `{}`),
		Want: `"edges":[{"node":`}
	asking := func(kind string, r Request, clients int) contender {
		return itself(startWorker(b, task{Kind: kind, Plan: Plan{Address: s.address(), Clients: clients,
			Requests: []Request{r}}}))
	}
	clearing := itself(startWorker(b, task{Kind: "clear", Dir: dir}))
	full, mails := fullQueue(b)
	nuisances := []nuisance{
		{name: "me, %s beside 64 slow clients", by: asking("slow", huge, slowClients), of: s.contender(b, me),
			least: 80,
			p99:   25},
		{name: "me, %s beside a client that asks for the hugest page again and again", by: asking("load", huge, 1),
			of: s.contender(b, me), least: 50, p99: 25},
		{name: "me, %s beside 8 clients that ask for users far down the list by offset", by: asking("load", deep,
			deepClients), of: s.contender(b, me), p99: 25},
		{name: "me, %s beside a full mail queue and 16 clients that ask for mails", by: mails, of: full, least: 50,
			p99: 25},
		{name: "me, %s while old sessions are cleared", by: clearing, of: s.contender(b, me), least: 50, p99: 25},
		{name: "refreshToken, %s while old sessions are cleared", by: clearing, of: s.contender(b, refreshing),
			alone: 1,
			least: 50},
	}
	p := defaults()
	quiet, beside, theirs := make([]measured, len(alone)), make([]measured, len(nuisances)),
		make([]measured, len(nuisances))
	for _, c := range alone {
		if _, err := c.turn(p.turn/4, true); err != nil {
			b.Fatal(err)
		}
	}
	for _, n := range nuisances {
		for _, c := range []contender{n.by, n.of} {
			if _, err := c.turn(p.turn/4, true); err != nil {
				b.Fatal(err)
			}
		}
	}
	for range p.turns {
		for i, c := range alone {
			c.take(b, &quiet[i], p.turn)
		}
		for i, n := range nuisances {
			during(b, n.by, &theirs[i], p.turn, func() { n.of.take(b, &beside[i], p.turn) })
		}
	}
	for i, n := range nuisances {
		undisturbed, disturbed := alone[n.alone].side(b, quiet[n.alone]), n.of.side(b, beside[i])
		b.Logf(n.name+": %.2f ms alone, %.2f ms beside; they did %d", "p99", undisturbed.P99, disturbed.P99,
			theirs[i].done)
		fact(b, fmt.Sprintf(n.name, "p99"), Check{Value: disturbed.P99, Unit: "ms", Bound: n.p99})
		fact(b, fmt.Sprintf(n.name, "rate")+", of its rate alone", Check{Value: 100 * disturbed.Rate / undisturbed.Rate,
			Unit: "%", Bound: n.least, Least: true})
	}
	fact(b, "refreshToken, p99 alone", Check{Value: alone[1].side(b, quiet[1]).P99, Unit: "ms"})
	cleared := theirs[len(theirs)-1]
	fact(b, "old sessions cleared meanwhile", Check{Value: float64(cleared.done) / cleared.took.Seconds(), Unit: "/s"})
	fact(b, "longest time that clearing held the writer meanwhile", Check{Value: cleared.longest.Seconds() * 1000,
		Unit: "ms", Bound: 20})
}

// fullQueue starts a server with ten thousand mails in the spool, for a mail server that never answers, and a full
// outbox, for a spool that cannot be written. It returns clients that ask for me there, and others that ask for
// mails.
func fullQueue(b *testing.B) (readers, mails contender) {
	b.Helper()
	users := leastUsers
	dir := seeded(b, users)
	for range queuedMails {
		name := fmt.Sprintf("%d.%s.eml", time.Now().UnixMicro(), rand.Text()) // as its own are called
		if err := os.WriteFile(filepath.Join(dir, "spool", "new", name),
			[]byte("To: nobody@example.com\r\n\r\nHello.\r\n"),
			0o600); err != nil {
			b.Fatal(err)
		}
	}
	address, err := silent()
	if err != nil {
		b.Fatal(err)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		b.Fatal(err)
	}
	s := &server{servertest.Start(b, dir, "ACCOUNTD_EMAIL_SMTP_HOST="+host, "ACCOUNTD_EMAIL_SMTP_PORT="+port,
		"ACCOUNTD_EMAIL_SMTP_TLS=none"), users}
	_, db, _, outbox, err := open(dir)
	if err != nil {
		b.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "spool", "tmp"), filepath.Join(dir, "spool", "gone")); err != nil {
		b.Fatal(err)
	}
	for range queuedMails / 100 {
		if err := db.Write(b.Context(), func(tx *store.Tx) error {
			for range 100 {
				if err := outbox.Send(b.Context(), tx, email.Mail{Kind: email.PasswordReset, To: dataset.Email(1),
					User: email.User{Username: dataset.Username(1)}, Token: "token"}); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	var requests []Request
	for i := range users {
		requests = append(requests, Request{Path: "/graphql", Want: `"email_fail"`,
			Body: ask(`mutation M($e: String!) { sendPasswordResetEmail(email: $e) { success errors } }`, `{"e":`+
				text(dataset.Email(i+1))+`}`)})
	}
	return s.contender(b, Plan{Clients: bystanders, Requests: meRequests(b, s, bystanders)}),
		s.contender(b, Plan{Clients: mailClients, Requests: requests})
}
