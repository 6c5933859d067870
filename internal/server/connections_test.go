package server

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// knock opens a connection and writes text, which need not be a whole request.
func (s *site) knock(t *testing.T, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
	return conn
}

// answered reads an answer, and says whether there was one: otherwise the server has closed the connection.
func answered(t *testing.T, conn net.Conn) bool {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode == 200
}

const live = "GET /livez HTTP/1.1\nHost: x\n\n"

// TestConnections: of too many connections those go that wait for their client the longest, never one with a request.
func TestConnections(t *testing.T) {
	entered, leave, idles := make(chan bool), make(chan bool), make(chan bool, 100)
	s := newQuietSite(t, func(s *Settings) {
		s.Connections = 3
		s.Plain = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { entered <- true; <-leave })
	})
	changed := s.http.ConnState
	s.http.ConnState = func(conn net.Conn, state http.ConnState) {
		changed(conn, state)
		if state == http.StateIdle {
			idles <- true
		}
	}
	s.begin(t)
	ask := func() net.Conn {
		t.Helper()
		conn := s.knock(t, live)
		if !answered(t, conn) {
			t.Fatal("got no answer, want one")
		}
		<-idles // the client may know of the answer before the books do
		return conn
	}
	closed := func(what string, conn net.Conn) {
		t.Helper()
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(make([]byte, 1)); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: got %d bytes, %v, want a closed connection", what, n, err)
		}
	}
	working := s.knock(t, "GET /graphql HTTP/1.1\nHost: localhost\n\n")
	<-entered
	idle := ask()
	slow := s.knock(t, "GET /livez HTTP/1.1\nHost:")
	ask()
	closed("the connection that had waited longest", idle)
	ask()
	closed("the connection with half a header", slow)
	for range 2 { // with the first, as many requests as connections
		s.knock(t, "GET /graphql HTTP/1.1\nHost: localhost\n\n")
		<-entered
	}
	closed("one more than may be", s.knock(t, live))
	close(leave)
	if !answered(t, working) {
		t.Error("a connection with a request: got it closed, want an answer")
	}
	<-idles
	ask()
}

// closing records that it is closed.
type closing struct {
	net.Conn
	closed int
}

func (c *closing) Close() error {
	c.closed++
	return nil
}

// TestConnectionStates: a connection counts as closed once, also if the server reports further states of it.
func TestConnectionStates(t *testing.T) {
	c := newConnections(1)
	first, second := &closing{}, &closing{}
	if c.changed(first, http.StateNew); first.closed > 0 {
		t.Fatal("the first connection: got it refused, want it accepted")
	}
	if c.changed(second, http.StateNew); first.closed != 1 || second.closed > 0 {
		t.Fatalf("closes the first %d times and the second %d times, want only the first", first.closed, second.closed)
	}
	for _, state := range []http.ConnState{http.StateActive, http.StateIdle, http.StateClosed} {
		if c.changed(first, state); first.closed != 1 || second.closed > 0 {
			t.Errorf("%s of a closed connection: closes the first %d times and the second %d times, want no more",
				state, first.closed, second.closed)
		}
	}
	for _, state := range []http.ConnState{http.StateActive, http.StateIdle, http.StateActive, http.StateClosed} {
		if c.changed(second, state); first.closed != 1 || second.closed > 0 {
			t.Errorf("%s: closes the first %d times and the second %d times, want no more",
				state, first.closed, second.closed)
		}
	}
	if len(c.open)+c.waiting.Len() > 0 {
		t.Errorf("got %d open and %d waiting connections, want none", len(c.open), c.waiting.Len())
	}
}

// TestSlowClients: clients that do not send a request or read a response in time are cut off.
func TestSlowClients(t *testing.T) {
	const soon = 50 * time.Millisecond
	cut := make(chan error, 1)
	s := newQuietSite(t, func(s *Settings) {
		s.Plain = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, err := io.Copy(io.Discard, r.Body)
			for i := 0; i < 1000 && err == nil; i++ {
				_, err = w.Write(make([]byte, 1<<20))
			}
			cut <- err
		})
	})
	for _, limit := range []*time.Duration{&s.http.ReadHeaderTimeout, &s.http.ReadTimeout, &s.http.WriteTimeout,
		&s.http.IdleTimeout} {
		if *limit <= 0 || *limit > 2*time.Minute {
			t.Errorf("got the timeout %s, want 0 < timeout <= 2m", *limit)
		}
		*limit = soon
	}
	s.begin(t)
	for name, text := range map[string]string{
		"nothing":           "",
		"half a header":     "GET /livez HTTP/1.1\nHost:",
		"half a body":       "POST /graphql HTTP/1.1\nHost: localhost\nContent-Length: 10\n\n{",
		"no second request": live,
		"reads nothing":     "POST /graphql HTTP/1.1\nHost: localhost\nContent-Length: 0\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			conn := s.knock(t, text)
			if strings.HasPrefix(text, "POST") {
				if err := <-cut; err == nil {
					t.Error("a slow request: got no error, want a closed connection")
				}
			}
			if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if n, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %d bytes and an open connection, want it closed", n)
			}
		})
	}
}
