package webhooks

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// TestAnswersAreReadable: whatever a name or a fact brings in, no terminal obeys it, and no warning is dropped for it.
func TestAnswersAreReadable(t *testing.T) {
	tricky := hook(func(context.Context, admission.Request) admission.Response {
		return forbidden("", "ask \x1b[2Jbob\u202e\n  or carol é").WithWarnings("from bob\n\x1b[8m")
	})
	response := tricky.Handler.Handle(t.Context(), admission.Request{})
	if diff := cmp.Diff("ask \\x1b[2Jbob\\u202e\n  or carol é", response.Result.Message); diff != "" {
		t.Errorf("a message: -want, +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{`from bob\n\x1b[8m`}, response.Warnings); diff != "" {
		t.Errorf("a warning is one line: -want, +got:\n%s", diff)
	}
}
