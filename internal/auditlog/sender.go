package auditlog

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/retryafter"
)

const (
	contentType = "application/x-ndjson"
	sendTimeout = 30 * time.Second
	// firstPause and longestPause are how long a receiver that failed is left alone.
	firstPause   = time.Second
	longestPause = time.Minute
	// maxAnswer is how much of an answer is read, and maxFile how much of a file with headers, in bytes.
	maxAnswer = 64 << 10
	maxFile   = 64 << 10
)

// sender sends what is in an outbox to its receiver: in order, and again until the receiver says that it has it.
type sender struct {
	name   string
	outbox *outbox
	config *config.AuditHTTP
	client *http.Client
	clock  clock.WithTicker
	log    logr.Logger
	// most is how many lines are sent at once. It is less where the receiver found that too much.
	most int
}

// answerError is an answer other than yes.
type answerError struct {
	status int
	// after is how long the receiver asks to be left alone.
	after time.Duration
}

func (e *answerError) Error() string { return fmt.Sprintf("the receiver answered %d", e.status) }

func newSender(name string, o *outbox, c *config.AuditHTTP, clk clock.WithTicker, log logr.Logger) (*sender, error) {
	roots := (*x509.CertPool)(nil)
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("failed to read who signs the certificate of audit sink %s: %w", name, err)
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("failed to read who signs the certificate of audit sink %s: %s has no certificate", name, c.CAFile)
		}
	}
	client := &http.Client{
		Timeout: sendTimeout,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: sendTimeout, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: maxAnswer,
		},
		// Evidence goes where the configuration says, and nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &sender{name: name, outbox: o, config: c, client: client, clock: clk, log: log, most: maxBatchLines}, nil
}

// run sends until the context ends.
func (s *sender) run(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil {
		sent, err := s.next(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			failures.WithLabelValues(s.name, stageDeliver).Inc()
			s.log.Error(err, "failed to deliver facts; they stay in the outbox", "sink", s.name)
			s.wait(ctx, s.pause(pause, err), nil)
			pause = min(2*pause, longestPause)
		case sent:
			pause = firstPause
		default:
			s.wait(ctx, longestPause, s.outbox.wake)
		}
	}
}

// pause is how long the receiver is left alone, never exactly as long as others leave it.
func (s *sender) pause(pause time.Duration, err error) time.Duration {
	var answer *answerError
	if errors.As(err, &answer) && answer.after > 0 {
		pause = answer.after
	}
	return pause/2 + rand.N(pause/2+1) //nolint:gosec // nothing secret hangs on it
}

func (s *sender) wait(ctx context.Context, pause time.Duration, wake <-chan struct{}) {
	timer := s.clock.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C():
	case <-wake:
	}
}

// next sends the next lines, if there are any.
func (s *sender) next(ctx context.Context) (bool, error) {
	body, lines, err := s.outbox.batch(s.most)
	if err != nil || lines == 0 {
		return false, err
	}
	if err := s.send(ctx, body); err != nil {
		var answer *answerError
		if errors.As(err, &answer) && answer.status == http.StatusRequestEntityTooLarge {
			s.most = max(lines/2, 1)
		}
		return false, err
	}
	s.most = maxBatchLines
	delivered.WithLabelValues(s.name).Add(float64(lines))
	if err := s.outbox.acknowledge(len(body), lines); err != nil {
		failures.WithLabelValues(s.name, stageDeliver).Inc()
		s.log.Error(err, "after a restart, facts are sent again", "sink", s.name)
	}
	return true, nil
}

func (s *sender) send(ctx context.Context, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.config.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("failed to make a request: %w", err)
	}
	if err := s.headers(request.Header); err != nil {
		return err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return fmt.Errorf("failed to send facts: %w", err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer))
	_ = response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return &answerError{status: response.StatusCode, after: retryafter.Pause(response.Header.Get("Retry-After"), s.clock.Now(), longestPause)}
	}
	return nil
}

// headers sets the headers. Files are read each time, so that a token can be replaced.
func (s *sender) headers(h http.Header) error {
	if s.config.HeadersFile != "" {
		text, err := readSmall(s.config.HeadersFile)
		if err != nil {
			return err
		}
		if err := parseHeaders(text, h); err != nil {
			return fmt.Errorf("failed to read %s: %w", s.config.HeadersFile, err)
		}
	}
	if s.config.BearerTokenFile != "" {
		token, err := readSmall(s.config.BearerTokenFile)
		if err != nil {
			return err
		}
		if token = strings.TrimSpace(token); token == "" || strings.ContainsFunc(token, unicode.IsControl) {
			return fmt.Errorf("failed to read %s: it has no token", s.config.BearerTokenFile)
		}
		h.Set("Authorization", "Bearer "+token)
	}
	h.Set("Content-Type", contentType)
	h.Set("User-Agent", "signoff")
	return nil
}

var headerName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// parseHeaders reads one "Name: value" per line. What is wrong with a line is said without it: it may be a secret.
func parseHeaders(text string, h http.Header) error {
	scanner, number := bufio.NewScanner(strings.NewReader(text)), 0
	for scanner.Scan() {
		number++
		line := strings.TrimSpace(scanner.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !headerName.MatchString(name) || strings.ContainsFunc(value, unicode.IsControl) {
			return fmt.Errorf(`line %d is not a header such as "Name: value"`, number)
		}
		h.Set(name, strings.TrimSpace(value))
	}
	return scanner.Err()
}

func readSmall(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("failed to read what is sent with facts: %w", err)
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(raw) > maxFile {
		err = fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	if err != nil {
		return "", fmt.Errorf("failed to read what is sent with facts: %w", err)
	}
	return string(raw), nil
}
