package timing

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestDrift changes, after people were asked, what would be changed: a field that the step writes. Other fields do not count.
func TestDrift(t *testing.T) {
	applied(t, "drift.yaml")
	for name, tc := range map[string]struct {
		reason, change string
		want           v1alpha1.Phase
	}{
		"drift-reapprove": {"people must see what is changed now", `{"data":{"mode":"theirs"}}`, v1alpha1.PhaseAwaitingApproval},
		"drift-proceed":   {"what was approved is sent, whatever it finds", `{"data":{"mode":"theirs"}}`, v1alpha1.PhaseSucceeded},
		"drift-fail":      {"nothing is done, and the request says why", `{"data":{"kept":"theirs"}}`, v1alpha1.PhaseFailed},
	} {
		t.Run(name, func(t *testing.T) {
			object := &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Namespace: "target", Name: name},
				Data:       map[string]string{"mode": "old", "kept": "same", "other": "1"},
			}
			if err := admin(t).Create(t.Context(), object); err != nil {
				t.Fatal(err)
			}
			r := reaches(t, ask(t, name, nil), v1alpha1.PhaseAwaitingApproval)
			first := approval(t, r, v1alpha1.ApprovalOpen)
			// What the step does not write is no drift: not for the first vote, and not for the second.
			for _, change := range []string{`{"data":{"other":"2"},"metadata":{"labels":{"a":"b"}}}`, tc.change} {
				if err := admin(t).Patch(t.Context(), object.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(change))); err != nil {
					t.Fatal(err)
				}
			}
			if err := approve(t, users.Bob, first); err != nil {
				t.Fatal(err)
			}
			if tc.want != v1alpha1.PhaseAwaitingApproval {
				done := reaches(t, r, tc.want)
				if text := strings.Join(done.Status.Summary, "\n"); tc.want == v1alpha1.PhaseFailed && !strings.Contains(text, "ConfigMap target/drift-fail is no longer as it was when people were asked: data.kept: theirs → same") {
					t.Errorf("%s: %s", tc.reason, text)
				}
				if got, written := configMap(t, name).Data, tc.want == v1alpha1.PhaseSucceeded; (got["mode"] == "new") != written {
					t.Errorf("%s, but the object is now %v", tc.reason, got)
				}
				return
			}
			closed := approval(t, r, v1alpha1.ApprovalSuperseded)
			if text := strings.Join(closed.Status.Decided, "\n"); closed.Name != first.Name || !strings.Contains(text, "data.mode: theirs → new") {
				t.Errorf("%s: %s", tc.reason, text)
			}
			second := approval(t, r, v1alpha1.ApprovalOpen)
			if second.Name == first.Name || second.Spec.Digest != first.Spec.Digest {
				t.Errorf("the digest stands for what is sent, which is the same: %s %s", first.Spec.Digest, second.Spec.Digest)
			}
			if err := approve(t, users.Bob, second); err != nil {
				t.Fatal(err)
			}
			reaches(t, r, v1alpha1.PhaseSucceeded)
		})
	}
}

// TestNoDrift approves while nothing that matters changes.
func TestNoDrift(t *testing.T) {
	applied(t, "drift.yaml")
	object := configMap(t, "drift-reapprove")
	if object == nil {
		object = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "target", Name: "drift-reapprove"}}
		if err := admin(t).Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	r := reaches(t, ask(t, "drift-reapprove", nil), v1alpha1.PhaseAwaitingApproval)
	open := approval(t, r, v1alpha1.ApprovalOpen)
	if err := admin(t).Patch(t.Context(), object, client.RawPatch(types.MergePatchType, []byte(`{"data":{"unrelated":"now"},"metadata":{"annotations":{"a":"b"}}}`))); err != nil {
		t.Fatal(err)
	}
	if err := approve(t, users.Bob, open); err != nil {
		t.Fatal(err)
	}
	reaches(t, r, v1alpha1.PhaseSucceeded)
}
