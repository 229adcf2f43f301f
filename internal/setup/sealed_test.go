package setup

import (
	"context"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/seal"
)

// shelf gives lists one object a page, those of the kind that is sought after one without a seal.
type shelf struct {
	client.Reader
	object runtime.Object
	// closed is the kind of list that nobody may read.
	closed string
	pages  int
}

func (s *shelf) List(_ context.Context, list client.ObjectList, opts ...client.ListOption) error {
	options := &client.ListOptions{}
	options.ApplyOptions(opts)
	kind := reflect.TypeOf(list).Elem().Name()
	if s.closed == kind {
		return errors.New("forbidden: " + kind)
	}
	if options.Limit != page || kind == "RecordList" && options.Namespace != "signoff-system" {
		return errors.New("a list without a bound, or of the wrong namespace")
	}
	s.pages++
	at, _ := strconv.Atoi(options.Continue)
	list.SetContinue("")
	if s.object == nil || reflect.TypeOf(s.object).Elem().Name()+"List" != kind {
		return meta.SetList(list, nil)
	}
	object := s.object
	if at == 0 {
		list.SetContinue("1")
		object = reflect.New(reflect.TypeOf(s.object).Elem()).Interface().(runtime.Object)
	}
	return meta.SetList(list, []runtime.Object{object})
}

// TestAnythingSealed looks for each object that a key can have sealed, when nothing else is left.
func TestAnythingSealed(t *testing.T) {
	some := &v1alpha1.Seal{Signature: "v1.a.b"}
	for name, tc := range map[string]struct {
		object                runtime.Object
		admission, controller bool
	}{
		"Nothing":      {nil, false, false},
		"Unsealed":     {&v1alpha1.ActionRequest{}, false, false},
		"Request":      {&v1alpha1.ActionRequest{Spec: v1alpha1.ActionRequestSpec{Seal: &v1alpha1.RequestSeal{}}}, true, false},
		"Cancellation": {&v1alpha1.ActionRequest{Spec: v1alpha1.ActionRequestSpec{Cancellation: &v1alpha1.Cancellation{Seal: some}}}, true, false},
		"Resolution":   {&v1alpha1.ActionRequest{Spec: v1alpha1.ActionRequestSpec{Resolutions: []v1alpha1.Resolution{{Seal: some}}}}, true, false},
		"Adoption":     {&v1alpha1.ActionRequest{Status: v1alpha1.ActionRequestStatus{Adoption: &v1alpha1.Adoption{}}}, false, true},
		"Edits":        {&v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{v1alpha1.AnnotationEdits: "{}"}}}, true, false},
		"Delegation":   {&v1alpha1.Delegation{Spec: v1alpha1.DelegationSpec{Seal: some}}, true, false},
		"Approval":     {&v1alpha1.Approval{Spec: v1alpha1.ApprovalSpec{Seal: some}}, false, true},
		"Head":         {&v1alpha1.Approval{Status: v1alpha1.ApprovalStatus{Seal: &v1alpha1.ApprovalSeal{}}}, false, true},
		"Vote":         {&v1alpha1.Approval{Spec: v1alpha1.ApprovalSpec{Votes: []v1alpha1.Vote{{}, {Seal: "v1.a.b"}}}}, true, false},
		"Record":       {&v1alpha1.Record{Spec: v1alpha1.RecordSpec{Seal: some}}, true, true},
		"Progress":     {&v1alpha1.Record{Status: v1alpha1.RecordStatus{Seal: some}}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			for purpose, want := range map[seal.Purpose]bool{seal.Admission: tc.admission, seal.Controller: tc.controller} {
				if got, err := (&sealed{&shelf{object: tc.object}, "signoff-system"}).anything(t.Context(), purpose); got != want || err != nil {
					t.Errorf("%s: got %t, %v", purpose, got, err)
				}
			}
		})
	}
	for purpose, kinds := range map[seal.Purpose]string{
		seal.Admission:  "ActionRequestList ActionList DelegationList ApprovalList RecordList",
		seal.Controller: "ActionRequestList ApprovalList RecordList",
	} {
		for _, kind := range strings.Fields(kinds) {
			if found, err := (&sealed{&shelf{closed: kind}, "signoff-system"}).anything(t.Context(), purpose); found || err == nil {
				t.Errorf("%s: what cannot be read is not nothing: %s: %t, %v", purpose, kind, found, err)
			}
		}
	}
}
