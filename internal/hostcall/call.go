// Package hostcall calls hosts for an Action: as the configuration allows, with values of Secrets that say that the host may have them, and without
// these values in what is answered. Steps call through it, and lookups.
package hostcall

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/egress"
	"github.com/signoff-dev/signoff/internal/steps"
	"github.com/signoff-dev/signoff/internal/visible"
)

// ErrUnfit says that a call cannot be made as it is, however often it is tried.
var ErrUnfit = errors.New("the call cannot be made")

const (
	// Timeout bounds one call, from the connection to the end of the answer.
	Timeout = time.Minute
	// MaxAnswer is how many bytes of an answer are read.
	MaxAnswer = 1 << 20
	// maxExcerpt is how much of an answer a message repeats.
	maxExcerpt = 200
)

// shownHeaders are the headers of an answer that expressions can read.
var shownHeaders = []string{"Content-Type", "Etag", "Location", "Retry-After", "X-Request-Id"}

// Reader reads objects as ServiceAccounts.
type Reader interface {
	// Get reads an object as a ServiceAccount of a namespace.
	Get(ctx context.Context, namespace, serviceAccount string, ref v1alpha1.ObjectReference) (*unstructured.Unstructured, error)
}

// Caller makes the calls of one step or of one lookup. It holds nothing of what asks, which goes on while a call is made.
type Caller struct {
	// Egress says which hosts may be called.
	Egress *egress.Policy
	// Secrets reads Secrets, in Namespace and as Account.
	Secrets            Reader
	Namespace, Account string
	// Unagreed says that nobody has agreed to certain Secrets, so that whichever have the names are read.
	Unagreed bool
	// HTTP is what is called, with everything filled in but values of Secrets.
	HTTP *v1alpha1.RenderedHTTP
	// Clock dates signatures.
	Clock clock.PassiveClock
}

// Result is what came of a call. Sent tells whether anything may have reached the host. Err is never the error of the call with its URL: whoever takes that
// away would come to what the host said, with values of Secrets in it.
type Result struct {
	// Response is the variable response: status, headers and body.
	Response map[string]any
	Sent     bool
	Err      error
}

// Exchange makes a call with the headers of the step; its body goes with the call of the step itself.
func (c *Caller) Exchange(ctx context.Context, method v1alpha1.HTTPMethod, target string) Result {
	u, err := url.Parse(target)
	if err != nil {
		return Result{Err: fmt.Errorf("%w: %w", ErrUnfit, err)}
	}
	client, err := c.Egress.Client(u, []byte(c.HTTP.CABundle))
	if err != nil {
		return Result{Err: asUnfit(err)}
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	own := method == c.HTTP.Method && target == c.HTTP.URL
	request, secrets, err := c.request(ctx, method, u, own)
	if err != nil {
		return Result{Err: err}
	}
	answer, err := client.Do(request)
	if err != nil {
		return Result{Sent: connected.Load(), Err: WithoutSecrets(egress.WithoutURL(err), secrets)}
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, MaxAnswer+1))
	if err != nil {
		return Result{Sent: true, Err: WithoutSecrets(egress.WithoutURL(err), secrets)}
	}
	return Result{Response: readAnswer(answer, body, secrets), Sent: true}
}

func asUnfit(err error) error {
	if errors.Is(err, egress.ErrRefused) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnfit, err)
}

// request makes the request, and gives the values of Secrets that are in it.
func (c *Caller) request(ctx context.Context, method v1alpha1.HTTPMethod, u *url.URL, own bool) (*http.Request, []string, error) {
	var body []byte
	contentType := ""
	if own {
		body, contentType = content(c.HTTP)
	}
	request, err := http.NewRequestWithContext(ctx, string(method), u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrUnfit, err)
	}
	request.Header.Set("User-Agent", "signoff")
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	secrets, err := c.headers(ctx, request)
	if err != nil || !own {
		return request, secrets, err
	}
	if c.HTTP.IdempotencyKey != "" {
		request.Header.Set(steps.HeaderIdempotencyKey, c.HTTP.IdempotencyKey)
	}
	return c.signed(ctx, request, body, secrets)
}

// content is what the call of a step carries, and of which type that is.
func content(h *v1alpha1.RenderedHTTP) ([]byte, string) {
	switch {
	case h.Body != nil:
		return h.Body.Raw, "application/json"
	case h.Text != "":
		return []byte(h.Text), "text/plain; charset=utf-8"
	}
	return nil, ""
}

// signed signs the call where the step says so.
func (c *Caller) signed(ctx context.Context, request *http.Request, body []byte, secrets []string) (*http.Request, []string, error) {
	h := c.HTTP
	if h.Sign == nil {
		return request, secrets, nil
	}
	key, err := c.secret(ctx, h.Sign, request.URL)
	if err != nil {
		return nil, nil, err
	}
	return request, append(secrets, key), Sign(request, key, h.IdempotencyKey, body, c.Clock.Now())
}

