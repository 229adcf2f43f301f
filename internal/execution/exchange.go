package execution

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
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/egress"
	"github.com/signoff-dev/signoff/internal/steps"
	"github.com/signoff-dev/signoff/internal/visible"
)

// errUnfit says that a call cannot be made as it is, however often it is tried.
var errUnfit = errors.New("the call cannot be made")

const (
	// callTimeout bounds one call, from the connection to the end of the answer.
	callTimeout = time.Minute
	// maxAnswer is how many bytes of an answer are read.
	maxAnswer = 1 << 20
	// maxExcerpt is how much of an answer a message repeats.
	maxExcerpt = 200
)

// shownHeaders are the headers of an answer that expressions can read.
var shownHeaders = []string{"Content-Type", "Etag", "Location", "Retry-After", "X-Request-Id"}

// caller makes the calls of one step. It holds nothing of the task, which goes on while a call is made.
type caller struct {
	*Runner
	// namespace and account are as who Secrets are read.
	namespace, account string
	http               *v1alpha1.RenderedHTTP
}

// exchange makes a call with the headers of the step; its body goes with the call of the step itself.
func (c *caller) exchange(ctx context.Context, method v1alpha1.HTTPMethod, target string) exchanged {
	u, err := url.Parse(target)
	if err != nil {
		return exchanged{err: fmt.Errorf("%w: %w", errUnfit, err)}
	}
	client, err := c.egress.Client(u, []byte(c.http.CABundle))
	if err != nil {
		return exchanged{err: asUnfit(err)}
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	own := method == c.http.Method && target == c.http.URL
	request, secrets, err := c.request(ctx, method, u, own)
	if err != nil {
		return exchanged{err: err}
	}
	answer, err := client.Do(request)
	if err != nil {
		return exchanged{sent: connected.Load(), err: WithoutSecrets(err, secrets)}
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err != nil {
		return exchanged{sent: true, err: WithoutSecrets(err, secrets)}
	}
	return exchanged{response: readAnswer(answer, body, secrets), sent: true}
}

func asUnfit(err error) error {
	if errors.Is(err, egress.ErrRefused) {
		return err
	}
	return fmt.Errorf("%w: %w", errUnfit, err)
}

// request makes the request, and gives the values of Secrets that are in it.
func (c *caller) request(ctx context.Context, method v1alpha1.HTTPMethod, u *url.URL, own bool) (*http.Request, []string, error) {
	var body []byte
	contentType := ""
	if own {
		body, contentType = content(c.http)
	}
	request, err := http.NewRequestWithContext(ctx, string(method), u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errUnfit, err)
	}
	request.Header.Set("User-Agent", "signoff")
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	secrets, err := c.headers(ctx, request)
	if err != nil || !own {
		return request, secrets, err
	}
	request.Header.Set(steps.HeaderIdempotencyKey, c.http.IdempotencyKey)
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
func (c *caller) signed(ctx context.Context, request *http.Request, body []byte, secrets []string) (*http.Request, []string, error) {
	h := c.http
	if h.Sign == nil {
		return request, secrets, nil
	}
	key, err := c.secret(ctx, h.Sign, request.URL)
	if err != nil {
		return nil, nil, err
	}
	return request, append(secrets, key), Sign(request, key, h.IdempotencyKey, body, c.clock.Now())
}

func (c *caller) headers(ctx context.Context, request *http.Request) ([]string, error) {
	var secrets []string
	for i := range c.http.Headers {
		header := &c.http.Headers[i]
		value := header.Value
		if header.Secret != nil {
			secret, err := c.secret(ctx, header.Secret, request.URL)
			if err != nil {
				return nil, err
			}
			if strings.ContainsFunc(secret, unicode.IsControl) {
				return nil, fmt.Errorf("%w: what is in key %q of Secret %s is more than one line", errUnfit, header.Secret.Key, header.Secret.Name)
			}
			value, secrets = header.Prefix+secret, append(secrets, secret)
		}
		request.Header.Set(header.Name, value)
	}
	return secrets, nil
}

// secret reads a value as the executing ServiceAccount: from the Secret that people have agreed to, if that says that the host may have it.
func (c *caller) secret(ctx context.Context, key *v1alpha1.RecordedSecret, u *url.URL) (string, error) {
	ref := steps.SecretRef(c.namespace, key.Name)
	object, err := c.clients.Get(ctx, c.namespace, c.account, ref)
	if err != nil {
		return "", err
	}
	secret := &corev1.Secret{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, secret); err != nil {
		return "", fmt.Errorf("failed to decode %s: %w", describe(ref), err)
	}
	if secret.UID != key.UID {
		return "", fmt.Errorf("%w: %s is another one than people agreed to", errUnfit, describe(ref))
	}
	if err := steps.AllowedFor(secret.Annotations, u.Hostname()); err != nil {
		return "", fmt.Errorf("%w: %s: %w", errUnfit, describe(ref), err)
	}
	value, found := secret.Data[key.Key]
	if !found || len(value) == 0 {
		return "", fmt.Errorf("%w: %s has no key %q", errUnfit, describe(ref), key.Key)
	}
	return strings.TrimRight(string(value), "\r\n"), nil
}

// signingPrefix may stand before a key for signing.
const signingPrefix = "whsec_"

// Sign signs a call as Standard Webhooks demand: an HMAC over its id, its time and its body.
func Sign(request *http.Request, key, id string, body []byte, now time.Time) error {
	secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(key, signingPrefix))
	if err != nil || len(secret) == 0 {
		return fmt.Errorf("%w: the key for signing must be base64, with or without %s in front", errUnfit, signingPrefix)
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
	if len(body) > maxAnswer {
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

// excerpt is the beginning of what a host answered, for a message.
func excerpt(response map[string]any) string {
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
