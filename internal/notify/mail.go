package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"

	"github.com/wneessen/go-mail"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// email sends one mail to one address.
func (c *call) email(ctx context.Context, e *v1alpha1.EmailChannel) error {
	letter, err := c.letter(e)
	if err != nil {
		return &FinalError{err}
	}
	options, err := c.mailOptions(ctx, e)
	if err != nil {
		return err
	}
	client, err := mail.NewClient(e.Host, options...)
	if err != nil {
		return fmt.Errorf("failed to prepare the mail server: %w", err)
	}
	// What goes wrong after the server has taken it, such as while saying goodbye, is no reason to send it again.
	if err := client.DialAndSendWithContext(ctx, letter); err != nil && !letter.IsDelivered() {
		failed := fmt.Errorf("failed to send by %s: %w", e.Host, err)
		if refused, ok := errors.AsType[*mail.SendError](err); ok && !refused.IsTemp() && refused.ErrorCode() >= 500 {
			return &FinalError{failed}
		}
		return failed
	}
	return nil
}

// letter writes the mail. The same message has the same id, so that a mailbox shows it once.
func (c *call) letter(e *v1alpha1.EmailChannel) (*mail.Msg, error) {
	m := c.message
	letter := mail.NewMsg()
	if err := letter.From(e.From); err != nil {
		return nil, fmt.Errorf("failed to write as %s: %w", e.From, err)
	}
	if err := letter.To(m.Address); err != nil {
		return nil, fmt.Errorf("failed to write to somebody: %w", err)
	}
	letter.Subject(m.Title)
	letter.SetDateWithValue(c.now)
	letter.SetMessageIDWithValue(m.ID + "." + m.Channel.Name + "@signoff")
	letter.SetGenHeader("Auto-Submitted", "auto-generated")
	letter.SetBodyString(mail.TypeTextPlain, m.Text)
	return letter, nil
}

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

// dialer dials the mail server. The connection ends with the context: each command that the library sends sets a deadline of its own.
func (c *call) dialer(ctx context.Context, e *v1alpha1.EmailChannel) (mail.DialContextFunc, error) {
	dial, err := c.Egress.Dialer(e.Host, uint16(e.Port), e.Security != v1alpha1.MailPlain) //nolint:gosec // the schema bounds it
	if err != nil {
		return nil, err
	}
	return func(dialing context.Context, network, address string) (net.Conn, error) {
		connection, err := dial(dialing, network, address)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { _ = connection.Close() })
		return &bounded{connection, maxMail}, nil
	}, nil
}

func (c *call) mailOptions(ctx context.Context, e *v1alpha1.EmailChannel) ([]mail.Option, error) {
	trust := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: e.Host}
	if e.CABundle != "" {
		trust.RootCAs = x509.NewCertPool()
		trust.RootCAs.AppendCertsFromPEM([]byte(e.CABundle))
	}
	dial, err := c.dialer(ctx, e)
	if err != nil {
		return nil, err
	}
	login := mail.SMTPAuthAutoDiscover
	options := []mail.Option{mail.WithPort(int(e.Port)), mail.WithTimeout(sendTimeout), mail.WithTLSConfig(trust), mail.WithHELO("signoff")}
	switch e.Security {
	case v1alpha1.MailTLS:
		// The library leaves TLS to whoever dials, and then offers a password only where it is told to.
		login = mail.SMTPAuthPlain
		plain := dial
		dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			connection, err := plain(ctx, network, address)
			if err != nil {
				return nil, err
			}
			secure := tls.Client(connection, trust)
			if err := secure.HandshakeContext(ctx); err != nil {
				_ = connection.Close()
				return nil, err
			}
			return secure, nil
		}
		options = append(options, mail.WithSSL())
	case v1alpha1.MailPlain:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	options = append(options, mail.WithDialContextFunc(dial))
	if e.PasswordSecret == nil {
		return options, nil
	}
	password, err := c.secretFor(ctx, e.PasswordSecret, e.Host)
	if err != nil {
		return nil, err
	}
	return append(options, mail.WithSMTPAuth(login), mail.WithUsername(e.Username), mail.WithPassword(password)), nil
}
