// Package tracing sends what the process does for a request, and what it asks the API server for it, to a collector of OpenTelemetry.
package tracing

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// scope is the name by which a collector knows whose spans these are.
const scope = "github.com/signoff-dev/signoff"

// defaultPath is where a collector takes traces, see the specification of OTLP.
const defaultPath = "/v1/traces"

// Options say where traces go.
type Options struct {
	// Endpoint is the URL of a collector that takes OTLP over HTTP, such as http://localhost:4318. Without a path, /v1/traces is asked. Headers
	// are taken from the environment, see HeadersVariable.
	Endpoint string
	// Ratio is how much is sent, from 0 to 1.
	Ratio float64
	// Service is the name of the process, such as signoff-controller.
	Service string
}

// Tracer makes spans. A nil Tracer makes none, and costs nothing.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// propagator reads and writes the header traceparent, as the API server does.
var propagator = propagation.TraceContext{}

// Start makes a Tracer. A collector that cannot be reached is logged and keeps nobody waiting. The caller must call Stop.
func Start(ctx context.Context, o Options, log logr.Logger) (*Tracer, error) {
	endpoint, err := o.url()
	if err != nil {
		return nil, err
	}
	to, err := newCollector(endpoint)
	if err != nil {
		return nil, err
	}
	exporter, err := otlptrace.New(ctx, to)
	if err != nil {
		return nil, fmt.Errorf("failed to make the exporter of traces: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Error(err, "failed to send traces") }))
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(o.Ratio))),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", o.Service))),
	)
	return &Tracer{provider: provider, tracer: provider.Tracer(scope)}, nil
}

// url is where traces are sent.
func (o *Options) url() (string, error) {
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("the endpoint of traces is not a URL such as http://localhost:4318, without a user")
	}
	if !(o.Ratio >= 0 && o.Ratio <= 1) {
		return "", fmt.Errorf("the ratio of traces is %v; a number from 0 to 1 is accepted", o.Ratio)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = defaultPath
	}
	return u.String(), nil
}

// Stop sends what was not sent yet, and ends.
func (t *Tracer) Stop(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// Request begins a span about one request of a namespace. The function that it gives ends it, and says what went wrong.
func (t *Tracer) Request(ctx context.Context, what string, key types.NamespacedName) (context.Context, func(error)) {
	if t == nil {
		return ctx, func(error) {}
	}
	ctx, span := t.tracer.Start(ctx, what, trace.WithAttributes(
		attribute.String("k8s.namespace.name", key.Namespace), attribute.String("signoff.request", key.Name)))
	return ctx, func(err error) {
		if err != nil {
			// The text is in the log. It may repeat what somebody has written.
			span.SetStatus(codes.Error, string(apierrors.ReasonForError(err)))
		}
		span.End()
	}
}

// Transport traces the calls of a client that are made within a span: a watch that lasts is none of them.
func (t *Tracer) Transport(next http.RoundTripper) http.RoundTripper {
	if t == nil {
		return next
	}
	return &transport{next, t.tracer}
}

// transport is an http.RoundTripper. The one of the library of OpenTelemetry puts the address of each call into its span, with names and selectors that
// come from inputs.
type transport struct {
	next   http.RoundTripper
	tracer trace.Tracer
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !trace.SpanContextFromContext(r.Context()).IsValid() {
		return t.next.RoundTrip(r)
	}
	ctx, span := t.tracer.Start(r.Context(), called(r), trace.WithSpanKind(trace.SpanKindClient))
	defer span.End()
	r = r.Clone(ctx)
	propagator.Inject(ctx, propagation.HeaderCarrier(r.Header))
	response, err := t.next.RoundTrip(r)
	if err != nil {
		span.SetStatus(codes.Error, "no answer")
		return nil, err
	}
	span.SetAttributes(attribute.Int("http.response.status_code", response.StatusCode))
	return response, nil
}

// calls reads paths as the API server does.
var calls = request.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}

// called names a call without the names of objects, so that a collector can tell how long calls of a kind take.
func called(r *http.Request) string {
	info, err := calls.NewRequestInfo(r)
	if err != nil || !info.IsResourceRequest {
		return r.Method
	}
	return strings.TrimSuffix(info.Verb+" "+info.Resource+"/"+info.Subresource, "/")
}

// Handler traces what is asked at a path, with a link to the trace of whoever asks. It is a trace of its own, because the API server passes on what its
// caller says, who could otherwise say what is traced, and in whose trace.
func (t *Tracer) Handler(path string, next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	return otelhttp.NewHandler(next, "admit "+path, otelhttp.WithTracerProvider(t.provider), otelhttp.WithPropagators(propagator),
		otelhttp.WithPublicEndpointFn(func(*http.Request) bool { return true }),
		otelhttp.WithSpanNameFormatter(func(operation string, _ *http.Request) string { return operation }))
}
