package receivers

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Traces is a collector of OpenTelemetry: it takes OTLP over HTTP at /v1/traces, and nothing else.
type Traces struct {
	*httptest.Server

	mu       sync.Mutex
	received []*tracepb.ResourceSpans
}

// NewTraces listens.
func NewTraces() *Traces {
	t := &Traces{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", t.take)
	t.Server = httptest.NewServer(mux)
	return t
}

func (t *Traces) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	request := &collector.ExportTraceServiceRequest{}
	if err != nil || proto.Unmarshal(body, request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.received = append(t.received, request.GetResourceSpans()...)
}

// Received is what has arrived, by process.
func (t *Traces) Received() []*tracepb.ResourceSpans {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.received
}

// Spans are all that have arrived.
func (t *Traces) Spans() []*tracepb.Span {
	var spans []*tracepb.Span
	for _, process := range t.Received() {
		for _, scope := range process.GetScopeSpans() {
			spans = append(spans, scope.GetSpans()...)
		}
	}
	return spans
}
