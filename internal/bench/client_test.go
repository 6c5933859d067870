package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	patience  = 30 * time.Second // for one answer
	maxAnswer = 4 << 20          // bytes
	pause     = 5 * time.Second  // at most, whatever Retry-After says
)

// client is one connection.
type client struct {
	address  string
	conn     net.Conn // nil: not connected yet
	in       *bufio.Reader
	number   int
	requests []prepared
	next     int // of requests
	sent     int
	mayBusy  bool

	out  []byte // the request, in memory that is used again
	body []byte // the answer's, likewise

	times []time.Duration // of right answers, of this turn
	busy  int             // likewise
}

// prepared is a Request as the client sends it.
type prepared struct {
	Request
	fixed []byte // the whole of it, if nothing in it changes
	want  []byte
	after []byte // Next
}

func newClient(p Plan, number int) *client {
	c := &client{address: p.Address, number: number, mayBusy: p.Busy}
	for i := number % len(p.Requests); i < len(p.Requests); i += p.Clients {
		r := prepared{Request: p.Requests[i], want: []byte(p.Requests[i].Want), after: []byte(p.Requests[i].Next)}
		if !strings.Contains(r.Body, "{n}") && !strings.Contains(r.Body, "{chain}") {
			r.fixed = c.write(nil, &r, r.Body)
		}
		c.requests = append(c.requests, r)
	}
	return c
}

func (c *client) connect() error {
	if c.conn != nil {
		return nil
	}
	conn, err := net.DialTimeout("tcp", c.address, patience)
	if err != nil {
		return err
	}
	c.conn, c.in = conn, bufio.NewReaderSize(conn, 16<<10)
	return nil
}

func (c *client) close() {
	if c.conn != nil {
		_ = c.conn.Close() // nothing is under way
	}
}

// ask sends requests one after the other until the deadline, at least one, and waits for the last response.
func (c *client) ask(deadline time.Time) error {
	for start := time.Now(); ; {
		retry, err := c.once()
		if err != nil {
			return err
		}
		now := time.Now()
		if retry > 0 {
			c.busy++
			time.Sleep(min(retry, pause, deadline.Sub(now)))
			now = time.Now()
		} else {
			c.times = append(c.times, now.Sub(start))
		}
		if !now.Before(deadline) {
			return nil
		}
		start = now
	}
}

// once sends a request and checks the response. retry is the time of Retry-After if the server was busy.
func (c *client) once() (retry time.Duration, err error) {
	r := &c.requests[c.next]
	c.next = (c.next + 1) % len(c.requests)
	c.sent++
	out := r.fixed
	if out == nil {
		name := strconv.Itoa(c.number) + "x" + strconv.Itoa(c.sent)
		c.out = c.write(c.out[:0], r, strings.NewReplacer("{n}", name, "{chain}", r.Chain).Replace(r.Body))
		out = c.out
	}
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	if _, err := c.conn.Write(out); err != nil {
		return 0, err
	}
	status, retry, err := c.read()
	if err != nil {
		return 0, err
	}
	if status == http.StatusServiceUnavailable && c.mayBusy && retry > 0 {
		return retry, nil
	}
	if status != http.StatusOK || !bytes.Contains(c.body, r.want) {
		return 0, fmt.Errorf("%s answers %d %.300q, which should be 200 and contain %q; asked was %.300q", r.Path,
			status,
			c.body, r.want, r.Body)
	}
	if r.Next != "" {
		_, rest, found := bytes.Cut(c.body, r.after)
		value, _, closed := bytes.Cut(rest, []byte(`"`))
		if !found || !closed {
			return 0, fmt.Errorf("%s answers %.300q, which has nothing after %q", r.Path, c.body, r.Next)
		}
		r.Chain = string(value)
	}
	return 0, nil
}

// write appends the request with a body to out.
func (c *client) write(out []byte, r *prepared, body string) []byte {
	out = fmt.Appendf(out, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n",
		r.Path, c.address, len(body))
	if r.Token != "" {
		out = fmt.Appendf(out, "Authorization: JWT %s\r\n", r.Token)
	}
	return append(append(out, "\r\n"...), body...)
}

// read reads a response with Content-Length into c.body. retry is the time of Retry-After, or 0.
func (c *client) read() (status int, retry time.Duration, err error) {
	line, err := c.line()
	if err != nil {
		return 0, 0, err
	}
	version, rest, _ := bytes.Cut(line, []byte(" "))
	code, _, _ := bytes.Cut(rest, []byte(" "))
	if status, err = strconv.Atoi(string(code)); err != nil || string(version) != "HTTP/1.1" {
		return 0, 0, fmt.Errorf("an answer begins with %.100q", line)
	}
	length := -1
	for {
		if line, err = c.line(); err != nil {
			return 0, 0, err
		}
		if len(line) == 0 {
			break
		}
		if value, ok := header(line, "Content-Length:"); ok {
			if length, err = strconv.Atoi(value); err != nil {
				return 0, 0, err
			}
		} else if value, ok := header(line, "Retry-After:"); ok {
			seconds, err := strconv.Atoi(value)
			if err != nil {
				return 0, 0, err
			}
			retry = time.Duration(seconds) * time.Second
		}
	}
	if length < 0 || length > maxAnswer {
		return 0, 0, fmt.Errorf("an answer of status %d has no Content-Length, or one over %d bytes", status, maxAnswer)
	}
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	c.body = c.body[:length]
	_, err = io.ReadFull(c.in, c.body)
	return status, retry, err
}

// line reads a line of the header without its end. It is valid until the next call.
func (c *client) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the server has closed the connection")
		}
		return nil, err
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

// header returns the value of a header line if it has the name, which ends with a colon.
func header(line []byte, name string) (string, bool) {
	if len(line) < len(name) || !bytes.EqualFold(line[:len(name)], []byte(name)) {
		return "", false
	}
	return string(bytes.TrimSpace(line[len(name):])), true
}
