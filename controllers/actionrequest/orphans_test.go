package actionrequest

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	book "github.com/signoff-dev/signoff/internal/record"
)

// TestIsAlone: whose request is gone is brought to its end by one that asks the same, as long as that one is not over, and else by nobody else.
func TestIsAlone(t *testing.T) {
	asked := func(uid types.UID, reason string, outcome v1alpha1.Outcome) *v1alpha1.ActionRequest {
		r := &v1alpha1.ActionRequest{
			ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: "x", UID: uid},
			Spec:       v1alpha1.ActionRequestSpec{Reason: reason, ExpiresAt: new(metav1.Unix(1e9, 0))},
		}
		r.Status.Outcome = outcome
		return r
	}
	first := asked("first", "fix", "")
	name, err := book.Name(first)
	if err != nil {
		t.Fatal(err)
	}
	record := &v1alpha1.Record{ObjectMeta: metav1.ObjectMeta{Name: name}}
	record.Spec.RequestRef = v1alpha1.RecordRequestReference{Namespace: first.Namespace, Name: first.Name, UID: first.UID}
	for name, tc := range map[string]struct {
		reason      string
		there       *v1alpha1.ActionRequest
		alone, free bool
	}{
		"Gone":    {"nobody else can", nil, true, true},
		"Own":     {"the reconciler does it", first, false, false},
		"Same":    {"it waits for the end of the first, and brings it there", asked("second", "fix", ""), false, false},
		"Over":    {"nobody looks any more at one that is over: it may have been cancelled, or forged", asked("second", "fix", v1alpha1.OutcomeCancelled), true, true},
		"Another": {"it has nothing to do with it", asked("second", "other", ""), true, false},
		"Ended":   {"and holds no objects either", asked("second", "other", v1alpha1.OutcomeSucceeded), true, true},
	} {
		t.Run(name, func(t *testing.T) {
			scheme := runtime.NewScheme()
			if err := v1alpha1.AddToScheme(scheme); err != nil {
				t.Fatal(err)
			}
			builder := fake.NewClientBuilder().WithScheme(scheme)
			if tc.there != nil {
				builder = builder.WithObjects(tc.there)
			}
			o := &Orphans{Reviewer: &Reviewer{Reconciler: &Reconciler{Reader: builder.Build()}}}
			alone, free, err := o.isAlone(t.Context(), requestOf(record), record)
			if err != nil || alone != tc.alone || free != tc.free {
				t.Errorf("%s: got alone %t, free %t, %v", tc.reason, alone, free, err)
			}
		})
	}
}
