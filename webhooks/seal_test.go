package webhooks

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

func TestUnsealedRequest(t *testing.T) {
	refused := (&actionRequests{&Deps{}}).sealed(&admission.Request{}, &v1alpha1.ActionRequest{})
	if refused == nil || refused.Allowed || !strings.Contains(refused.Result.Message, "Nothing was stored. Ask again.") {
		t.Errorf("a request whose Action became known between both passes is refused, and may come again: %+v", refused)
	}
}

func TestUnsealable(t *testing.T) {
	inputs := func(text string) *runtime.RawExtension { return &runtime.RawExtension{Raw: []byte(text)} }
	for name, tc := range map[string]struct {
		reason string
		spec   v1alpha1.ActionRequestSpec
		field  string
	}{
		"Fine":       {"Nothing is wrong.", v1alpha1.ActionRequestSpec{Reason: strings.Repeat("ä", maxReason), Inputs: inputs(" \n{}")}, ""},
		"Nothing":    {"Inputs may be left out.", v1alpha1.ActionRequestSpec{}, ""},
		"Reason":     {"It is counted in characters.", v1alpha1.ActionRequestSpec{Reason: strings.Repeat("ä", maxReason+1)}, "spec.reason"},
		"BreakGlass": {"As that of an emergency is.", v1alpha1.ActionRequestSpec{BreakGlass: &v1alpha1.BreakGlass{Reason: strings.Repeat("a", maxBreakGlass+1)}}, "spec.breakGlass.reason"},
		"List":       {"A list has no names.", v1alpha1.ActionRequestSpec{Inputs: inputs("[]")}, "spec.inputs"},
		"Text":       {"A text has none either.", v1alpha1.ActionRequestSpec{Inputs: inputs(`"` + strings.Repeat("a", 999) + `"`)}, "spec.inputs"},
	} {
		t.Run(name, func(t *testing.T) {
			errs := unsealable(&tc.spec)
			if (len(errs) == 0) != (tc.field == "") || len(errs) > 0 && (errs[0].Field != tc.field || len(errs[0].Error()) > 256) {
				t.Errorf("%s want %q, got %v", tc.reason, tc.field, errs)
			}
		})
	}
}
