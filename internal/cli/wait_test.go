package cli

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/dynamic/fake"
)

// TestLooksOnce: a timeout of nothing looks, and waits for nothing, as that of kubectl wait does.
func TestLooksOnce(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want bool
	}{{nil, false}, {[]string{"--timeout", "0"}, true}, {[]string{"--timeout=0s"}, true}, {[]string{"--timeout=-1s"}, false}, {[]string{"--timeout=5s"}, false}} {
		timeout, command := time.Duration(0), &cobra.Command{}
		timeoutFlag(command, &timeout, "how long")
		if err := command.ParseFlags(tc.args); err != nil {
			t.Fatal(err)
		}
		if got := looksOnce(command, timeout); got != tc.want {
			t.Errorf("%v looks once: %t, want %t", tc.args, got, tc.want)
		}
	}
	for outcome, want := range map[string]int{"": exitTimeout, "Succeeded": exitYes, "Denied": exitDenied} {
		object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "signoff.dev/v1alpha1", "kind": "ActionRequest", "metadata": map[string]any{"namespace": "a", "name": "b"},
			"status": map[string]any{"phase": "Held", "waitingFor": "x", "outcome": outcome}}}
		var screen bytes.Buffer
		s := &session{Program: &Program{IO: genericiooptions.IOStreams{Out: &screen, ErrOut: &screen}},
			objects: fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{resourceOf(requests): "ActionRequestList"}, object)}
		err := s.await(t.Context(), "a", "b", &waitOptions{once: true, outputs: outputFlags(&cobra.Command{}, "")})
		got := exitYes
		if known := (*ending)(nil); errors.As(err, &known) {
			got = known.code
		} else if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("one that is %q ends with %d, want %d: %v %s", outcome, got, want, err, &screen)
		}
	}
}

// roundTrip answers as a function says.
type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestListener says once that nobody answers, and again after somebody has.
func TestListener(t *testing.T) {
	const said = "no answer from the API server; still trying\n"
	refused := errors.New("connection refused")
	cases := map[string]struct {
		reason  string
		query   string
		answers []any
		want    string
	}{
		"Answers":   {"all is well", "watch=true", []any{200, 200}, ""},
		"Away":      {"nobody answers for a while", "watch=true", []any{200, refused, refused, refused}, said},
		"Again":     {"it was there in between", "watch=true", []any{refused, 200, refused}, said + said},
		"Starting":  {"something answers for it", "watch=true", []any{503, 502}, said},
		"Forbidden": {"a no is an answer", "watch=true", []any{403, 410}, ""},
		"Other":     {"what is not tried again says itself what is wrong", "", []any{refused}, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var screen bytes.Buffer
			l := &listener{session: &session{Program: &Program{IO: genericiooptions.IOStreams{ErrOut: &screen}}}}
			for _, answer := range tc.answers {
				l.next = roundTrip(func(*http.Request) (*http.Response, error) {
					if code, ok := answer.(int); ok {
						return &http.Response{StatusCode: code, Body: http.NoBody}, nil
					}
					return nil, refused
				})
				response, err := l.RoundTrip(httptest.NewRequest(http.MethodGet, "/apis?"+tc.query, http.NoBody))
				if err == nil && response.Body.Close() != nil {
					t.Fatal("a body that cannot be closed")
				}
			}
			if screen.String() != tc.want {
				t.Errorf("%s: it says %q, want %q", tc.reason, screen.String(), tc.want)
			}
		})
	}
}
