package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestUndecided finds what is to be decided where nobody names it, and shows it to who decides.
func TestUndecided(t *testing.T) {
	ready := func(reason string) []metav1.Condition {
		return []metav1.Condition{{Type: v1alpha1.ConditionReady, Reason: reason}}
	}
	for name, tc := range map[string]struct {
		reason string
		status v1alpha1.ActionRequestStatus
		want   string
		says   string
	}{
		"Step": {
			"a step of which nobody knows how it ended",
			v1alpha1.ActionRequestStatus{Phase: v1alpha1.PhaseOutcomeUnknown, Steps: []v1alpha1.StepStatus{{Name: "call", State: v1alpha1.StepUnknown, Message: "it is lost"}}},
			"call", "step call: it is lost",
		},
		"Revert": {
			"what cannot be taken back",
			v1alpha1.ActionRequestStatus{Phase: v1alpha1.PhaseReverting, WaitingFor: "ConfigMap a/b is left", Conditions: ready(v1alpha1.ReasonRevertFailed)},
			"revert", "ConfigMap a/b is left",
		},
		"RevertOfAnother": {
			"that of a request before it is not its own",
			v1alpha1.ActionRequestStatus{Phase: v1alpha1.PhaseReverting, Conditions: ready(v1alpha1.ReasonAlreadyExecuted)}, "", "",
		},
		"Active": {"nothing is being taken back yet", v1alpha1.ActionRequestStatus{Phase: v1alpha1.PhaseActive, Conditions: ready(v1alpha1.ReasonActive)}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&v1alpha1.ActionRequest{Status: tc.status})
			if err != nil {
				t.Fatal(err)
			}
			said := &bytes.Buffer{}
			s := &session{Program: &Program{IO: genericiooptions.IOStreams{ErrOut: said}}}
			got, err := s.undecided(&unstructured.Unstructured{Object: object})
			if _, nothing := errors.AsType[*ending](err); got != tc.want || nothing != (tc.want == "") || !strings.Contains(said.String(), tc.says) {
				t.Errorf("%s: got %q, %v, and %q", tc.reason, got, err, said)
			}
		})
	}
}
