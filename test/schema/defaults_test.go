package schema

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestDefaults demands every default that the CRDs set, in an object that says nothing itself.
func TestDefaults(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		reason string
		kind   string
		change string
		at     []any
		want   any
	}{
		"RequestTTL": {reason: "a request does not live for ever", kind: "action", change: "spec: {requestTTL: null}", at: []any{"spec", "requestTTL"}, want: "168h"},
		"Timeout":    {reason: "an execution ends", kind: "action", change: "spec: {execution: {timeout: null}}", at: []any{"spec", "execution", "timeout"}, want: "30m"},
		"Conflicts": {
			reason: "what somebody else owns is not taken by accident", kind: "action",
			change: "spec: {execution: {steps: [{name: a, apply: {manifests: [{}]}}]}}",
			at:     []any{"spec", "execution", "steps", 0, "apply", "conflicts"}, want: "Fail",
		},
		"Count": {
			reason: "one approval is the least", kind: "action",
			change: "spec: {stages: [{name: owners, requirements: [{name: a, approvers: {users: [a]}}]}]}",
			at:     []any{"spec", "stages", 0, "requirements", 0, "count"}, want: int64(1),
		},
		"NoCount": {
			reason: "a count beside requirements is refused, so none is set by default", kind: "action",
			change: "spec: {stages: [{name: owners, approvers: {users: [a]}}]}", at: []any{"spec", "stages", 0, "count"},
		},
		"MaxAge": {
			reason: "what a host says is not believed for ever", kind: "action",
			change: "spec: {lookups: [{as: a, http: {url: 'https://a', value: '1', schema: {type: integer}}}]}",
			at:     []any{"spec", "lookups", 0, "http", "maxAge"}, want: "5m",
		},
		"Votes":      {reason: "votes that are removed become an empty list, which is refused", kind: "approval", change: "spec: {votes: null}", at: []any{"spec", "votes"}, want: []any{}},
		"State":      {reason: "a new Approval is open", kind: "approval", at: []any{"status", "state"}, want: "Open"},
		"NoOutcome":  {reason: "an outcome is absent until the end", kind: "actionrequest", at: []any{"status", "outcome"}},
		"NoInputs":   {reason: "unset inputs stay unset", kind: "actionrequest", change: "spec: {inputs: null}", at: []any{"spec", "inputs"}},
		"NoPolicies": {reason: "an absent match means all", kind: "actionpolicy", change: "spec: {match: null}", at: []any{"spec", "match"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stored := created(t, changed(t, sample(t, tc.kind), tc.change))
			if diff := cmp.Diff(tc.want, get(stored.Object, tc.at...)); diff != "" {
				t.Errorf("%s: -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestObservedGeneration demands that a new object says that the operator has not seen it, which tools such as Flux take as
// "not ready yet"; and that what a client writes into status at creation is dropped.
func TestObservedGeneration(t *testing.T) {
	t.Parallel()
	for kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			stored := created(t, sample(t, kind))
			live := &unstructured.Unstructured{}
			live.SetGroupVersionKind(stored.GroupVersionKind())
			if err := server.admin.Get(t.Context(), client.ObjectKeyFromObject(stored), live); err != nil {
				t.Fatal(err)
			}
			want := map[string]any{"observedGeneration": int64(-1)}
			if kind == "approval" {
				want["state"] = "Open"
			}
			if diff := cmp.Diff(want, live.Object["status"]); diff != "" {
				t.Errorf("status of a new %s: -want, +got:\n%s", kind, diff)
			}
			result, err := kstatus.Compute(live)
			if err != nil {
				t.Fatal(err)
			}
			if result.Status != kstatus.InProgressStatus {
				t.Errorf("want kstatus to take a new %s as %s, got %s", kind, kstatus.InProgressStatus, result.Status)
			}
		})
	}
}
