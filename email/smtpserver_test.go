package email

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// mailServer is a mail server in this process that follows a script. Its connections are pipes, which use the clock
// of a synctest bubble, also for deadlines.
type mailServer struct {
	roots *x509.CertPool
	conns chan net.Conn
	done  chan struct{}
	smtp  *smtp.Server

	mu       sync.Mutex
	script   func(at event) error // guarded by mu; what happens instead of success
	down     bool                 // guarded by mu; connections are refused
	dials    int                  // guarded by mu
	clients  []net.Conn           // guarded by mu; all there have been
	reached  map[string]int       // guarded by mu; step and recipient → how often
	accepted map[string][]string  // guarded by mu; recipient → the Message-IDs that were taken
	messages []string             // guarded by mu; what was taken, in order
}

// event is a step of a client. At "accepted" the message has been accepted.
type event struct {
	step, to string
	n        int // how often it has come to it with this recipient, this time included
}

var (
	errCut      = errors.New("cut the connection")
	errLater    = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "try later"}
	errNever    = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	errPassword = &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "wrong password"}
)

const serverPassword = "quiet-otter-42"

func newMailServer(t *testing.T, mode TLSMode) *mailServer {
	t.Helper()
	certificate, roots := newCertificate(t)
	encryption := &tls.Config{Certificates: []tls.Certificate{certificate},
		SessionTicketsDisabled: true} // a pipe has no buffer for tickets
	m := &mailServer{
		roots: roots, conns: make(chan net.Conn), done: make(chan struct{}), script: func(event) error { return nil },
		reached: map[string]int{}, accepted: map[string][]string{},
	}
	m.smtp = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		if err := m.come("greeting", "", c.Conn()); err != nil {
			return nil, err
		}
		return &mailSession{server: m, conn: c.Conn()}, nil
	}))
	m.smtp.Domain = "mail.example.com"
	m.smtp.ErrorLog = log.New(t.Output(), "", 0)
	m.smtp.AllowInsecureAuth = mode == NoTLS
	var listener net.Listener = m
	switch mode {
	case StartTLS:
		m.smtp.TLSConfig = encryption
	case ImplicitTLS:
		listener = tls.NewListener(m, encryption)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = m.smtp.Serve(listener) })
	t.Cleanup(func() {
		_ = m.smtp.Close()
		serving.Wait()
		time.Sleep(2 * time.Hour) // for scripts that stall, of the bubble's time
	})
	return m
}

func newCertificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"mail.example.com"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA:     true, BasicConstraintsValid: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	parsed, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, roots
}

// Accept, Close and Addr make it its own listener.
func (m *mailServer) Accept() (net.Conn, error) {
	select {
	case conn := <-m.conns:
		return conn, nil
	case <-m.done:
		return nil, net.ErrClosed
	}
}

func (m *mailServer) Close() error {
	close(m.done)
	return nil
}

func (m *mailServer) Addr() net.Addr { return &net.UnixAddr{Name: "mail", Net: "pipe"} }

// dial is the dialer for a relay.
func (m *mailServer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	m.mu.Lock()
	m.dials++
	down := m.down
	m.mu.Unlock()
	if down {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("connection refused")}
	}
	client, server := net.Pipe()
	m.do(func() { m.clients = append(m.clients, client) })
	select {
	case m.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (m *mailServer) do(fn func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fn()
}

// cut closes all connections.
func (m *mailServer) cut() {
	m.do(func() {
		for _, conn := range m.clients {
			_ = conn.Close()
		}
	})
}

// come asks the script for the result of a step.
func (m *mailServer) come(step, to string, conn net.Conn) error {
	m.mu.Lock()
	m.reached[step+" "+to]++
	at := event{step, to, m.reached[step+" "+to]}
	script := m.script
	m.mu.Unlock()
	err := script(at)
	if errors.Is(err, errCut) {
		_ = conn.Close()
	}
	return err
}

type mailSession struct {
	server *mailServer
	conn   net.Conn
	to     string
}

func (s *mailSession) Reset()        { s.to = "" }
func (s *mailSession) Logout() error { return nil }

func (s *mailSession) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if username != "accountd" || password != serverPassword {
			return errPassword
		}
		return nil
	}), nil
}

func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	if from != "accounts@example.org" {
		return &smtp.SMTPError{Code: 550, Message: "not your address: " + from}
	}
	return s.server.come("mail", "", s.conn)
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return s.server.come("rcpt", to, s.conn)
}

func (s *mailSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := s.server.come("data", s.to, s.conn); err != nil {
		return err
	}
	message, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	s.server.do(func() {
		s.server.accepted[s.to] = append(s.server.accepted[s.to], message.Header.Get("Message-ID"))
		s.server.messages = append(s.server.messages, string(raw))
	})
	return s.server.come("accepted", s.to, s.conn)
}

// local is the local part of an address, which scripts use.
func local(to string) string {
	name, _, _ := strings.Cut(to, "@")
	return strings.TrimRight(name, "0123456789")
}
