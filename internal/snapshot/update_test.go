package snapshot

import (
	"reflect"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// governing are objects of every kind that a snapshot holds, each with what tells that its status is another one, and its spec.
func governing() map[string]struct {
	object       client.Object
	status, spec func(client.Object)
} {
	ready := []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "Invalid"}}
	return map[string]struct {
		object       client.Object
		status, spec func(client.Object)
	}{
		"Action": {
			&v1alpha1.Action{}, func(o client.Object) { o.(*v1alpha1.Action).Status.Conditions = ready },
			func(o client.Object) { o.(*v1alpha1.Action).Spec.Title = "other" },
		},
		"Role": {
			&v1alpha1.Role{}, func(o client.Object) { o.(*v1alpha1.Role).Status.Conditions = ready },
			func(o client.Object) { o.(*v1alpha1.Role).Spec.Members.Users = []string{"eve"} },
		},
		"Team": {
			&v1alpha1.Team{}, func(o client.Object) { o.(*v1alpha1.Team).Status.Conditions = ready },
			func(o client.Object) { o.(*v1alpha1.Team).Spec.Parent = "other" },
		},
		"Calendar": {
			&v1alpha1.Calendar{}, func(o client.Object) { o.(*v1alpha1.Calendar).Status.Conditions = ready },
			func(o client.Object) { o.(*v1alpha1.Calendar).Spec.TimeZone = "Europe/London" },
		},
		"ActionPolicy": {
			&v1alpha1.ActionPolicy{}, func(o client.Object) { o.(*v1alpha1.ActionPolicy).Status.Holding = 5001 },
			func(o client.Object) { o.(*v1alpha1.ActionPolicy).Spec.Rules = []v1alpha1.PolicyRule{{Name: "other"}} },
		},
		"Delegation": {
			&v1alpha1.Delegation{}, func(o client.Object) { o.(*v1alpha1.Delegation).Status.Conditions = ready },
			func(o client.Object) { o.(*v1alpha1.Delegation).Spec.Actions = []string{"other"} },
		},
	}
}

// TestUpdatesThatDecide: whoever waits is judged again after what a decision can rest on, and not after what only says how an object stands.
func TestUpdatesThatDecide(t *testing.T) {
	for kind, of := range governing() {
		of.object.SetName("one")
		of.object.SetGeneration(3)
		for name, tc := range map[string]struct {
			reason string
			change func(client.Object)
			want   int
		}{
			"Nothing":    {"It was read again.", func(client.Object) {}, 0},
			"Status":     {"What is said of it decides nothing.", of.status, 0},
			"Manager":    {"Nor does who wrote which field.", func(o client.Object) { o.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "kubectl"}}) }, 0},
			"Spec":       {"What it says does.", of.spec, 1},
			"Generation": {"So does what only its generation tells.", func(o client.Object) { o.SetGeneration(4) }, 1},
			"Label":      {"Labels are selected by.", func(o client.Object) { o.SetLabels(map[string]string{"risk": "high"}) }, 1},
			"Annotation": {"Annotations say who has changed it.", func(o client.Object) { o.SetAnnotations(map[string]string{v1alpha1.AnnotationEdits: "{}"}) }, 1},
			"Again":      {"It was deleted and made again.", func(o client.Object) { o.SetUID("other") }, 1},
			"Deleted":    {"It is being deleted.", func(o client.Object) { o.SetDeletionTimestamp(&metav1.Time{Time: time.Unix(1, 0)}) }, 1},
		} {
			t.Run(kind+name, func(t *testing.T) {
				told := 0
				store := NewStore(func() { told++ })
				store.Put(of.object)
				store.Rebuild()
				told = 0
				after, ok := of.object.DeepCopyObject().(client.Object)
				if !ok {
					t.Fatal("a copy is no object")
				}
				after.SetResourceVersion("2")
				tc.change(after)
				store.Update(of.object, after)
				store.Rebuild()
				if told != tc.want {
					t.Errorf("%s Want to be told %d times, was %d times.", tc.reason, tc.want, told)
				}
			})
		}
	}
}

// TestStatesThatAreRead: of what is said of governing objects two things are told to people, so that the snapshot must have them.
func TestStatesThatAreRead(t *testing.T) {
	told := 0
	store := NewStore(func() { told++ })
	before := action(nil)
	store.Put(before)
	store.Rebuild()
	after := before.DeepCopy()
	after.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Message: "no ServiceAccount"}}
	told = 0
	store.Update(before, after)
	store.Rebuild()
	if got := store.Current().ActionObject(v1alpha1.ActionReference{Namespace: before.Namespace, Name: before.Name}); told != 0 || !reflect.DeepEqual(got.Status, after.Status) {
		t.Errorf("whoever asks is told that the Action is not ready, and nobody is judged again for it; told %d times, got %+v", told, got.Status)
	}
	pending := &v1alpha1.Delegation{}
	active := pending.DeepCopy()
	active.Status.State = v1alpha1.DelegationActive
	store.Put(pending)
	store.Rebuild()
	told = 0
	store.Update(pending, active)
	store.Rebuild()
	if got := store.Current().Delegation(""); told != 1 || got.Status.State != v1alpha1.DelegationActive {
		t.Errorf("who may vote for others is named to whoever waits; told %d times, got %+v", told, got.Status)
	}
}
