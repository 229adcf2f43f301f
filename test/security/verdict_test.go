package security

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/play"
)

// TestCase76VerdictIsInTheAuditLog: the audit log of the API server says of each request what was decided and by which rules, and why one was refused.
func TestCase76VerdictIsInTheAuditLog(t *testing.T) {
	const prefix = "requests.signoff.dev/"
	admitted, refusedOne := request("deploy", play.ProductionInputs), request("deploy", play.ProductionInputs)
	admitted.Name, refusedOne.Name = "audited-verdict", "audited-refusal"
	admitted.GenerateName, refusedOne.GenerateName = "", ""
	if err := as(t, users.Alice).Create(t.Context(), admitted); err != nil {
		t.Fatal(err)
	}
	refused(t, as(t, users.Ada).Create(t.Context(), refusedOne), metav1.StatusReasonForbidden, "can be changed by you (ada)")
	of := func(name string) map[string]string {
		return logged(t, "the verdict on "+name, name, func(e *auditv1.Event) bool {
			return e.Verb == "create" && e.ObjectRef != nil && e.ObjectRef.Resource == "actionrequests" && len(e.Annotations) > 0 &&
				(e.Annotations[prefix+"effect"] != "" || e.Annotations[prefix+"reason"] != "")
		}).Annotations
	}
	if got := of(admitted.Name); got[prefix+"effect"] != string(v1alpha1.EffectRequireApproval) || got[prefix+"rules"] == "" || got[prefix+"reason"] != "" {
		t.Errorf("of an admitted request the log says the effect and the rules: %v", got)
	}
	if got := of(refusedOne.Name); got[prefix+"reason"] != v1alpha1.ReasonIndeterminate {
		t.Errorf("of a refused request the log says why: %v", got)
	}
}
