package integration

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestKindComes installs kinds, and makes objects of them in the same Action: of a group that nobody knows yet, and then another one of that group.
func TestKindComes(t *testing.T) {
	apply(t, `{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: kind-comes}, rules: [
		{apiGroups: [apiextensions.k8s.io], resources: [customresourcedefinitions], verbs: [get, create, patch]}, {apiGroups: [coming.example.com], resources: ["*"], verbs: [get, create, patch]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: kind-comes}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: kind-comes},
	subjects: [{kind: ServiceAccount, namespace: platform, name: deployer}]}`)
	for _, kind := range []string{"Thing", "Other"} {
		plural := strings.ToLower(kind) + "s"
		action := "brings-" + plural
		apply(t, strings.NewReplacer("KIND", kind, "PLURAL", plural, "NAME", action).Replace(`{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: NAME}, spec: {title: Bring a kind,
			default: {effect: RequireApproval}, execution: {serviceAccountName: deployer, steps: [
			{name: define, apply: {manifests: [{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: PLURAL.coming.example.com}, spec: {group: coming.example.com, scope: Namespaced,
				names: {kind: KIND, plural: PLURAL}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {text: {type: string}}}}}]}}]}},
			{name: use, apply: {manifests: [{apiVersion: coming.example.com/v1, kind: KIND, metadata: {namespace: staging, name: one}, text: hello}]}}]}}}`))
		r, approval := openStage(t, action, `{}`)
		if text := strings.Join(approval.Spec.Summary, "\n"); !strings.Contains(text, "(Deferred: it cannot be tried before step define has run)") {
			t.Errorf("people do not read that the kind is not there yet:\n%s", text)
		}
		live := &v1alpha1.Action{}
		eventually(t, "the Action to be ready", func() (bool, string) {
			err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: "platform", Name: action}, live)
			return err == nil && meta.IsStatusConditionTrue(live.Status.Conditions, v1alpha1.ConditionReady), fmt.Sprintf("%v %+v", err, live.Status.Conditions)
		})
		votes(t, users.Bob, approval, "Approve", "")
		reaches(t, r, v1alpha1.PhaseSucceeded)
		made := &unstructured.Unstructured{}
		made.SetGroupVersionKind(schema.GroupVersionKind{Group: "coming.example.com", Version: "v1", Kind: kind})
		if err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: "staging", Name: "one"}, made); err != nil || made.Object["text"] != "hello" {
			t.Errorf("%v: %v", made.Object, err)
		}
	}
}
