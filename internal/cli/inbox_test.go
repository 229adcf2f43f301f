package cli

import (
	"bytes"
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/signoff-dev/signoff/internal/gate"
)

// denial is a refusal as the API server tells it.
func denial(code int32, reason metav1.StatusReason, message string, details *metav1.StatusDetails) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message, Details: details}}
}

// TestMayNotVote takes for a no what Signoff or RBAC says, and nothing else.
func TestMayNotVote(t *testing.T) {
	withCause := &metav1.StatusDetails{Group: "signoff.dev", Kind: "approvals", Name: "one", Causes: []metav1.StatusCause{{Message: "no"}}}
	caused := func(kind metav1.CauseType) *metav1.StatusDetails {
		return &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: kind}}}
	}
	cases := map[string]struct {
		reason  string
		answer  error
		unknown bool
	}{
		"Ours":     {"whoever may not vote", denial(403, metav1.StatusReasonForbidden, ourRefusal+"you cannot approve this: you asked for it.", nil), false},
		"Invalid":  {"what our webhook finds invalid", denial(422, metav1.StatusReasonInvalid, ourRefusal+"x is invalid", withCause), false},
		"Untold":   {"what our webhook could not tell, in whatever words", denial(403, metav1.StatusReasonForbidden, ourRefusal+"cannot tell whether bob could act as ServiceAccount ci/agent", caused(gate.CauseTransient)), true},
		"Words":    {"words alone mean nothing", denial(403, metav1.StatusReasonForbidden, ourRefusal+"you cannot approve this. Try again in another life.", caused("Verdict")), false},
		"RBAC":     {"whoever may not write", apierrors.NewForbidden(resourceOf(approvals).GroupResource(), "one", errors.New(`User "eve" cannot patch resource`)), false},
		"Gone":     {"what is gone waits for nobody", apierrors.NewNotFound(resourceOf(approvals).GroupResource(), "one"), false},
		"Busy":     {"our webhook judged nothing", denial(429, metav1.StatusReasonTooManyRequests, ourRefusal+"too many dry runs", nil), true},
		"Other":    {"another webhook knows nothing of it", denial(403, metav1.StatusReasonForbidden, `admission webhook "labels.example.com" denied the request: no label`, nil), true},
		"Policy":   {"nor does an admission policy", denial(422, metav1.StatusReasonInvalid, "approvals is forbidden: ValidatingAdmissionPolicy x denied request", withCause), true},
		"Policed":  {"also one that calls itself forbidden", denial(403, metav1.StatusReasonForbidden, "approvals is forbidden: ValidatingAdmissionPolicy x denied request", withCause), true},
		"Conflict": {"somebody wrote at the same moment", apierrors.NewConflict(resourceOf(approvals).GroupResource(), "one", errors.New("changed")), true},
		"Away":     {"our webhook does not answer", denial(500, metav1.StatusReasonInternalError, `failed calling webhook "approvals.signoff.dev"`, nil), true},
		"Network":  {"nobody answers", errors.New("connection refused"), true},
	}
	approval := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "signoff.dev/v1alpha1", "kind": "Approval", "metadata": map[string]any{"namespace": "payments", "name": "one"},
	}}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			objects := fake.NewSimpleDynamicClient(runtime.NewScheme())
			objects.PrependReactor("patch", "approvals", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, tc.answer })
			mine, err := waitsForMe(t.Context(), objects, approval, func() bool { return false })
			if mine || (err != nil) != tc.unknown || isRefusal(err) {
				t.Errorf("%s: it waits: %t, and the error is %v", tc.reason, mine, err)
			}
		})
	}
}

// TestInboxIsPatient: where somebody has no dry run left, their inbox waits until there is one.
func TestInboxIsPatient(t *testing.T) {
	approval := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "signoff.dev/v1alpha1", "kind": "Approval", "metadata": map[string]any{"namespace": "payments", "name": "one"},
	}}
	answers := []error{
		denial(429, metav1.StatusReasonTooManyRequests, ourRefusal+"too many dry runs", nil), denial(429, metav1.StatusReasonTooManyRequests, ourRefusal+"too many dry runs", nil),
		denial(403, metav1.StatusReasonForbidden, ourRefusal+"you cannot approve this: you asked for it.", nil),
	}
	tries, waits := 0, 0
	objects := fake.NewSimpleDynamicClient(runtime.NewScheme())
	objects.PrependReactor("patch", "approvals", func(clienttesting.Action) (bool, runtime.Object, error) {
		tries++
		return true, nil, answers[tries-1]
	})
	mine, err := waitsForMe(t.Context(), objects, approval, func() bool { waits++; return true })
	if mine || err != nil || tries != 3 || waits != 2 {
		t.Errorf("it waits for them: %t, %v, after %d tries and %d pauses", mine, err, tries, waits)
	}
}

// TestPrintInbox never says that nothing waits where it could not be told.
func TestPrintInbox(t *testing.T) {
	cases := map[string]struct {
		reason string
		failed []string
		want   string
	}{
		"Nothing": {"all were told", nil, "nothing waits for you; open Approvals that wait for others, or on which you voted: 0\n"},
		"Unknown": {"one was not", []string{"cannot tell whether a/b waits for you: x"}, "error: cannot tell whether a/b waits for you: x\n"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var out, screen bytes.Buffer
			p := &Program{IO: genericiooptions.IOStreams{Out: &out, ErrOut: &screen}}
			o := &inboxOptions{outputs: &outputs{flags: genericclioptions.NewPrintFlags("")}}
			err := p.printInbox(o, &table{}, &tried{failed: tc.failed})
			if errors.Is(err, errSaid) != (len(tc.failed) > 0) || screen.String() != tc.want {
				t.Errorf("%s: it ends with %v, and says %q", tc.reason, err, screen.String())
			}
		})
	}
}
