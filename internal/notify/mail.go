package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/mail"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// email sends one mail to one address.
func (c *call) email(ctx context.Context, e *v1alpha1.EmailChannel) error {
	letter, err := c.letter(e)
	if err != nil {
		return &FinalError{err}
	}
	password := ""
	if e.PasswordSecret != nil {
		if password, err = c.secretFor(ctx, e.PasswordSecret, e.Host); err != nil {
			return err
		}
	}
	client, err := c.mailServer(ctx, e)
	if err != nil {
		return mailFailed(e, err)
	}
	defer func() { _ = client.Close() }()
	if err := login(client, e, password); err != nil {
		return mailFailed(e, err)
	}
	if err := client.SendMail(letter.from, []string{letter.to}, bytes.NewReader(letter.text)); err != nil {
		return mailFailed(e, err)
	}
	// What goes wrong after the server has taken it, such as while saying goodbye, is no reason to send it again.
	_ = client.Quit()
	return nil
}

// mailFailed says what a mail server did not do. What it refuses for good is not tried again.
func mailFailed(e *v1alpha1.EmailChannel, err error) error {
	failed := fmt.Errorf("failed to send by %s: %w", e.Host, err)
	if refused, ok := errors.AsType[*smtp.SMTPError](err); ok && refused.Code >= http.StatusInternalServerError {
		return &FinalError{failed}
	}
	return failed
}

// login tells the server who sends, only ever behind TLS: the schema sees to that.
func login(client *smtp.Client, e *v1alpha1.EmailChannel, password string) error {
	if e.PasswordSecret == nil {
		return nil
	}
	if !client.SupportsAuth(sasl.Plain) && client.SupportsAuth(sasl.Login) {
		return client.Auth(sasl.NewLoginClient(e.Username, password))
	}
	return client.Auth(sasl.NewPlainClient("", e.Username, password))
}

// letter is a mail as it is sent.
type letter struct {
	from, to string
	text     []byte
}

// letter writes the mail. The same message has the same id, so that a mailbox shows it once.
func (c *call) letter(e *v1alpha1.EmailChannel) (*letter, error) {
	m := c.message
	from, err := mail.ParseAddress(e.From)
	if err != nil {
		return nil, fmt.Errorf("failed to write as %s: %w", e.From, err)
	}
	to, err := mail.ParseAddress(m.Address)
	if err != nil {
		return nil, fmt.Errorf("failed to write to somebody: %w", err)
	}
	out := &letter{from: from.Address, to: to.Address}
	var text bytes.Buffer
	for _, header := range [][2]string{
		{"Date", c.now.Format(time.RFC1123Z)},
		{"Message-ID", "<" + m.ID + "." + m.Channel.Name + "@signoff>"},
		{"From", folded(from.String())}, {"To", folded(to.String())},
		// Whatever is no plain text is encoded, so that no header can follow from it.
		{"Subject", folded(mime.QEncoding.Encode("utf-8", m.Title))},
		{"Auto-Submitted", "auto-generated"},
		{"MIME-Version", "1.0"}, {"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "quoted-printable"},
	} {
		_, _ = fmt.Fprintf(&text, "%s: %s\r\n", header[0], header[1])
	}
	text.WriteString("\r\n")
	body := quotedprintable.NewWriter(&text)
	if _, err := body.Write([]byte(m.Text)); err != nil {
		return nil, fmt.Errorf("failed to write the text: %w", err)
	}
	if err := body.Close(); err != nil {
		return nil, fmt.Errorf("failed to write the text: %w", err)
	}
	out.text = text.Bytes()
	return out, nil
}

// folded puts each encoded word on a line of its own: a title of 200 letters that are not Latin takes more than the 998 octets that a line may have, and
// a server refuses it.
func folded(header string) string { return strings.ReplaceAll(header, "?= =?", "?=\r\n =?") }

// maxMail is how many bytes a mail server may say.
const maxMail = 256 << 10

// bounded is a connection to a server that may say only so much: the library reads lines of any length, and any number of them.
type bounded struct {
	net.Conn

	left int
}

// Read implements net.Conn.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, fmt.Errorf("it said more than %d bytes", maxMail)
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// mailServer connects to the server. The connection ends with the context, whatever deadlines the library sets.
func (c *call) mailServer(ctx context.Context, e *v1alpha1.EmailChannel) (*smtp.Client, error) {
	dial, err := c.Egress.Dialer(e.Host, uint16(e.Port), e.Security != v1alpha1.MailPlain) //nolint:gosec // the schema bounds it
	if err != nil {
		return nil, err
	}
	trust := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: e.Host}
	if e.CABundle != "" {
		trust.RootCAs = x509.NewCertPool()
		trust.RootCAs.AppendCertsFromPEM([]byte(e.CABundle))
	}
	dialled, err := dial(ctx, "tcp", net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port))))
	if err != nil {
		return nil, err
	}
	connection := net.Conn(&bounded{dialled, maxMail})
	context.AfterFunc(ctx, func() { _ = connection.Close() })
	client, err := greeted(ctx, connection, e.Security, trust)
	if err != nil {
		_ = connection.Close()
	}
	return client, err
}

// greeted begins to speak with a server, behind TLS unless the channel says that there is none.
func greeted(ctx context.Context, connection net.Conn, security v1alpha1.MailSecurity, trust *tls.Config) (*smtp.Client, error) {
	switch security {
	case v1alpha1.MailTLS:
		secure := tls.Client(connection, trust)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		connection = secure
	case v1alpha1.MailPlain:
	default:
		return smtp.NewClientStartTLS(connection, trust)
	}
	client := smtp.NewClient(connection)
	return client, client.Hello("signoff")
}
