package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/egress"
	"github.com/signoff-dev/signoff/internal/hostcall"
	"github.com/signoff-dev/signoff/internal/retryafter"
	"github.com/signoff-dev/signoff/internal/steps"
)

// Secrets reads a key of a Secret. Host gives the host to which its value is to be sent, which the Secret must allow.
type Secrets func(ctx context.Context, key *v1alpha1.SecretKey, host func(value string) (string, error)) (string, error)

// Sender sends messages. What it dials, the policy has allowed.
type Sender struct {
	// Egress says which hosts may be called.
	Egress *egress.Policy
	// Source names the cluster in CloudEvents.
	Source string
}

const (
	// sendTimeout bounds one attempt.
	sendTimeout = 30 * time.Second
	// maxAnswer is how much is read of an answer.
	maxAnswer = 4096
)

// Final says of an error that it does not help to send the same again.
func Final(err error) error { return &FinalError{err} }

// FinalError says that it does not help to send the same again.
type FinalError struct{ cause error }

// Error implements error.
func (e *FinalError) Error() string { return e.cause.Error() }

// Unwrap gives the cause.
func (e *FinalError) Unwrap() error { return e.cause }

// BusyError says that the receiver wants to be left alone for a while.
type BusyError struct {
	cause error
	// After is for how long.
	After time.Duration
}

// Error implements error.
func (e *BusyError) Error() string { return e.cause.Error() }

// Unwrap gives the cause.
func (e *BusyError) Unwrap() error { return e.cause }

// Send sends one message. Nothing of a Secret is in the error.
func (s *Sender) Send(ctx context.Context, m *Message, secrets Secrets, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	c := &call{Sender: s, message: m, now: now}
	c.secrets = func(ctx context.Context, key *v1alpha1.SecretKey, host func(string) (string, error)) (string, error) {
		value, err := secrets(ctx, key, host)
		if value != "" {
			c.used = append(c.used, value)
		}
		return value, err
	}
	err := c.send(ctx)
	if err == nil {
		return nil
	}
	return hostcall.WithoutSecrets(err, c.used)
}

// call is one attempt.
type call struct {
	*Sender

	message *Message
	secrets Secrets
	now     time.Time
	// content is what is sent.
	content []byte
	// used are the values of Secrets that were read.
	used []string
}

func (c *call) send(ctx context.Context) error {
	channel := c.message.Channel
	switch {
	case channel.Slack != nil:
		return c.chat(ctx, channel.Slack)
	case channel.Teams != nil:
		return c.chat(ctx, channel.Teams)
	case channel.Email != nil:
		return c.email(ctx, channel.Email)
	case channel.CloudEvents != nil:
		return c.http(ctx, channel.CloudEvents, "application/cloudevents+json")
	}
	return c.http(ctx, &channel.Webhook.HTTPChannel, contentType(channel.Webhook))
}

// secretFor reads what is sent to a host that is known.
func (c *call) secretFor(ctx context.Context, key *v1alpha1.SecretKey, host string) (string, error) {
	return c.secrets(ctx, key, func(string) (string, error) { return host, nil })
}

// address reads an address that is itself the secret.
func (c *call) address(ctx context.Context, key *v1alpha1.SecretKey) (*url.URL, error) {
	var target *url.URL
	_, err := c.secrets(ctx, key, func(value string) (string, error) {
		var err error
		if target, err = url.Parse(value); err != nil || target.Hostname() == "" {
			return "", errors.New("it holds no URL")
		}
		return target.Hostname(), nil
	})
	if err != nil {
		return nil, err
	}
	return target, nil
}

func (c *call) chat(ctx context.Context, chat *v1alpha1.ChatChannel) error {
	target, err := c.address(ctx, &chat.URLSecret)
	if err != nil {
		return err
	}
	return c.post(ctx, target, chat.CABundle, "application/json", nil)
}

func (c *call) http(ctx context.Context, h *v1alpha1.HTTPChannel, contentType string) error {
	target := c.message.Channel.target
	if h.URLSecret != nil {
		var err error
		if target, err = c.address(ctx, h.URLSecret); err != nil {
			return err
		}
	}
	return c.post(ctx, target, h.CABundle, contentType, func(request *http.Request) error {
		return c.prepare(ctx, request, h, target.Hostname())
	})
}

// prepare adds headers, and the signature where one is demanded.
func (c *call) prepare(ctx context.Context, request *http.Request, h *v1alpha1.HTTPChannel, host string) error {
	for i := range h.Headers {
		header := &h.Headers[i]
		value := header.Value
		if header.Secret != nil {
			secret, err := c.secretFor(ctx, header.Secret, host)
			if err != nil {
				return err
			}
			if strings.ContainsFunc(secret, unicode.IsControl) {
				return fmt.Errorf("what is in key %q of Secret %s is more than one line", header.Secret.Key, header.Secret.Name)
			}
			value = header.Prefix + secret
		}
		request.Header.Set(header.Name, value)
	}
	if h.Sign == nil {
		return nil
	}
	key, err := c.secretFor(ctx, h.Sign, host)
	if err != nil {
		return err
	}
	return hostcall.Sign(request, key, c.message.callID(), c.content, c.now)
}

// post makes a call, if the policy allows it. It follows no redirect.
func (c *call) post(ctx context.Context, target *url.URL, authorities, contentType string, prepare func(*http.Request) error) error {
	client, err := c.Egress.Client(target, []byte(authorities))
	if err != nil {
		return err
	}
	if c.content, err = c.filled(ctx, target.Hostname()); err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(c.content))
	if err != nil {
		return fmt.Errorf("failed to make the call: %w", err)
	}
	request.Header.Set("User-Agent", "signoff")
	request.Header.Set("Content-Type", contentType)
	request.Header.Set(steps.HeaderIdempotencyKey, c.message.callID())
	if prepare != nil {
		if err := prepare(request); err != nil {
			return err
		}
	}
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("failed to call %s: %w", target.Host, egress.WithoutURL(err))
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer))
	return judged(target.Host, answer, c.now)
}

// judged says what an answer means.
func judged(host string, answer *http.Response, now time.Time) error {
	// Not in its own words, in which it could repeat what it was sent.
	err := fmt.Errorf("%s answered %d %s", host, answer.StatusCode, http.StatusText(answer.StatusCode))
	switch code := answer.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable:
		return &BusyError{err, retryafter.Pause(answer.Header.Get("Retry-After"), now, longestPause)}
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code >= 500:
		return err
	}
	return &FinalError{err}
}
