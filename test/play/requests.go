package play

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

// World is the file of Actions, Roles and Teams that most requests of tests are about.
const World = "test/play/testdata/world.yaml"

// Inputs of the Action deploy of World.
const (
	// ProductionInputs need somebody of team payments to agree.
	ProductionInputs = `{"service":"checkout","environment":"production","image":"registry/checkout:x"}`
	// StagingInputs need nobody.
	StagingInputs = `{"service":"checkout","environment":"staging","image":"registry/checkout:x"}`
)

// Admin gives a client that prepares and looks; it never acts as a user would.
func (p *Play) Admin(t testing.TB) client.WithWatch {
	t.Helper()
	return As(t, env.Person{Name: "admin", Config: p.Cluster.Admin})
}

// Request makes a request for an Action.
func Request(action string, inputs string) *v1alpha1.ActionRequest {
	return &v1alpha1.ActionRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: env.WorkNamespace, GenerateName: action + "-"},
		Spec: v1alpha1.ActionRequestSpec{
			ActionRef: v1alpha1.ActionReference{Namespace: env.CatalogNamespace, Name: action},
			Inputs:    &runtime.RawExtension{Raw: []byte(inputs)}, Reason: "a test",
		},
	}
}

// Ask creates a request and expects it to be admitted.
func Ask(t testing.TB, who env.Person, r *v1alpha1.ActionRequest) *v1alpha1.ActionRequest {
	t.Helper()
	Eventually(t, "the request of "+who.Name, func() (bool, string) {
		attempt := r.DeepCopy()
		err := As(t, who).Create(t.Context(), attempt)
		if err == nil {
			*r = *attempt
			return true, ""
		}
		// Only an Action or a Role that the snapshot has not seen yet may still change the answer.
		if !strings.Contains(err.Error(), "there is no") && !strings.Contains(err.Error(), "you ("+who.Name+") may not") {
			t.Fatalf("%s could not ask: %v", who.Name, err)
		}
		return false, err.Error()
	})
	return r
}

// Reaches waits for a phase.
func (p *Play) Reaches(t testing.TB, r *v1alpha1.ActionRequest, phase v1alpha1.Phase) *v1alpha1.ActionRequest {
	t.Helper()
	live := &v1alpha1.ActionRequest{}
	Eventually(t, fmt.Sprintf("phase %s of %s", phase, r.Name), func() (bool, string) {
		if err := p.Admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), live); err != nil {
			return false, err.Error()
		}
		if live.Status.Outcome != "" && live.Status.Phase != phase {
			t.Fatalf("%s ended as %s instead of reaching %s: %+v", r.Name, live.Status.Outcome, phase, live.Status.Conditions)
		}
		return live.Status.Phase == phase, fmt.Sprintf("%s %+v", live.Status.Phase, live.Status.Conditions)
	})
	return live
}

// ApprovalsOf waits for so many Approvals of a request, and gives them by name.
func (p *Play) ApprovalsOf(t testing.TB, r *v1alpha1.ActionRequest, count int) []v1alpha1.Approval {
	t.Helper()
	list := &v1alpha1.ApprovalList{}
	Eventually(t, fmt.Sprintf("%d Approvals of %s", count, r.Name), func() (bool, string) {
		err := p.Admin(t).List(t.Context(), list, client.InNamespace(r.Namespace), client.MatchingLabels{v1alpha1.LabelRequestUID: string(r.UID)})
		return err == nil && len(list.Items) == count, fmt.Sprintf("%d, %v", len(list.Items), err)
	})
	return list.Items
}

// Vote votes as kubectl patch --type merge would.
func Vote(t testing.TB, who env.Person, approval *v1alpha1.Approval, decision v1alpha1.Decision, comment string) error {
	t.Helper()
	body, err := json.Marshal(map[string]any{"spec": map[string]any{"vote": v1alpha1.VoteRequest{Decision: decision, Comment: comment}}})
	if err != nil {
		t.Fatal(err)
	}
	return Patch(t, who, approval, string(body))
}

// Patch merges a body into an object.
func Patch(t testing.TB, who env.Person, object client.Object, body string) error {
	t.Helper()
	return As(t, who).Patch(t.Context(), object.DeepCopyObject().(client.Object), client.RawPatch(types.MergePatchType, []byte(body))) //nolint:forcetypeassert // a copy has the type of the original
}

// Refused checks that a write was refused with the words that help.
func Refused(t testing.TB, err error, status metav1.StatusReason, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("the write was accepted; it should have been refused with %q", words)
	}
	if got := apierrors.ReasonForError(err); got != status {
		t.Errorf("the write was refused as %s, want %s: %v", got, status, err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the refusal does not say %q:\n%v", word, err)
		}
	}
}

// Namespace makes a namespace.
func (p *Play) Namespace(t testing.TB, name string) {
	t.Helper()
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := p.Admin(t).Create(t.Context(), object); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatalf("failed to create namespace %s: %v", name, err)
	}
}

// ErrText is the text of an error, if there is one.
func ErrText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
