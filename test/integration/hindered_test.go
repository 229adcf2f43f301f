package integration

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestHinderedByAWebhook runs a step while somebody else's webhook is down: people read why it does not go on, and can cancel it. That nothing was executed is
// known then, as the API server stores nothing before it is admitted, and nothing is written after that.
func TestHinderedByAWebhook(t *testing.T) {
	const action = "hindered"
	object := configMap(t, action)
	apply(t, strings.ReplaceAll(`{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: NAME}, webhooks: [{name: down.example.com, failurePolicy: Fail, sideEffects: None,
		admissionReviewVersions: [v1], timeoutSeconds: 1, clientConfig: {url: "https://127.0.0.1:1/down"},
		matchConditions: [{name: ours, expression: "object.metadata.name == 'NAME'"}], rules: [{apiGroups: [""], apiVersions: [v1], operations: [UPDATE], resources: [configmaps]}]}]}
---
{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: NAME}, spec: {title: Be hindered, default: {effect: Allow}, execution: {serviceAccountName: deployer, steps: [{name: write, `+merges+`}]}}}`, "NAME", action))
	hook := &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: action}}
	t.Cleanup(func() { _ = client.IgnoreNotFound(admin(t).Delete(t.Context(), hook)) })
	eventually(t, "the webhook to be in the way", func() (bool, string) {
		err := admin(t).Update(t.Context(), object.DeepCopy())
		return err != nil && strings.Contains(err.Error(), "failed calling webhook"), errText(err)
	})
	r := ask(t, users.Alice, request(action, `{}`))
	stepSays(t, r, "cannot be done at the moment: failed to patch ConfigMap staging/hindered: Internal error occurred: failed calling webhook")
	if r.Status.Phase != v1alpha1.PhaseExecuting {
		t.Errorf("the phase is %s", r.Status.Phase)
	}
	if err := patch(t, users.Alice, r, `{"spec":{"cancellation":{"reason":"enough"}}}`); err != nil {
		t.Fatal(err)
	}
	done := reaches(t, r, v1alpha1.PhaseCancelled)
	finished := meta.FindStatusCondition(done.Status.Conditions, v1alpha1.ConditionFinished)
	if finished == nil || !strings.Contains(finished.Message, "Nothing was executed.") {
		t.Errorf("it says %+v", finished)
	}
	if !meta.IsStatusConditionTrue(done.Status.Conditions, v1alpha1.ConditionApproved) {
		t.Errorf("what was agreed to is no longer: %+v", done.Status.Conditions)
	}
	if err := admin(t).Delete(t.Context(), hook); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the webhook to be gone", func() (bool, string) {
		err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: "staging", Name: action}, object)
		if err == nil {
			err = admin(t).Update(t.Context(), object.DeepCopy())
		}
		return err == nil, errText(err)
	})
	if data := dataOf(t, action); data["by"] != "" {
		t.Errorf("it was written after it was cancelled: %v", data)
	}
}
