package receivers

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Letter is a mail that arrived.
type Letter struct {
	// Login is who sent it, and Secure says that it came by TLS.
	Login  string
	Secure bool
	From   string
	To     []string
	Text   string
}

// Mail is a mail server.
type Mail struct {
	// Port is where it listens.
	Port int

	server   *smtp.Server
	password string
	mu       sync.Mutex
	letters  []Letter
	refusal  error
}

// NewMail listens. Implicit says that TLS is spoken from the beginning; else it can be turned on. Who logs in needs the password.
func NewMail(certificate tls.Certificate, implicit bool, password string) (*Mail, error) {
	m := &Mail{password: password}
	m.server = smtp.NewServer(m)
	m.server.Domain, m.server.TLSConfig = "mail", &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("failed to listen: %w", err)
	}
	m.Port = portOf(listener.Addr())
	if implicit {
		listener = tls.NewListener(listener, m.server.TLSConfig)
	}
	go func() { _ = m.server.Serve(listener) }()
	return m, nil
}

// Close ends it.
func (m *Mail) Close() { _ = m.server.Close() }

// Refuses says what recipients are answered from now on. Nil: they are taken.
func (m *Mail) Refuses(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refusal = err
}

// Letters are those that have arrived.
func (m *Mail) Letters() []Letter {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Letter{}, m.letters...)
}

// NewSession implements smtp.Backend.
func (m *Mail) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &counter{office: m, conn: c}, nil
}

// counter serves one client.
type counter struct {
	office *Mail
	conn   *smtp.Conn
	letter Letter
}

func (*counter) AuthMechanisms() []string { return []string{sasl.Plain} }

func (c *counter) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if password != c.office.password {
			return errors.New("it is not " + password)
		}
		c.letter.Login = username
		return nil
	}), nil
}

func (c *counter) Mail(from string, _ *smtp.MailOptions) error {
	c.letter.From = from
	return nil
}

func (c *counter) Rcpt(to string, _ *smtp.RcptOptions) error {
	c.letter.To = append(c.letter.To, to)
	c.office.mu.Lock()
	defer c.office.mu.Unlock()
	return c.office.refusal
}

func (c *counter) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	_, c.letter.Secure = c.conn.TLSConnectionState()
	c.letter.Text = string(text)
	c.office.mu.Lock()
	defer c.office.mu.Unlock()
	c.office.letters = append(c.office.letters, c.letter)
	return err
}

func (c *counter) Reset() { c.letter.To = nil }

func (*counter) Logout() error { return nil }
