package schema

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

func typed() map[string]client.Object {
	return map[string]client.Object{
		"action":        &v1alpha1.Action{},
		"actionpolicy":  &v1alpha1.ActionPolicy{},
		"actionrequest": &v1alpha1.ActionRequest{},
		"approval":      &v1alpha1.Approval{},
		"calendar":      &v1alpha1.Calendar{},
		"delegation":    &v1alpha1.Delegation{},
		"notifier":      &v1alpha1.Notifier{},
		"record":        &v1alpha1.Record{},
		"role":          &v1alpha1.Role{},
		"team":          &v1alpha1.Team{},
	}
}

// TestTypedClientLosesNothing reads every kind with its Go type and writes it back, object and status. If a Go type lost or
// respelt anything, the rules that forbid a change would refuse the operator's own writes, for example of a finalizer.
func TestTypedClientLosesNothing(t *testing.T) {
	t.Parallel()
	for kind, object := range typed() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			stored := withStatus(t, sample(t, kind))
			if err := server.admin.Get(t.Context(), client.ObjectKeyFromObject(stored), object); err != nil {
				t.Fatal(err)
			}
			if err := server.admin.Update(t.Context(), object); err != nil {
				t.Errorf("failed to write %s back: %v", kind, err)
			}
			if err := server.admin.Status().Update(t.Context(), object); err != nil {
				t.Errorf("failed to write the status of %s back: %v", kind, err)
			}
			// A request's expiresAt is spelt with an offset in the sample; the Go type spells the same instant in UTC.
			if kind != "actionrequest" && object.GetResourceVersion() != stored.GetResourceVersion() {
				t.Errorf("want %s unchanged, but its resourceVersion moved from %s to %s", kind, stored.GetResourceVersion(), object.GetResourceVersion())
			}
		})
	}
}

// TestTypedClientCreates creates objects with as little as the Go types allow, nil lists among them.
func TestTypedClientCreates(t *testing.T) {
	t.Parallel()
	approval := &v1alpha1.Approval{}
	stored := created(t, sample(t, "approval"))
	if err := server.admin.Get(t.Context(), client.ObjectKeyFromObject(stored), approval); err != nil {
		t.Fatal(err)
	}
	approval.ObjectMeta.Reset()
	approval.GenerateName, approval.Namespace = "typed-", stored.GetNamespace()
	approval.Spec.Votes, approval.Status = nil, v1alpha1.ApprovalStatus{}
	if err := server.admin.Create(t.Context(), approval); err != nil {
		t.Fatalf("failed to create an Approval without votes: %v", err)
	}
	if approval.Spec.Votes == nil || approval.Status.State != v1alpha1.ApprovalOpen || approval.Status.ObservedGeneration != -1 {
		t.Errorf("want no votes, state Open and observedGeneration -1, got %v, %+v", approval.Spec.Votes, approval.Status)
	}
}

// TestOddSpellingsStayWritable adds a finalizer to requests that are spelt as no Go type would spell them.
func TestOddSpellingsStayWritable(t *testing.T) {
	t.Parallel()
	for _, change := range []string{
		"spec: {notBefore: '2026-12-01T10:00:00+05:30'}",
		"spec: {inputs: {image: null, ratio: null, ports: null, labels: null}}",
		"spec: {inputs: {large: 9007199254740993, exponent: 1.5e300, text: 'a\\u2028b', nothing: [null]}}",
		"spec: {requester: null, reason: null, cancellation: null, resolutions: null}",
	} {
		request := &v1alpha1.ActionRequest{}
		stored := created(t, changed(t, sample(t, "actionrequest"), change))
		if err := server.admin.Get(t.Context(), client.ObjectKeyFromObject(stored), request); err != nil {
			t.Fatal(err)
		}
		request.Finalizers = []string{v1alpha1.RequestFinalizer}
		if err := server.admin.Update(t.Context(), request, client.DryRunAll); err != nil {
			t.Errorf("%s: want a finalizer to be added, got: %v", change, err)
		}
	}
}
