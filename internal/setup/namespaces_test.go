package setup

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestNamespacesWake: what rules can see of a namespace changes too when it is deleted, and when it is made again with other labels.
func TestNamespacesWake(t *testing.T) {
	plain, labelled := &corev1.Namespace{}, &corev1.Namespace{}
	plain.Name, labelled.Name = "production", "production"
	labelled.Labels = map[string]string{"tier": "critical"}
	var told []string
	handler := namespaceHandler(func(name string) { told = append(told, name) })
	for _, tc := range []struct {
		name string
		do   func()
		want []string
	}{
		{"there at the start", func() { handler.OnAdd(plain, true) }, nil},
		{"new", func() { handler.OnAdd(plain, false) }, []string{"production"}},
		{"the same", func() { handler.OnUpdate(plain, plain) }, nil},
		{"labelled", func() { handler.OnUpdate(plain, labelled) }, []string{"production"}},
		{"gone", func() { handler.OnDelete(labelled) }, []string{"production"}},
		{"gone unseen", func() { handler.OnDelete(toolscache.DeletedFinalStateUnknown{Obj: labelled}) }, []string{"production"}},
	} {
		told = nil
		if tc.do(); !cmp.Equal(told, tc.want) {
			t.Errorf("%s: want %v, got %v", tc.name, tc.want, told)
		}
	}
}

// TestNamespaceConcerns: of many requests that wait those are woken which a namespace can concern, and no others.
func TestNamespaceConcerns(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		status v1alpha1.ActionRequestStatus
		rests  string
		want   bool
	}{
		"Rests":     {"It was judged on what the namespace says.", v1alpha1.ActionRequestStatus{Phase: v1alpha1.PhaseAwaitingApproval}, "production", true},
		"Elsewhere": {"It was judged on what another one says.", v1alpha1.ActionRequestStatus{Phase: v1alpha1.PhaseAwaitingApproval}, "staging", false},
		"Denied":    {"A rule that reads no namespace denies it.", v1alpha1.ActionRequestStatus{Phase: v1alpha1.PhaseHeld}, "", false},
		"Writes":    {"It writes into it.", planning("ConfigMap production/limits"), "", true},
		"Other":     {"It writes into one whose name begins like it.", planning("ConfigMap production-2/production"), "", false},
		"Itself":    {"It makes the namespace.", planning("Namespace production"), "", true},
		"Many":      {"Not everything that it writes is stored.", v1alpha1.ActionRequestStatus{Phase: v1alpha1.PhaseHeld, Plan: []v1alpha1.PlannedChange{{Operation: "more"}}}, "", true},
		"New":       {"Nobody has judged it yet.", v1alpha1.ActionRequestStatus{}, "", true},
		"Pending":   {"Something keeps it from going on, which may be the namespace.", v1alpha1.ActionRequestStatus{Phase: v1alpha1.PhasePending}, "", true},
		"Executing": {"It is executed.", v1alpha1.ActionRequestStatus{Execution: &v1alpha1.ExecutionClaim{}}, "production", false},
	} {
		t.Run(name, func(t *testing.T) {
			request := &v1alpha1.ActionRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: "r"}, Status: tc.status}
			restsOn := func(asked types.NamespacedName, namespace string) bool {
				return asked == types.NamespacedName{Namespace: "payments", Name: "r"} && namespace == tc.rests
			}
			if got := len(concerned([]any{request}, "production", restsOn)) == 1; got != tc.want {
				t.Errorf("%s Woken: %t, want %t", tc.reason, got, tc.want)
			}
		})
	}
}

func planning(object string) v1alpha1.ActionRequestStatus {
	return v1alpha1.ActionRequestStatus{Phase: v1alpha1.PhaseAwaitingApproval, Plan: []v1alpha1.PlannedChange{{Operation: "apply", Object: object}}}
}

// TestWaits: a request that is executed, or is over, is not judged again.
func TestWaits(t *testing.T) {
	open := toolscache.NewStore(toolscache.MetaNamespaceKeyFunc)
	for name, execution := range map[string]*v1alpha1.ExecutionClaim{"waiting": nil, "executing": {}} {
		request := &v1alpha1.ActionRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: name}, Status: v1alpha1.ActionRequestStatus{Execution: execution}}
		if err := open.Add(request); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]bool{"waiting": true, "executing": false, "over": false} {
		if got := waits(open, types.NamespacedName{Namespace: "payments", Name: name}); got != want {
			t.Errorf("%s: want %t, got %t", name, want, got)
		}
	}
}
