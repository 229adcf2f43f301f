package record

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

func asked() *v1alpha1.ActionRequest {
	at := metav1.NewTime(time.Date(2026, 12, 2, 10, 0, 0, 0, time.UTC))
	r := &v1alpha1.ActionRequest{Spec: v1alpha1.ActionRequestSpec{
		ActionRef: v1alpha1.ActionReference{Namespace: "platform", Name: "deploy"}, Reason: "fix",
		Inputs: &runtime.RawExtension{Raw: []byte(`{"image":"a:1","replicas":3}`)}, ExpiresAt: &at,
	}}
	r.Namespace, r.Name, r.UID = "payments", "checkout-1-42", "6f1d2c1e-96a7-4e0f-8f0f-6f0a3f3f9002"
	return r
}

// TestNameOfTheContent is what makes the same request find the Record of the first one: neither who asks, nor how it is written, nor what came
// later changes it, and everything that somebody asks for does.
func TestNameOfTheContent(t *testing.T) {
	later := func(after time.Duration) *metav1.Time { return &metav1.Time{Time: asked().Spec.ExpiresAt.Add(after)} }
	first, err := Name(asked())
	if err != nil || !strings.HasPrefix(first, "content-") || len(first) != len("content-")+contentDigits {
		t.Fatalf("got %q, %v", first, err)
	}
	for name, tc := range map[string]struct {
		reason string
		same   bool
		change func(*v1alpha1.ActionRequest)
	}{
		"Again":     {"another object", true, func(r *v1alpha1.ActionRequest) { r.UID = "other" }},
		"Requester": {"whoever applies it", true, func(r *v1alpha1.ActionRequest) { r.Spec.Requester = &v1alpha1.Identity{Username: "eve"} }},
		"Seal":      {"the seal is of each", true, func(r *v1alpha1.ActionRequest) { r.Spec.Seal = &v1alpha1.RequestSeal{Nonce: "x"} }},
		"Cancelled": {"that comes later", true, func(r *v1alpha1.ActionRequest) { r.Spec.Cancellation = &v1alpha1.Cancellation{Reason: "x"} }},
		"Resolved":  {"that comes later", true, func(r *v1alpha1.ActionRequest) { r.Spec.Resolutions = []v1alpha1.Resolution{{}} }},
		"Labels":    {"tools add them", true, func(r *v1alpha1.ActionRequest) { r.Labels = map[string]string{"a": "b"} }},
		"Written":   {"the order of inputs means nothing", true, func(r *v1alpha1.ActionRequest) { r.Spec.Inputs.Raw = []byte(`{ "replicas": 3.0, "image": "a:1" }`) }},
		"Offset": {"the same instant", true, func(r *v1alpha1.ActionRequest) {
			r.Spec.ExpiresAt = &metav1.Time{Time: r.Spec.ExpiresAt.In(time.FixedZone("", 3600))}
		}},
		"Namespace":   {"it is elsewhere", false, func(r *v1alpha1.ActionRequest) { r.Namespace = "other" }},
		"Name":        {"people give another name to run it again", false, func(r *v1alpha1.ActionRequest) { r.Name = "checkout-1-43" }},
		"Action":      {"something else is asked", false, func(r *v1alpha1.ActionRequest) { r.Spec.ActionRef.Name = "restart" }},
		"Catalog":     {"something else is asked", false, func(r *v1alpha1.ActionRequest) { r.Spec.ActionRef.Namespace = "tools" }},
		"Inputs":      {"something else is asked", false, func(r *v1alpha1.ActionRequest) { r.Spec.Inputs.Raw = []byte(`{"image":"a:2","replicas":3}`) }},
		"NoInputs":    {"something else is asked", false, func(r *v1alpha1.ActionRequest) { r.Spec.Inputs = nil }},
		"Reason":      {"people give another reason to run it again", false, func(r *v1alpha1.ActionRequest) { r.Spec.Reason = "again" }},
		"NotBefore":   {"another time", false, func(r *v1alpha1.ActionRequest) { r.Spec.NotBefore = later(-time.Hour) }},
		"ExpiresAt":   {"another time", false, func(r *v1alpha1.ActionRequest) { r.Spec.ExpiresAt = later(time.Second) }},
		"Duration":    {"for another time", false, func(r *v1alpha1.ActionRequest) { r.Spec.Duration = "2h" }},
		"BreakGlass":  {"an emergency", false, func(r *v1alpha1.ActionRequest) { r.Spec.BreakGlass = &v1alpha1.BreakGlass{Reason: "x"} }},
		"NoExpiresAt": {"without an end it is one of its kind", false, func(r *v1alpha1.ActionRequest) { r.Spec.ExpiresAt = nil }},
	} {
		t.Run(name, func(t *testing.T) {
			r := asked()
			tc.change(r)
			got, err := Name(r)
			if err != nil || (got == first) != tc.same {
				t.Errorf("%s: got %q, %v; the same as before: %t, want %t", tc.reason, got, err, got == first, tc.same)
			}
		})
	}
	plain := asked()
	plain.Spec.ExpiresAt = nil
	if got, err := Name(plain); err != nil || got != string(plain.UID) {
		t.Errorf("without an end: got %q, %v", got, err)
	}
}

// TestContentKnowsEveryField fails when a field is added to a request and nobody has said whether it makes another one of it.
func TestContentKnowsEveryField(t *testing.T) {
	later := []string{"Requester", "Seal", "Cancellation", "Resolution", "Resolutions"}
	have := reflect.TypeFor[content]()
	for _, field := range reflect.VisibleFields(reflect.TypeFor[v1alpha1.ActionRequestSpec]()) {
		if _, known := have.FieldByName(field.Name); known == slices.Contains(later, field.Name) {
			t.Errorf("field %s must be in the content, or come later, and not both", field.Name)
		}
	}
}

func TestNameForAReview(t *testing.T) {
	review := &v1alpha1.Approval{Spec: v1alpha1.ApprovalSpec{RequestRef: v1alpha1.RequestReference{UID: "u"}}}
	if got := NameFor(review); got != "u" {
		t.Errorf("without an owner: %q", got)
	}
	review.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Record", Name: "x"}, {APIVersion: "signoff.dev/v1alpha1", Kind: "Record", Name: "content-1"}}
	if got := NameFor(review); got != "content-1" {
		t.Errorf("with one: %q", got)
	}
}
