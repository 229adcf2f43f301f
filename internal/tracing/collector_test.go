package tracing

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// TestAnswers sends traces to collectors that answer in every way, the last answer for ever.
func TestAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		answers []int
		calls   int
		err     string
	}{
		"Taken":     {[]int{200}, 1, ""},
		"Accepted":  {[]int{202}, 1, ""},
		"Once":      {[]int{503, 200}, 2, ""},
		"Throttled": {[]int{429, 502, 200}, 3, ""},
		"Gone":      {[]int{504}, 3, "the collector answered 504"},
		"Refused":   {[]int{400}, 1, "the collector answered 400"},
		"Broken":    {[]int{500}, 1, "the collector answered 500"},
		"NotAsked":  {[]int{401}, 1, "the collector answered 401"},
		"Elsewhere": {[]int{302}, 1, "the collector answered 302"},
		"CutOff":    {[]int{0, 200}, 2, ""},
		"AlwaysCut": {[]int{0}, 3, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(HeadersVariable, "Authorization=Bearer%20abc, X-Scope = a=b")
			var calls atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.Copy(io.Discard, r.Body); err != nil {
					t.Error(err)
				}
				got := [...]string{r.Method, r.URL.Path, r.Header.Get("Content-Type"), r.Header.Get("Authorization"), r.Header.Get("X-Scope")}
				if diff := cmp.Diff([...]string{"POST", "/v1/traces", "application/x-protobuf", "Bearer abc", "a=b"}, got); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
				code := tc.answers[min(int(calls.Add(1)), len(tc.answers))-1]
				switch code {
				case 0:
					panic(http.ErrAbortHandler)
				case http.StatusFound:
					w.Header().Set("Location", "/v1/elsewhere")
				}
				w.WriteHeader(code)
			}))
			defer server.Close()
			c, err := newCollector(server.URL + defaultPath)
			if err != nil {
				t.Fatal(err)
			}
			c.pauses.Duration = 0
			err = c.UploadTraces(t.Context(), []*tracepb.ResourceSpans{{}})
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("error %v, want %q", err, tc.err)
			}
			if err != nil && strings.Contains(err.Error(), server.URL) {
				t.Errorf("it repeats the address: %v", err)
			}
			if got := int(calls.Load()); got != tc.calls {
				t.Errorf("%d calls, want %d", got, tc.calls)
			}
		})
	}
}

// TestGivesUp does not go on when whoever sends has no more time.
func TestGivesUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		cancel()
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	c, err := newCollector(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.UploadTraces(ctx, nil); err == nil || calls.Load() != 1 {
		t.Errorf("%d calls: %v", calls.Load(), err)
	}
}

// TestHeaders reads what the environment may say.
func TestHeaders(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want http.Header
	}{
		"None":    {"", http.Header{}},
		"Blanks":  {" , ", http.Header{}},
		"One":     {"api-key=secret", http.Header{"Api-Key": {"secret"}}},
		"Two":     {"a=1,b=2", http.Header{"A": {"1"}, "B": {"2"}}},
		"Encoded": {"a=1%2C2%3D3", http.Header{"A": {"1,2=3"}}},
		"Plus":    {"a=b+c==", http.Header{"A": {"b+c=="}}},
		"NoValue": {"secret", nil},
		"NoName":  {"=secret", nil},
		"BadName": {"a secret=1", nil},
		"BadCode": {"a=secret%zz", nil},
		"Line":    {"a=secret%0d%0ab:c", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(HeadersVariable, tc.text)
			c, err := newCollector("http://localhost:4318/v1/traces")
			if tc.want == nil {
				if err == nil || !strings.Contains(err.Error(), HeadersVariable) || strings.Contains(err.Error(), "secret") {
					t.Errorf("the message does not name the variable, or repeats what is in it: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, c.headers); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
