package timing

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
)

// rollouts is an Action that changes the image of a Deployment, and who may look at that.
const rollouts = `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {namespace: target, name: rollouts}
rules: [{apiGroups: [apps], resources: [deployments], verbs: [get, patch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: target, name: rollouts}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: rollouts}
subjects:
- {kind: ServiceAccount, namespace: platform, name: deployer}
- {kind: User, apiGroup: rbac.authorization.k8s.io, name: alice}
---
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: rollout}
spec:
  title: Roll out an image
  inputs: {openAPIV3Schema: {type: object, required: [name], properties: {name: {type: string, maxLength: 63}}}}
  target: {apiVersion: apps/v1, kind: Deployment, namespace: target, name: "${inputs.name}"}
  default: {effect: RequireApproval, stages: [s]}
  stages: [{name: s, approvers: {users: [bob]}}]
  execution:
    serviceAccountName: deployer
    steps:
    - name: rollout
      patch: {strategic: {spec: {template: {spec: {containers: [{name: app, image: "app:2"}]}}}}}
`

func deployed(t *testing.T, name string) *appsv1.Deployment {
	t.Helper()
	if err := cluster.Apply(t.Context(), []byte(rollouts)); err != nil {
		t.Fatal(err)
	}
	object := &appsv1.Deployment{}
	text := fmt.Sprintf(`
metadata: {namespace: target, name: %s}
spec:
  replicas: 1
  selector: {matchLabels: {app: %s}}
  template: {metadata: {labels: {app: %s}}, spec: {containers: [{name: app, image: "app:1"}]}}
`, name, name, name)
	if err := yaml.UnmarshalStrict([]byte(text), object); err != nil {
		t.Fatal(err)
	}
	if err := admin(t).Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	return object
}

func rollout(t *testing.T, name string) *v1alpha1.ActionRequest {
	t.Helper()
	return ask(t, "rollout", func(s *v1alpha1.ActionRequestSpec) {
		s.Inputs = &runtime.RawExtension{Raw: fmt.Appendf(nil, `{"name":%q}`, name)}
	})
}

// TestDigestStays writes the status and the scale of what will be changed a thousand times, as controllers and autoscalers do, while people decide:
// what they agree to is the same, and they are asked once.
func TestDigestStays(t *testing.T) {
	const writes = 1000
	object := deployed(t, "busy")
	r := reaches(t, rollout(t, "busy"), v1alpha1.PhaseAwaitingApproval)
	asked := approval(t, r, v1alpha1.ApprovalOpen)
	var group sync.WaitGroup
	errs := make(chan error, writes)
	for worker := range 4 {
		group.Go(func() {
			for i := range writes / 4 {
				if i%2 == 0 {
					errs <- as(t, env.Person{Config: cluster.Admin}).Status().Patch(t.Context(), object.DeepCopy(),
						client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"status":{"observedGeneration":%d,"replicas":%d,"readyReplicas":%d}}`, i+1, i+9, worker)))
					continue
				}
				scale := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: int32(1 + (i+worker)%7)}}
				errs <- admin(t).SubResource("scale").Update(t.Context(), object.DeepCopy(), client.WithSubResourceBody(scale))
			}
		})
	}
	group.Wait()
	close(errs)
	done := 0
	for err := range errs {
		if err != nil {
			t.Fatal(err)
		}
		done++
	}
	if done != writes {
		t.Fatalf("%d writes", done)
	}
	stays(t, r, v1alpha1.PhaseAwaitingApproval)
	live := approval(t, r, v1alpha1.ApprovalOpen)
	if live.UID != asked.UID || live.Spec.Digest != asked.Spec.Digest || live.Spec.Plan[0].Basis != asked.Spec.Plan[0].Basis {
		t.Errorf("people are asked about something else: %s %s, before %s %s", live.Name, live.Spec.Digest, asked.Name, asked.Spec.Digest)
	}
	if err := approve(t, users.Bob, asked); err != nil {
		t.Fatal(err)
	}
	finished := reaches(t, r, v1alpha1.PhaseSucceeded)
	if finished.Status.Digest != asked.Spec.Digest {
		t.Errorf("%s was executed, and %s agreed to", finished.Status.Digest, asked.Spec.Digest)
	}
	all := &v1alpha1.ApprovalList{}
	if err := admin(t).List(t.Context(), all, client.InNamespace(r.Namespace), client.MatchingLabels{v1alpha1.LabelRequestUID: string(r.UID)}); err != nil || len(all.Items) != 1 {
		t.Errorf("people were asked %d times, %v", len(all.Items), err)
	}
	if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil || object.Spec.Template.Spec.Containers[0].Image != "app:2" {
		t.Errorf("it must be done: %+v, %v", object.Spec.Template.Spec.Containers, err)
	}
}

// TestDigestOfTouchedField changes the field that will be changed: people are asked again, about the same content.
func TestDigestOfTouchedField(t *testing.T) {
	object := deployed(t, "touched")
	at := metav1.NewTime(clock.Now().Add(30 * time.Minute))
	r := ask(t, "rollout", func(s *v1alpha1.ActionRequestSpec) {
		s.Inputs, s.NotBefore = &runtime.RawExtension{Raw: []byte(`{"name":"touched"}`)}, &at
	})
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	first := approval(t, r, v1alpha1.ApprovalOpen)
	if err := approve(t, users.Bob, first); err != nil {
		t.Fatal(err)
	}
	reaches(t, r, v1alpha1.PhaseHeld)
	body := `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"app:1.5"}]}}}}`
	if err := admin(t).Patch(t.Context(), object, client.RawPatch(types.StrategicMergePatchType, []byte(body))); err != nil {
		t.Fatal(err)
	}
	moveTo(t, at.Time)
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	second := approval(t, r, v1alpha1.ApprovalOpen)
	if second.Spec.Digest != first.Spec.Digest || !strings.Contains(strings.Join(second.Spec.Summary, "\n"), "app:1.5 → app:2") {
		t.Errorf("people must see what is changed now: %s", strings.Join(second.Spec.Summary, "\n"))
	}
	if err := play.Vote(t, users.Bob, second, v1alpha1.DecisionApprove, ""); err != nil {
		t.Fatal(err)
	}
	reaches(t, r, v1alpha1.PhaseSucceeded)
}
