package timing

import (
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/play"
)

// concealed is an Action that changes what Alice, who asks, may not read: a Deployment, and a Secret, which nobody is shown.
const concealed = `
apiVersion: v1
kind: Namespace
metadata: {name: concealed}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {namespace: concealed, name: deployer}
rules: [{apiGroups: [apps], resources: [deployments], verbs: [get, patch]}, {apiGroups: [""], resources: [secrets], verbs: [get, patch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: concealed, name: deployer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: deployer}
subjects: [{kind: ServiceAccount, namespace: platform, name: deployer}]
---
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: concealed}
spec:
  title: Roll out an image, and a token
  default: {effect: RequireApproval, stages: [s]}
  stages: [{name: s, approvers: {users: [bob]}}]
  execution:
    serviceAccountName: deployer
    steps:
    - name: rollout
      patch: {target: {apiVersion: apps/v1, kind: Deployment, namespace: concealed, name: shop}, strategic: {spec: {template: {spec: {containers: [{name: app, image: "app:2"}]}}}}}
    - name: token
      patch: {target: {apiVersion: v1, kind: Secret, namespace: concealed, name: token}, merge: {data: {token: bmV3}}}
`

// TestHiddenStays: of what the requester may not read, too, only a change of what is written makes people be asked again, and nobody who reads the plan
// can find out by it what is there.
func TestHiddenStays(t *testing.T) {
	if err := cluster.Apply(t.Context(), []byte(concealed)); err != nil {
		t.Fatal(err)
	}
	object := play.AppendTo("concealed", "shop")
	token := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "concealed", Name: "token"}, Data: map[string][]byte{"token": []byte("old"), "other": []byte("1")}}
	for _, made := range []client.Object{object, token} {
		if err := admin(t).Create(t.Context(), made); err != nil {
			t.Fatal(err)
		}
	}
	r := reaches(t, ask(t, "concealed", nil), v1alpha1.PhaseAwaitingApproval)
	first := approval(t, r, v1alpha1.ApprovalOpen)
	for _, change := range first.Spec.Plan {
		if !strings.HasPrefix(change.Basis, "keyed-") || !strings.Contains(strings.Join(change.Fields, "\n"), "(hidden)") {
			t.Errorf("it is not for everybody: %+v", change)
		}
	}
	patch := func(of client.Object, body string) {
		t.Helper()
		if err := admin(t).Patch(t.Context(), of, client.RawPatch(types.MergePatchType, []byte(body))); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		scale := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: int32(i + 2)}}
		if err := admin(t).SubResource("scale").Update(t.Context(), object.DeepCopy(), client.WithSubResourceBody(scale)); err != nil {
			t.Fatal(err)
		}
		if err := admin(t).Status().Patch(t.Context(), object.DeepCopy(), client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"status":{"observedGeneration":%d}}`, i+1))); err != nil {
			t.Fatal(err)
		}
		patch(token.DeepCopy(), fmt.Sprintf(`{"metadata":{"labels":{"seen":"%d"}},"stringData":{"other":"%d"}}`, i, i))
	}
	stays(t, r, v1alpha1.PhaseAwaitingApproval)
	if live := approval(t, r, v1alpha1.ApprovalOpen); live.UID != first.UID || live.Spec.Plan[0].Basis != first.Spec.Plan[0].Basis || live.Spec.Plan[1].Basis != first.Spec.Plan[1].Basis {
		t.Errorf("people are asked about something else: %+v, before %+v", live.Spec.Plan, first.Spec.Plan)
	}
	// What is written has changed.
	patch(token.DeepCopy(), `{"stringData":{"token":"theirs"}}`)
	if err := approve(t, users.Bob, first); err != nil {
		t.Fatal(err)
	}
	closed := approval(t, r, v1alpha1.ApprovalSuperseded)
	if text := strings.Join(closed.Status.Decided, "\n"); closed.UID != first.UID || !strings.Contains(text, "Secret concealed/token is no longer as it was when people were asked") || strings.Contains(text, "Deployment") {
		t.Errorf("the Secret has changed, and not the Deployment: %s", text)
	}
	second := approval(t, r, v1alpha1.ApprovalOpen)
	// Until it starts, nothing that is not written keeps it.
	patch(object.DeepCopy(), `{"spec":{"replicas":9}}`)
	if err := approve(t, users.Bob, second); err != nil {
		t.Fatal(err)
	}
	reaches(t, r, v1alpha1.PhaseSucceeded)
	live := &appsv1.Deployment{}
	if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(object), live); err != nil || live.Spec.Template.Spec.Containers[0].Image != "app:2" || *live.Spec.Replicas != 9 {
		t.Errorf("it must be done: %+v, %v", live.Spec, err)
	}
}
