package email

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"
)

// TLSMode is the encryption of the connection to the mail server.
type TLSMode string

// The modes.
const (
	StartTLS    TLSMode = "starttls" // STARTTLS, required before anything is sent (RFC 3207)
	ImplicitTLS TLSMode = "implicit" // from the first byte (RFC 8314)
	NoTLS       TLSMode = "none"
)

// SMTPSettings describe the mail server. The caller has checked that no password is sent in clear over a network.
type SMTPSettings struct {
	Host         string  `toml:"email.smtp.host"`                     // "": no delivery, messages stay in the spool
	Port         int     `toml:"email.smtp.port" min:"0" max:"65535"` // 0 in config.toml: the port of TLS
	Username     string  `toml:"email.smtp.username"`                 // "": no authentication
	PasswordFile string  `toml:"email.smtp.password_file"`            // one line, mode 0600
	TLS          TLSMode `toml:"email.smtp.tls" one:"starttls,implicit,none"`
}

func (s SMTPSettings) address() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// maxPassword bounds the password file, in bytes.
const maxPassword = 4096

// Check validates the password file.
func (s SMTPSettings) Check() error {
	_, err := s.password()
	return err
}

// password is read for each connection, so that it can be changed without a restart.
func (s SMTPSettings) password() (string, error) {
	if s.Username == "" {
		return "", nil
	}
	wrong := func(what, remedy string) error {
		return fmt.Errorf("email.smtp.password_file %s %s: %s", s.PasswordFile, what, remedy)
	}
	info, err := os.Stat(s.PasswordFile)
	switch {
	case err != nil:
		return "", fmt.Errorf("email.smtp.password_file: %w: write the password into this file, mode 0600", err)
	case !info.Mode().IsRegular() || info.Size() > maxPassword:
		return "", wrong("is no file with a password", "write the password into it, in one line")
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return "", wrong(fmt.Sprintf("can be read by others (mode %#o)", info.Mode().Perm()),
			"chmod 600 it, and change the password if others have seen it")
	}
	raw, err := os.ReadFile(s.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("email.smtp.password_file: %w", err)
	}
	password := strings.TrimRight(string(raw), "\r\n")
	if password == "" || strings.ContainsAny(password, "\r\n\x00") {
		return "", wrong("is not one line", "write the password into it, and nothing else")
	}
	return password, nil
}

// step is a step of the SMTP session, as it is named in error messages.
type step string

const (
	stepConnect  step = "connect"
	stepTLS      step = "TLS"
	stepGreeting step = "greeting"
	stepHello    step = "EHLO"
	stepStartTLS step = "STARTTLS"
	stepAuth     step = "AUTH"
	stepMail     step = "MAIL FROM"
	stepRcpt     step = "RCPT TO"
	stepData     step = "DATA"
	stepAccept   step = "the reply to the message"
)

// The times of a step. Most are shorter than RFC 5321, section 4.5.3.2, asks for. After the message was sent, giving up
// would duplicate a message that the server accepts late.
const (
	connectTime = 20 * time.Second // also of TLS
	stepTime    = 2 * time.Minute
	acceptTime  = 10 * time.Minute
	quitTime    = time.Second
	stopTime    = 5 * time.Second // of the current message after the relay's context has ended
)

// deliveryError is the failure of a step. Its text has one line.
type deliveryError struct {
	step step
	err  error
}

func (e *deliveryError) Error() string {
	text := e.err.Error()
	reply, isReply := errors.AsType[*textproto.Error](e.err)
	timeout, _ := errors.AsType[net.Error](e.err)
	network, isNetwork := errors.AsType[*net.OpError](e.err)
	switch {
	case isReply:
		text = fmt.Sprintf("%d %s", reply.Code, reply.Msg)
	case timeout != nil && timeout.Timeout():
		text = "no answer in time"
	case isNetwork:
		text = network.Err.Error() // without the local port, which differs each time
	}
	return string(e.step) + ": " + shortReply(text)
}

func (e *deliveryError) Unwrap() error { return e.err }

// code is the reply code of the server; 0 without a reply.
func (e *deliveryError) code() int {
	if reply, ok := errors.AsType[*textproto.Error](e.err); ok {
		return reply.Code
	}
	return 0
}

