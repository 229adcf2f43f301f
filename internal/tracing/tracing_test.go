package tracing_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/internal/tracing"
	"github.com/signoff-dev/signoff/test/receivers"
)

// caller is the trace of whoever asks the API server, which passes it on: the header is that of the Trace Context of W3C, and says that it is traced.
const (
	caller = "0af7651916cd43dd8448eb211c80319c"
	traced = "00-" + caller + "-b7ad6b7169203331-01"
	// within is asked by what is traced.
	within = "/apis/signoff.dev/v1alpha1/namespaces/payments/actionrequests/deploy-1/status"
)

func start(t *testing.T, o tracing.Options) (*tracing.Tracer, *receivers.Traces) {
	t.Helper()
	collector := receivers.NewTraces()
	t.Cleanup(collector.Close)
	o.Endpoint = collector.URL + o.Endpoint
	tracer, err := tracing.Start(t.Context(), o, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	return tracer, collector
}

func names(spans []*tracepb.Span) []string {
	var all []string
	for _, span := range spans {
		all = append(all, span.GetName())
	}
	slices.Sort(all)
	return all
}

// live does what a process does for a request: it is asked by the API server, and asks it.
func live(t *testing.T, tracer *tracing.Tracer) {
	t.Helper()
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if (r.URL.Path == within) != (r.Header.Get("traceparent") != "") && tracer != nil {
			t.Errorf("%s is told of a trace: %q", r.URL.Path, r.Header.Get("traceparent"))
		}
	}))
	defer api.Close()
	client := &http.Client{Transport: tracer.Transport(http.DefaultTransport)}
	put := func(ctx context.Context, path string) {
		request, err := http.NewRequestWithContext(ctx, http.MethodPut, api.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
	}
	put(t.Context(), "/alone")
	ctx, end := tracer.Request(t.Context(), "reconcile", types.NamespacedName{Namespace: "payments", Name: "deploy-1"})
	put(ctx, within)
	end(fmt.Errorf("failed to write what alice wrote: %w", apierrors.NewConflict(schema.GroupResource{}, "deploy-1", nil)))
	handler := tracer.Handler("/validate", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { put(r.Context(), within) }))
	asked := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/validate", nil)
	asked.Header.Set("traceparent", traced)
	handler.ServeHTTP(httptest.NewRecorder(), asked)
}

// TestSends looks at what a collector gets.
func TestSends(t *testing.T) {
	tracer, collector := start(t, tracing.Options{Ratio: 1, Service: "signoff-controller"})
	live(t, tracer)
	if err := tracer.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"admit /validate", "reconcile", "update actionrequests/status", "update actionrequests/status"}, names(collector.Spans())); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	spans := map[string]*tracepb.Span{}
	for _, span := range collector.Spans() {
		if strings.HasPrefix(span.GetName(), "update") {
			spans[hex.EncodeToString(span.GetTraceId())+"/call"] = span
			continue
		}
		spans[span.GetName()] = span
	}
	admit, reconcile := spans["admit /validate"], spans["reconcile"]
	if hex.EncodeToString(admit.GetTraceId()) == caller || len(admit.GetLinks()) != 1 || hex.EncodeToString(admit.GetLinks()[0].GetTraceId()) != caller {
		t.Errorf("it is part of a trace that the caller chose, or has no link to it: %v", admit)
	}
	for _, span := range collector.Spans() {
		for _, a := range span.GetAttributes() {
			if text := a.GetValue().GetStringValue(); strings.Contains(text, "deploy-1") && a.GetKey() != "signoff.request" {
				t.Errorf("%s says %s=%s: a name may be somebody's input", span.GetName(), a.GetKey(), text)
			}
		}
	}
	for _, parent := range []*tracepb.Span{admit, reconcile} {
		if call := spans[hex.EncodeToString(parent.GetTraceId())+"/call"]; string(call.GetParentSpanId()) != string(parent.GetSpanId()) {
			t.Errorf("what %s asks is not below it", parent.GetName())
		}
	}
	var attributes []string
	for _, a := range reconcile.GetAttributes() {
		attributes = append(attributes, a.GetKey()+"="+a.GetValue().GetStringValue())
	}
	if diff := cmp.Diff([]string{"k8s.namespace.name=payments", "signoff.request=deploy-1"}, attributes); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if s := reconcile.GetStatus(); s.GetCode() != tracepb.Status_STATUS_CODE_ERROR || s.GetMessage() != "Conflict" {
		t.Errorf("it does not say what went wrong, or repeats what somebody wrote: %v", s)
	}
	if got := collector.Received()[0].GetResource().GetAttributes()[0].GetValue().GetStringValue(); got != "signoff-controller" {
		t.Errorf("it came from %q", got)
	}
}

// TestRatio traces nothing, also where the caller says that it is traced: anybody may say so.
func TestRatio(t *testing.T) {
	tracer, collector := start(t, tracing.Options{Endpoint: "/v1/traces"})
	live(t, tracer)
	if err := tracer.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if spans := names(collector.Spans()); len(spans) > 0 {
		t.Errorf("nothing was to be traced: %s", spans)
	}
}

// TestOff does all of it without a Tracer.
func TestOff(t *testing.T) {
	var tracer *tracing.Tracer
	live(t, tracer)
	if tracer.Transport(http.DefaultTransport) != http.DefaultTransport {
		t.Error("calls cost something although nothing is traced")
	}
	if err := tracer.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestRefused tries endpoints and ratios.
func TestRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		options tracing.Options
		want    string
	}{
		"NoScheme": {tracing.Options{Endpoint: "localhost:4318"}, "http://localhost:4318"},
		"Other":    {tracing.Options{Endpoint: "grpc://localhost:4317"}, "http://localhost:4318"},
		"NoHost":   {tracing.Options{Endpoint: "http:///v1/traces"}, "http://localhost:4318"},
		"User":     {tracing.Options{Endpoint: "http://a:b@localhost"}, "without a user"},
		"Negative": {tracing.Options{Endpoint: "http://localhost:4318", Ratio: -0.1}, "from 0 to 1"},
		"NoNumber": {tracing.Options{Endpoint: "http://localhost:4318", Ratio: math.NaN()}, "from 0 to 1"},
		"AboveOne": {tracing.Options{Endpoint: "http://localhost:4318", Ratio: 1.1}, "from 0 to 1"},
		"BadPath":  {tracing.Options{Endpoint: "http://localhost:4318/%zz"}, "http://localhost:4318"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tracing.Start(t.Context(), tc.options, logr.Discard())
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("the message does not say %q: %v", tc.want, err)
			}
		})
	}
}

// TestUnreachable does not wait for a collector that is not there.
func TestUnreachable(t *testing.T) {
	tracer, collector := start(t, tracing.Options{Ratio: 1})
	collector.Close()
	live(t, tracer)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tracer.Stop(ctx); err == nil {
		t.Error("it says that everything has arrived")
	}
}
