package schema

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// selectCase is a field selector with an object that it finds; it does not find the sample of the kind.
type selectCase struct {
	reason   string
	kind     string
	change   string
	selector string
}

func selectCases() map[string]selectCase {
	return map[string]selectCase{
		"RequestsOfAnAction": {
			reason: "people look for one Action", kind: "actionrequest",
			change: "spec: {actionRef: {name: selected}}", selector: "spec.actionRef.name=selected",
		},
		"RequestsByOutcome": {
			reason: "people look for what failed", kind: "actionrequest",
			change: "status: {outcome: Failed, phase: Failed}", selector: "status.outcome=Failed",
		},
		"RequestsWithoutOutcome": {
			reason: "the operator watches what is not finished", kind: "actionrequest",
			change: "status: {outcome: null, phase: Held}", selector: "status.outcome=",
		},
		"RequestsNotWithoutOutcome": {
			reason: "retention looks for what is finished", kind: "actionrequest",
			change: "status: {outcome: Expired, phase: Expired}", selector: "status.outcome!=,status.phase=Expired",
		},
		"RequestsByPhase": {
			reason: "people look for what is held", kind: "actionrequest",
			change: "status: {outcome: null, phase: Approved}", selector: "status.phase=Approved",
		},
		"ApprovalsByState": {
			reason: "approvers look for what is open", kind: "approval",
			change: "status: {state: Expired}", selector: "status.state=Expired",
		},
		"ApprovalsOfARequest": {
			reason: "people look for one request", kind: "approval",
			change: "spec: {requestRef: {name: selected}}", selector: "spec.requestRef.name=selected",
		},
		"RecordsByOutcome": {
			reason: "a restarted operator looks for what has not ended", kind: "record",
			change: "status: {outcome: null}", selector: "status.outcome=",
		},
	}
}

// TestFieldSelectors selects objects on the API server by each selectable field, also by absence, which keeps finished requests
// out of the memory of the operator.
func TestFieldSelectors(t *testing.T) {
	t.Parallel()
	for name, tc := range selectCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			selected := withStatus(t, changed(t, sample(t, tc.kind), tc.change))
			other := withStatus(t, sample(t, tc.kind))
			got := namesOf(t, selected, tc.selector)
			if !got[selected.GetName()] || got[other.GetName()] {
				t.Errorf("%s: want %q to find %s and not %s, got %v", tc.reason, tc.selector, selected.GetName(), other.GetName(), got)
			}
		})
	}
}

func namesOf(t *testing.T, like *unstructured.Unstructured, selector string) map[string]bool {
	t.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(like.GroupVersionKind())
	if err := server.admin.List(t.Context(), list, client.MatchingFieldsSelector{Selector: fields.ParseSelectorOrDie(selector)}); err != nil {
		t.Fatalf("failed to list by %q: %v", selector, err)
	}
	out := map[string]bool{}
	for i := range list.Items {
		out[list.Items[i].GetName()] = true
	}
	return out
}

// TestOpenIsSelectable demands that an Approval can be selected by its state before the operator has written one, and where a
// write of status leaves it out.
func TestOpenIsSelectable(t *testing.T) {
	t.Parallel()
	for name, stored := range map[string]*unstructured.Unstructured{
		"new":           created(t, sample(t, "approval")),
		"without state": withStatus(t, changed(t, sample(t, "approval"), "status: {state: null}")),
	} {
		if !namesOf(t, stored, "status.state=Open")[stored.GetName()] {
			t.Errorf("want an Approval that is %s to be found by status.state=Open, but it was not", name)
		}
	}
}
