package integration

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
)

const behalfAction = `
apiVersion: signoff.dev/v1alpha1
kind: Role
metadata: {namespace: platform, name: behalf}
spec:
  members: {users: [bob, carol], serviceAccounts: [agents/bot]}
  permissions: [{verbs: [request, approve], actions: {names: [behalf]}}]
---
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: behalf}
spec:
  title: Note something
  default: {effect: RequireApproval}
  execution:
    serviceAccountName: deployer
    steps:
    - {name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: staging, name: behalf}}]}}
`

const behalfVerb = `
apiVersion: signoff.dev/v1alpha1
kind: Role
metadata: {namespace: platform, name: behalf-verb}
spec:
  members: {serviceAccounts: [agents/bot]}
  permissions: [{verbs: [request-on-behalf], actions: {names: [behalf]}}]
`

// TestOnBehalfOf lets a ServiceAccount ask for somebody: that needs a verb, is shown as a claim, and whoever is named cannot approve.
func TestOnBehalfOf(t *testing.T) {
	apply(t, behalfAction)
	r := request("behalf", "{}")
	r.Spec.OnBehalfOf = &v1alpha1.OnBehalfOf{Username: "bob"}
	eventually(t, "it is refused for want of the verb", func() (bool, string) {
		err := as(t, users.Agent).Create(t.Context(), r.DeepCopy())
		return err != nil && strings.Contains(err.Error(), `"request-on-behalf"`), errText(err)
	})
	apply(t, behalfVerb)
	blank := r.DeepCopy()
	blank.Spec.OnBehalfOf.Username = " \u200b"
	eventually(t, "the Role is known", func() (bool, string) {
		err := as(t, users.Agent).Create(t.Context(), r)
		return err == nil, errText(err)
	})
	play.Refused(t, as(t, users.Agent).Create(t.Context(), blank), metav1.StatusReasonInvalid, "spec.onBehalfOf.username", "name the person")
	blank.Spec.OnBehalfOf.Username = "bob\u200b"
	play.Refused(t, as(t, users.Agent).Create(t.Context(), blank), metav1.StatusReasonInvalid, "spec.onBehalfOf.username", "characters that show nothing")
	wide := r.DeepCopy()
	wide.ObjectMeta = request("behalf", "{}").ObjectMeta
	wide.Spec.Requester, wide.Spec.Seal, wide.Spec.OnBehalfOf.Username = nil, nil, "\uff22\uff4f\uff42"
	asked := approvalsOf(t, ask(t, users.Agent, wide), 1)[0]
	play.Refused(t, play.Vote(t, users.Bob, &asked, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden, "it was asked on your behalf")
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	play.Refused(t, play.Patch(t, users.Agent, r, `{"spec":{"onBehalfOf":null}}`), metav1.StatusReasonInvalid, "onBehalfOf cannot change")
	approval := approvalsOf(t, r, 1)[0]
	for _, words := range []string{"as it says on behalf of bob", " Not " + users.Agent.Name + " or bob."} {
		if summary := strings.Join(approval.Spec.Summary, "\n"); !strings.Contains(summary, words) {
			t.Errorf("want %q in\n%s", words, summary)
		}
	}
	play.Refused(t, play.Vote(t, users.Bob, &approval, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden, "it was asked on your behalf, as "+users.Agent.Name+" says")
	if err := play.Vote(t, users.Carol, &approval, v1alpha1.DecisionApprove, ""); err != nil {
		t.Fatal(err)
	}
	reaches(t, r, v1alpha1.PhaseSucceeded)
	record := &v1alpha1.Record{}
	if err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: env.SystemNamespace, Name: string(r.UID)}, record); err != nil || record.Spec.OnBehalfOf == nil || record.Spec.OnBehalfOf.Username != "bob" {
		t.Errorf("the Record must keep the claim: %+v, %v", record.Spec.OnBehalfOf, err)
	}
}
