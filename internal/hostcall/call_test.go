package hostcall

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/egress"
)

const token = "hunter2/t0ken+zq8w"

// secretReader has one Secret with this token, which the host may have.
type secretReader struct{ token string }

// Get implements Reader.
func (r secretReader) Get(context.Context, string, string, v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
	out := &unstructured.Unstructured{}
	raw, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"annotations": map[string]any{"signoff.dev/allowed-hosts": "127.0.0.1"}},
		"data": map[string][]byte{"token": []byte(r.token)},
	})
	if err == nil {
		err = json.Unmarshal(raw, &out.Object)
	}
	return out, err
}

// TestErrorsRepeatNoSecret lets a host write what it was sent where an error of the call quotes it. Whatever is unwrapped of the error as such, it is not there.
func TestErrorsRepeatNoSecret(t *testing.T) {
	for name, tc := range map[string]struct{ reason, answer, words string }{
		"Header": {"a header without a colon is quoted", "HTTP/1.1 200 OK\r\n%s\r\n\r\n", "malformed MIME header"},
		"Status": {"so is the line that should have the status", "%s\r\n\r\n", "malformed HTTP"},
		"Length": {"and a length that is none", "HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n", "Content-Length"},
		"Body":   {"what is wrong with a body is told in the same way", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n", "chunk"},
	} {
		t.Run(name, func(t *testing.T) {
			host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				connection, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = connection.Close() }()
				_, _ = fmt.Fprintf(connection, tc.answer, r.Header.Get("Authorization"))
			}))
			t.Cleanup(host.Close)
			caller := newCaller(host, secretReader{token})
			err := caller.Exchange(t.Context(), v1alpha1.HTTPGet, host.URL+"/a?b=c").Err
			if err == nil || !strings.Contains(err.Error(), tc.words) {
				t.Fatalf("%s: got %v", tc.reason, err)
			}
			if _, has := errors.AsType[*url.Error](err); has {
				t.Errorf("%s: whoever takes the URL away takes the redaction away, too", tc.reason)
			}
			if text := err.Error() + egress.WithoutURL(err).Error(); strings.Contains(text, token) {
				t.Errorf("%s: it tells what is in the Secret: %s", tc.reason, text)
			}
		})
	}
}

// TestNothingInSecret: what is left of a value, once the line break at its end is taken away, is nothing. A call without its credential is not made.
func TestNothingInSecret(t *testing.T) {
	for name, tc := range map[string]struct{ reason, value string }{
		"Empty":      {"there is nothing", ""},
		"Line":       {"an empty file has one", "\n"},
		"OtherLines": {"also those of other systems", "\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var called atomic.Bool
			host := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Store(true) }))
			t.Cleanup(host.Close)
			caller := newCaller(host, secretReader{tc.value})
			if err := caller.Exchange(t.Context(), v1alpha1.HTTPGet, host.URL).Err; called.Load() || !errors.Is(err, ErrUnfit) {
				t.Errorf("%s: called %t, %v", tc.reason, called.Load(), err)
			}
		})
	}
}

// newCaller calls a host with a token of a Secret.
func newCaller(host *httptest.Server, secrets Reader) *Caller {
	return &Caller{
		Egress: egress.New([]egress.Host{{
			Name: "127.0.0.1", Ports: []uint16{netip.MustParseAddrPort(host.Listener.Addr().String()).Port()},
			Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Plain: true,
		}}),
		Secrets: secrets, Unagreed: true, Clock: clock.RealClock{},
		HTTP: &v1alpha1.RenderedHTTP{Headers: []v1alpha1.RenderedHeader{{Name: "Authorization", Prefix: "Bearer ", Secret: &v1alpha1.RecordedSecret{SecretKey: v1alpha1.SecretKey{Name: "calls", Key: "token"}}}}},
	}
}