// ofMessage reports whether the failure concerns this message only. Other failures would meet every message: the
// server is unreachable, refuses the client or the sender, or requires another kind of connection (530, 538).
func (e *deliveryError) ofMessage() bool {
	switch e.step {
	case stepRcpt, stepData, stepAccept:
		return e.code() != 530 && e.code() != 538
	default:
		return false
	}
}

// usable reports whether the connection can take another message.
func (e *deliveryError) usable() bool { return e.ofMessage() && e.code() >= 400 && e.code() != 421 }

// shortReply is the text of a reply in one line of at most 300 characters.
func shortReply(text string) string { return truncate(oneLine(text), 300) }

// connection is an SMTP session that is ready for messages. It is for one goroutine.
type connection struct {
	client    *smtp.Client
	conn      net.Conn
	step      step // the current one
	stopWatch func() bool
}

// fixedDeadlines ignores deadlines that others set. crypto/tls would allow itself five more seconds for closing.
type fixedDeadlines struct{ net.Conn }

func (fixedDeadlines) SetDeadline(time.Time) error      { return nil }
func (fixedDeadlines) SetReadDeadline(time.Time) error  { return nil }
func (fixedDeadlines) SetWriteDeadline(time.Time) error { return nil }

// dialer is the type of net.Dialer.DialContext.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// connect makes a connection that is ready for messages. It fails with a *deliveryError or an error of the password
// file. After ctx ends, the message that is being sent has stopTime.
func (s SMTPSettings) connect(ctx context.Context, dial dialer, roots *x509.CertPool) (*connection, error) {
	password, err := s.password()
	if err != nil {
		return nil, err
	}
	dialing, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	conn, err := dial(dialing, "tcp", s.address())
	if err != nil {
		return nil, &deliveryError{stepConnect, err}
	}
	c := &connection{conn: conn}
	c.stopWatch = context.AfterFunc(ctx, func() { time.AfterFunc(stopTime, func() { _ = conn.Close() }) })
	if err := c.open(s, password, roots); err != nil {
		c.close()
		return nil, &deliveryError{c.step, err}
	}
	return c, nil
}

func (c *connection) open(s SMTPSettings, password string, roots *x509.CertPool) (err error) {
	encryption := &tls.Config{ServerName: s.Host, RootCAs: roots, MinVersion: tls.VersionTLS12}
	var conn net.Conn = fixedDeadlines{c.conn}
	if s.TLS == ImplicitTLS {
		c.begin(stepTLS, connectTime)
		encrypted := tls.Client(conn, encryption)
		if err := encrypted.Handshake(); err != nil {
			return err
		}
		conn = encrypted
	}
	c.begin(stepGreeting, stepTime)
	if c.client, err = smtp.NewClient(conn, s.Host); err != nil {
		return err
	}
	// Addresses are ASCII. With SMTPUTF8, servers would refuse mails for recipients whose server lacks it.
	c.client.SkipSMTPUTF8(true)
	c.begin(stepHello, stepTime)
	if err := c.client.Hello(helloName()); err != nil {
		return err
	}
	if s.TLS == StartTLS {
		c.begin(stepStartTLS, stepTime)
		if offered, _ := c.client.Extension("STARTTLS"); !offered {
			return errNoStartTLS
		}
		if err := c.client.StartTLS(encryption); err != nil {
			return err
		}
	}
	if s.Username == "" {
		return nil
	}
	c.begin(stepAuth, stepTime)
	return c.authenticate(s, password)
}

var (
	errNoStartTLS = errors.New("the server does not offer it")
	errNoAuth     = errors.New("the server offers neither PLAIN nor LOGIN on this connection")
)

func (c *connection) authenticate(s SMTPSettings, password string) error {
	_, offered := c.client.Extension("AUTH")
	inClear := s.TLS == NoTLS // only for a server on this machine
	for mechanism := range strings.FieldsSeq(strings.ToUpper(offered)) {
		switch mechanism {
		case "PLAIN":
			return c.client.Auth(smtp.PlainAuth("", s.Username, password, s.Host, inClear))
		case "LOGIN":
			return c.client.Auth(smtp.LoginAuth(s.Username, password, s.Host, inClear))
		}
	}
	return errNoAuth
}

