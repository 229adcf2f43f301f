package cli

import (
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/cli/agent"
)

// TestAdvice: an agent is told what to do next by how far a request is, also where it asks for the same again.
func TestAdvice(t *testing.T) {
	who := &v1alpha1.Identity{Username: "bot", UID: "1"}
	for name, tc := range map[string]struct {
		reason    string
		state     string
		outcome   v1alpha1.Outcome
		cancelled bool
		code      agent.Code
		advice    agent.Advice
	}{
		"New":             {"nothing is known of it yet", "", "", false, v1alpha1.ReasonPending, agent.AdviceWait},
		"Waiting":         {"people decide", v1alpha1.ReasonAwaitingApproval, "", false, v1alpha1.ReasonAwaitingApproval, agent.AdviceWait},
		"Active":          {"it is there to be used now, and gone in the end", v1alpha1.ReasonActive, "", false, v1alpha1.ReasonActive, agent.AdviceNone},
		"ActiveCancelled": {"it is about to be taken back", v1alpha1.ReasonActive, "", true, agent.CodeCancelRecorded, agent.AdviceWait},
		"Reverting":       {"its end is near", v1alpha1.ReasonReverting, "", true, v1alpha1.ReasonReverting, agent.AdviceWait},
		"Unknown":         {"a person must look", v1alpha1.ReasonOutcomeUnknown, "", false, v1alpha1.ReasonOutcomeUnknown, agent.AdviceAskPerson},
		"Unsatisfiable":   {"nobody can approve", v1alpha1.ReasonUnsatisfiable, "", false, v1alpha1.ReasonUnsatisfiable, agent.AdviceAskPerson},
		"GuardMissing":    {"nothing starts until somebody acts", v1alpha1.ReasonGuardMissing, "", false, v1alpha1.ReasonGuardMissing, agent.AdviceAskPerson},
		"Denied":          {"a person said no", v1alpha1.ReasonDenied, v1alpha1.OutcomeDenied, false, v1alpha1.ReasonDenied, agent.AdviceAskPerson},
		"Failed":          {"somebody must look", v1alpha1.ReasonFailed, v1alpha1.OutcomeFailed, false, v1alpha1.ReasonFailed, agent.AdviceAskPerson},
		"Succeeded":       {"all is done", v1alpha1.ReasonSucceeded, v1alpha1.OutcomeSucceeded, false, v1alpha1.ReasonSucceeded, agent.AdviceNone},
	} {
		t.Run(name, func(t *testing.T) {
			request := &v1alpha1.ActionRequest{Spec: v1alpha1.ActionRequestSpec{Requester: who}, Status: v1alpha1.ActionRequestStatus{Outcome: tc.outcome}}
			if tc.state != "" {
				request.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Reason: tc.state}}
			}
			if tc.cancelled {
				request.Spec.Cancellation = &v1alpha1.Cancellation{Reason: "done"}
			}
			if got := statusOf(request); got.Code != tc.code || got.Retry.Advice != tc.advice {
				t.Errorf("%s: it is %s, and the advice %s", tc.reason, got.Code, got.Retry.Advice)
			}
			known, err := runtime.DefaultUnstructuredConverter.ToUnstructured(request)
			if err != nil {
				t.Fatal(err)
			}
			object := &unstructured.Unstructured{Object: known}
			again := sameRequest(&authenticationv1.UserInfo{Username: who.Username, UID: who.UID}, object, object)
			if again.Code != agent.CodeAlreadyRequested || again.Retry.Advice != tc.advice {
				t.Errorf("%s: asked again, it is %s, and the advice %s", tc.reason, again.Code, again.Retry.Advice)
			}
		})
	}
}