func (c *Caller) headers(ctx context.Context, request *http.Request) ([]string, error) {
	var secrets []string
	for i := range c.HTTP.Headers {
		header := &c.HTTP.Headers[i]
		value := header.Value
		if header.Secret != nil {
			secret, err := c.secret(ctx, header.Secret, request.URL)
			if err != nil {
				return nil, err
			}
			if strings.ContainsFunc(secret, unicode.IsControl) {
				return nil, fmt.Errorf("%w: what is in key %q of Secret %s is more than one line", ErrUnfit, header.Secret.Key, header.Secret.Name)
			}
			value, secrets = header.Prefix+secret, append(secrets, secret)
		}
		request.Header.Set(header.Name, value)
	}
	return secrets, nil
}

// secret reads a value as the ServiceAccount: from the Secret that people have agreed to, if that says that the host may have it.
func (c *Caller) secret(ctx context.Context, key *v1alpha1.RecordedSecret, u *url.URL) (string, error) {
	ref := steps.SecretRef(c.Namespace, key.Name)
	object, err := c.Secrets.Get(ctx, c.Namespace, c.Account, ref)
	if err != nil {
		return "", err
	}
	secret := &corev1.Secret{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, secret); err != nil {
		return "", fmt.Errorf("failed to decode %s: %w", "Secret "+c.Namespace+"/"+key.Name, err)
	}
	if !c.Unagreed && secret.UID != key.UID {
		return "", fmt.Errorf("%w: %s is another one than people agreed to", ErrUnfit, "Secret "+c.Namespace+"/"+key.Name)
	}
	if err := steps.AllowedFor(secret.Annotations, u.Hostname()); err != nil {
		return "", fmt.Errorf("%w: %s: %w", ErrUnfit, "Secret "+c.Namespace+"/"+key.Name, err)
	}
	value := steps.SecretValue(secret.Data[key.Key])
	if value == "" {
		return "", fmt.Errorf("%w: %s has no key %q, or nothing in it", ErrUnfit, "Secret "+c.Namespace+"/"+key.Name, key.Key)
	}
	return value, nil
}

// signingPrefix may stand before a key for signing.
const signingPrefix = "whsec_"

// Sign signs a call as Standard Webhooks demand: an HMAC over its id, its time and its body.
func Sign(request *http.Request, key, id string, body []byte, now time.Time) error {
	secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(key, signingPrefix))
	if err != nil || len(secret) == 0 {
		return fmt.Errorf("%w: the key for signing must be base64, with or without %s in front", ErrUnfit, signingPrefix)
	}
	at := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	_, _ = fmt.Fprintf(mac, "%s.%s.%s", id, at, body)
	request.Header.Set("Webhook-Id", id)
	request.Header.Set("Webhook-Timestamp", at)
	request.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return nil
}

var reading sync.Mutex

// readAnswer is the variable response. What is in a Secret of the call is never part of it, also not where the host repeats it: it is taken out
// of what the JSON says, and not of how that is written.
func readAnswer(answer *http.Response, body []byte, secrets []string) map[string]any {
	// One after the other: hosts must not keep all cores busy.
	reading.Lock()
	defer reading.Unlock()
	headers, redact := map[string]any{}, newRedactor(secrets)
	for _, name := range shownHeaders {
		if value := answer.Header.Get(name); value != "" {
			headers[strings.ToLower(name)] = redact.text(value)
		}
	}
	out := map[string]any{"status": int64(answer.StatusCode), "headers": headers, "body": nil}
	if len(body) > MaxAnswer {
		return out
	}
	text := strings.ToValidUTF8(string(body), "\uFFFD")
	var value any
	if err := utiljson.Unmarshal([]byte(text), &value); err == nil {
		out["body"] = redact.value(value)
	} else {
		out["body"] = redact.text(text)
	}
	return out
}

type redactedError struct {
	error
	text string
}

func (e *redactedError) Error() string { return e.text }

func (e *redactedError) Unwrap() error { return e.error }

// WithoutSecrets is an error in whose text values of Secrets do not stand.
func WithoutSecrets(err error, secrets []string) error {
	return &redactedError{err, newRedactor(secrets).text(err.Error())}
}

// Excerpt is the beginning of what a host answered, for a message.
func Excerpt(response map[string]any) string {
	body := response["body"]
	if body == nil || body == "" {
		return ""
	}
	text := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || !visible.Shows(r) {
			return ' '
		}
		return r
	}, fmt.Sprint(body))
	if runes := []rune(text); len(runes) > maxExcerpt {
		text = string(runes[:maxExcerpt]) + "…"
	}
	return fmt.Sprintf(": %q", text)
}
