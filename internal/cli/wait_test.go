package cli

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"
)

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
