package cli

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/cli/agent"
	"github.com/signoff-dev/signoff/internal/cli/typed"
)

// TestRepeated takes over what was asked, and for whom.
func TestRepeated(t *testing.T) {
	everything := map[string]any{
		"actionRef": map[string]any{"namespace": "platform", "name": "note"}, "inputs": map[string]any{"text": "a"}, "reason": "r", "duration": "2h",
		"notBefore": "2026-12-24T09:00:00Z", "expiresAt": "2026-12-25T09:00:00Z", "breakGlass": map[string]any{"reason": "down"},
		"onBehalfOf": map[string]any{"username": "dave"}, "requester": map[string]any{"username": "ci"}, "seal": map[string]any{},
	}
	spec, values := repeated(&unstructured.Unstructured{Object: map[string]any{"spec": everything}})
	want := map[string]any{
		"actionRef": map[string]any{"namespace": "platform", "name": "note"}, "reason": "r", "duration": "2h", "onBehalfOf": map[string]any{"username": "dave"},
	}
	if diff := cmp.Diff(want, spec); diff != "" {
		t.Errorf("what is repeated (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"text": "a"}, values); diff != "" {
		t.Errorf("the inputs (-want +got):\n%s", diff)
	}
}

// TestPromptFor says how a list is typed.
func TestPromptFor(t *testing.T) {
	if got, want := promptFor(&typed.Input{Name: "text", Kind: "string"}), "text (string): "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := promptFor(&typed.Input{Name: "tags", Kind: "list of string", List: true}), `tags (list of string; several with commas between, or JSON such as ["a"]): `; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestAgentReadsOnBehalfOf as a claim of whoever asked, among what is not to be trusted.
func TestAgentReadsOnBehalfOf(t *testing.T) {
	request := &v1alpha1.ActionRequest{Spec: v1alpha1.ActionRequestSpec{
		Requester: &v1alpha1.Identity{Username: "ci"}, OnBehalfOf: &v1alpha1.OnBehalfOf{Username: "dave"},
	}}
	answer := about(agent.Say(agent.CodeOK, "x"), request)
	if diff := cmp.Diff(&agent.Data{Untrusted: true, Texts: []agent.Text{{What: "onBehalfOf, as it says", By: "ci", Text: "dave"}}}, answer.Data); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
