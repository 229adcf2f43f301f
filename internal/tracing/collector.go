package tracing

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"golang.org/x/net/http/httpguts"
	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/signoff-dev/signoff/internal/egress"
)

// HeadersVariable names the environment variable that says what each call of a collector carries besides: NAME=VALUE, separated by commas, encoded as in
// URLs. See the specification of the OTLP exporters.
const HeadersVariable = "OTEL_EXPORTER_OTLP_HEADERS"

// What a collector that does not answer costs: nobody waits for it but the next traces.
const (
	attemptTimeout  = 10 * time.Second
	maxAnswer       = 4096
	protobufContent = "application/x-protobuf"
)

// pauses are those between attempts.
var pauses = wait.Backoff{Duration: time.Second, Factor: 2, Jitter: 0.5, Steps: 3}

// retried are the answers after which the specification of OTLP asks for another attempt.
var retried = []int{http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}

// collector sends traces by OTLP over HTTP. It is our own because the exporter of OpenTelemetry links gRPC, which the process would carry for nothing.
type collector struct {
	endpoint string
	headers  http.Header
	client   *http.Client
	pauses   wait.Backoff
}

var _ otlptrace.Client = &collector{}

// newCollector reads the headers from the environment: they may be secret, so that they are no flag.
func newCollector(endpoint string) (*collector, error) {
	headers, err := parseHeaders(os.Getenv(HeadersVariable))
	if err != nil {
		return nil, err
	}
	return &collector{endpoint: endpoint, headers: headers, pauses: pauses, client: &http.Client{
		Timeout: attemptTimeout,
		// The headers are for the one who was named.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// parseHeaders never repeats a value: it may be a password.
func parseHeaders(text string) (http.Header, error) {
	headers := http.Header{}
	for i, pair := range strings.Split(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, found := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !found || err != nil || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil, fmt.Errorf("header %d of %s is not NAME=VALUE, with the value encoded as in a URL", i+1, HeadersVariable)
		}
		headers.Set(name, value)
	}
	return headers, nil
}

// Start implements otlptrace.Client.
func (*collector) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (c *collector) Stop(context.Context) error {
	c.client.CloseIdleConnections()
	return nil
}

// UploadTraces implements otlptrace.Client.
func (c *collector) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	// On the wire it is what the specification calls an ExportTraceServiceRequest, whose package imports gRPC.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("failed to encode traces: %w", err)
	}
	var last error
	err = wait.ExponentialBackoffWithContext(ctx, c.pauses, func(ctx context.Context) (bool, error) {
		again, err := c.post(ctx, body)
		if last = err; err != nil && !again {
			return false, err
		}
		return err == nil, nil
	})
	if err != nil && last != nil {
		return last
	}
	return err
}

// post makes one attempt, and says whether another one may help.
func (c *collector) post(ctx context.Context, body []byte) (again bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint, bytes.NewReader(body))
	if err != nil {
		return false, fmt.Errorf("failed to make the call: %w", err)
	}
	request.Header = c.headers.Clone()
	request.Header.Set("Content-Type", protobufContent)
	response, err := c.client.Do(request)
	if err != nil {
		return true, egress.WithoutURL(err)
	}
	defer func() { _ = response.Body.Close() }()
	// Read, so that the connection can be used again.
	_, _ = io.CopyN(io.Discard, response.Body, maxAnswer)
	if response.StatusCode/100 == 2 {
		return false, nil
	}
	return slices.Contains(retried, response.StatusCode), fmt.Errorf("the collector answered %s", response.Status)
}
