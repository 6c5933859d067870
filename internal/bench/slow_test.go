//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"accountd/accounts"
	"accountd/email"
	"accountd/internal/config"
	"accountd/internal/store"
	"accountd/tokens"
)

// slow are slow clients: every second one sends a body byte by byte, the others read the first byte of a response
// and no more.
type slow struct {
	plan    Plan
	reading []net.Conn // answers on these are on their way
}

// crawl is the time between two bytes.
const crawl = 20 * time.Millisecond

// turn keeps the server waiting for d.
func (s *slow) turn(d time.Duration, _ bool) (Turn, error) {
	for len(s.reading) < s.plan.Clients/2 {
		conn, err := s.request(s.plan.Requests[0].Body)
		if err == nil {
			_, err = conn.Read(make([]byte, 1))
		}
		if err != nil {
			return Turn{}, err
		}
		s.reading = append(s.reading, conn)
	}
	start := time.Now()
	failed := make([]error, s.plan.Clients-len(s.reading))
	var running sync.WaitGroup
	for i := range failed {
		running.Go(func() { failed[i] = s.crawl(start.Add(d)) })
	}
	running.Wait()
	return Turn{Done: s.plan.Clients, Elapsed: time.Since(start)}, errors.Join(failed...)
}

// request sends the header of a request and the beginning of its body.
func (s *slow) request(body string) (net.Conn, error) {
	conn, err := net.Dial("tcp", s.plan.Address)
	if err != nil {
		return nil, err
	}
	r := s.plan.Requests[0]
	err = conn.(*net.TCPConn).SetReadBuffer(2048) // what it does not read stays the server's
	if err == nil {
		_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: "+
			"application/json\r\nAuthorization: JWT "+
			"%s\r\nContent-Length: %d\r\n\r\n%s",
			r.Path, s.plan.Address, r.Token, len(r.Body), body)
	}
	return conn, err
}

// crawl sends a request that does not get to its end.
func (s *slow) crawl(end time.Time) error {
	conn, err := s.request("")
	if conn != nil {
		defer conn.Close()
	}
	body := s.plan.Requests[0].Body
	for i := 0; err == nil && time.Now().Before(end); i++ {
		time.Sleep(crawl)
		if i < len(body)-1 {
			_, err = conn.Write([]byte{body[i]})
		}
	}
	return err
}

// clearing is a process that deletes ended sessions beside the server, as `accountd tokens clear` does.
type clearing struct {
	db       *store.DB
	accounts *accounts.Service
	longest  time.Duration
}

func newClearing(dir string) (*clearing, error) {
	c, db, keys, outbox, err := open(dir)
	if err != nil {
		return nil, err
	}
	issuer, err := tokens.New(keys, c.TokenSettings(), time.Now)
	if err != nil {
		return nil, err
	}
	svc, err := accounts.New(db, issuer, outbox, c.Accounts, slog.New(slog.DiscardHandler))
	return &clearing{db: db, accounts: svc}, err
}

// open opens a data directory beside its server, with the settings of the environment.
func open(dir string) (c *config.Config, db *store.DB, keys *tokens.Keys, outbox *email.Outbox, err error) {
	env := slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, workerVariable+
			"=")
	})
	if c, err = config.Load("", env, config.Overrides{DataDir: dir}); err != nil {
		return nil, nil, nil, nil, err
	}
	if keys, err = tokens.OpenKeys(c.KeysFile(), c.Tokens.Algorithm, time.Now); err != nil {
		return nil, nil, nil, nil, err
	}
	if db, err = store.Open(context.Background(), c.DatabaseFile(), time.Now); err != nil {
		return nil, nil, nil, nil, err
	}
	outbox, err = email.New(db, keys, c.EmailSettings(), slog.New(slog.DiscardHandler))
	return c, db, keys, outbox, err
}

// turn clears for d. Longest is for how long it has held the writer, in all turns.
func (c *clearing) turn(d time.Duration, _ bool) (Turn, error) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	cleared, err := c.accounts.ClearSessions(ctx, accounts.ClearInput{ExpiredOnly: true})
	if !errors.Is(err, context.DeadlineExceeded) {
		return Turn{}, errors.Join(err, errors.New("nothing is left to be cleared: the turns are too many"))
	}
	c.longest = max(c.longest, cleared.Longest)
	return Turn{Done: int(cleared.Sessions), Elapsed: time.Since(start), Longest: c.longest}, nil
}

// silent is a server that accepts connections and never answers.
func silent() (address string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() {
		for waiting := []net.Conn{}; ; {
			conn, err := l.Accept()
			if err != nil {
				panic(err) // nobody closes it
			}
			waiting = append(waiting, conn) // or it would be closed as garbage
		}
	}()
	return l.Addr().String(), nil
}

// hugePage asks for as much as the limits allow in one request: twenty aliases, each for a hundred users with all
// fields.
func hugePage() string {
	var query strings.Builder
	query.WriteString(`query H {`)
	for i := range 20 {
		fmt.Fprintf(&query, ` p%d: users(first: 100) { ...P }`, i)
	}
	query.WriteString(` } fragment P on UserNodeConnection { edges { cursor node { id pk username email firstName ` +
		`lastName isActive isStaff` +
		` dateJoined lastLogin verified archived secondaryEmail } } pageInfo { hasNextPage hasPreviousPage ` +
		`endCursor } }`)
	return ask(query.String(), `{}`)
}