// helloName is the host name for EHLO.
func helloName() string {
	name, err := os.Hostname()
	if err != nil || name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "localhost"
	}
	return name
}

// send sends one message unchanged. On success the server has accepted responsibility for it. It fails with a
// *deliveryError.
func (c *connection) send(from, to string, raw []byte) error {
	if err := c.transmit(from, to, raw); err != nil {
		return &deliveryError{c.step, err}
	}
	return nil
}

func (c *connection) transmit(from, to string, raw []byte) error {
	c.begin(stepMail, stepTime)
	if err := c.client.Mail("<" + from + ">"); err != nil {
		return err
	}
	c.begin(stepRcpt, stepTime)
	if err := c.client.Rcpt("<" + to + ">"); err != nil {
		return err
	}
	c.begin(stepData, stepTime)
	body, err := c.client.Data()
	if err != nil {
		return err
	}
	if _, err := body.Write(raw); err != nil {
		return err
	}
	c.begin(stepAccept, acceptTime)
	return body.Close()
}

// reset prepares the connection for another message after a refused one.
func (c *connection) reset() error {
	c.begin(stepMail, stepTime)
	return c.client.Reset()
}

// quit ends the session by QUIT, within quitTime.
func (c *connection) quit() {
	c.setDeadline(quitTime)
	_ = c.client.Quit() // every message has its reply already
	c.close()
}

func (c *connection) close() {
	c.stopWatch()
	_ = c.conn.Close() // no data is lost
}

// begin starts a step, which has to end within d.
func (c *connection) begin(s step, d time.Duration) {
	c.step = s
	c.setDeadline(d)
}

// setDeadline uses the clock of sockets. It fails only on closed connections, like the next call.
func (c *connection) setDeadline(d time.Duration) { _ = c.conn.SetDeadline(time.Now().Add(d)) }

// explain is an error of connect or send with what an operator can do about it.
func (s SMTPSettings) explain(err error) string {
	failed, ok := errors.AsType[*deliveryError](err)
	if !ok {
		return err.Error() // of the password file: it says that
	}
	return err.Error() + ": " + s.remedy(failed)
}

func (s SMTPSettings) remedy(failed *deliveryError) string {
	_, isDNS := errors.AsType[*net.DNSError](failed)
	_, isCertificate := errors.AsType[*tls.CertificateVerificationError](failed)
	_, isRecord := errors.AsType[tls.RecordHeaderError](failed)
	switch code := failed.code(); {
	case isDNS:
		return "check email.smtp.host: this name cannot be looked up"
	case isCertificate:
		return "write the name that the server's certificate is for into email.smtp.host, " +
			"or make this machine trust who issued it"
	case isRecord || failed.step == stepTLS:
		return `the server does not begin with TLS on this port: set email.smtp.tls = "starttls", or port 465`
	case failed.step == stepConnect || failed.step == stepGreeting && code == 0:
		return fmt.Sprintf("check that a mail server listens on %s and that no firewall is between; "+
			"port 465 wants email.smtp.tls = %q", s.address(), ImplicitTLS)
	case errors.Is(failed, errNoStartTLS):
		return `use the server's port for submission (587), or set email.smtp.tls = "implicit" (465); ` +
			`"none" only for a server on this machine`
	case errors.Is(failed, errNoAuth):
		return "use the server's port for submission, or leave email.smtp.username empty if it wants no login"
	case failed.step == stepAuth && code != 0:
		return "check email.smtp.username and the password in email.smtp.password_file; " +
			"some providers want a password made for apps"
	case code == 530 || code == 538:
		return "set email.smtp.username and email.smtp.password_file, and a TLS that the server wants"
	case failed.step == stepMail && code != 0:
		return "set email.from to an address that this server may send for"
	case failed.step == stepRcpt && code != 0:
		return "check the address; if every address is refused, the server wants a login: email.smtp.username"
	case code/100 == 4:
		return "the server asks to try again later"
	case code/100 == 5:
		return "the server does not want this message: ask its operator, with what it replied"
	default:
		return "the connection broke off: try again, and ask the server's operator if it happens again"
	}
}
