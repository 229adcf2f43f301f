package execution

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// deployment has a sidecar, variables and ports, which a careless patch would lose.
const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: NS, name: checkout}
spec:
  replicas: 1
  selector: {matchLabels: {app: checkout}}
  template:
    metadata: {labels: {app: checkout}}
    spec:
      containers:
      - {name: app, image: "registry.example/checkout:1.41", env: [{name: LEVEL, value: info}], ports: [{containerPort: 80}]}
      - {name: sidecar, image: "registry.example/sidecar:1"}
`

const target = `object: {apiVersion: apps/v1, kind: Deployment, namespace: NS, name: checkout}`

func applyStep(rest string) string {
	return `{name: rollout, writes: [{operation: Apply, ` + target + `, fieldManager: signoff/platform/deploy/rollout, ` + rest + `,
		body: {apiVersion: apps/v1, kind: Deployment, metadata: {namespace: NS, name: checkout}, spec: {template: {spec: {containers: [{name: app, image: "registry.example/checkout:1.42"}]}}}}}]}`
}

func strategicStep(body string) string {
	return `{name: rollout, writes: [{operation: StrategicPatch, ` + target + `, fieldManager: signoff/platform/deploy/rollout, body: ` + body + `}]}`
}

func containers(t *testing.T, p *play) []corev1.Container {
	t.Helper()
	got, err := admin.AppsV1().Deployments(p.namespace).Get(t.Context(), "checkout", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return got.Spec.Template.Spec.Containers
}

// TestTheRestSurvives is about the flagship example: a new image, and sidecar, variables and ports are still there.
func TestTheRestSurvives(t *testing.T) {
	for name, step := range map[string]string{
		"Apply":     applyStep("conflicts: Take"),
		"Strategic": strategicStep(`{spec: {template: {spec: {containers: [{name: app, image: "registry.example/checkout:1.42"}]}}}}`),
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t, step)
			p.apply(deployment)
			want := containers(t, p)
			want[0].Image = "registry.example/checkout:1.42"
			p.want(v1alpha1.StepDone)
			if diff := cmp.Diff(want, containers(t, p)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			// After a crash before the state was stored everything is sent again, and nothing changes.
			p.status = v1alpha1.StepStatus{}
			p.restart()
			p.want(v1alpha1.StepDone)
			if diff := cmp.Diff(want, containers(t, p)); diff != "" {
				t.Errorf("after a crash (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRightsAreThoseOfTheServiceAccount is about a power that the operator does not have and does not lend.
func TestRightsAreThoseOfTheServiceAccount(t *testing.T) {
	p := newPlay(t, applyStep("conflicts: Take"))
	p.apply(deployment)
	own, err := kubernetes.NewForConfig(operator)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := own.AppsV1().Deployments(p.namespace).Get(t.Context(), "checkout", metav1.GetOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("the operator itself may read Deployments: %v", err)
	}
	p.want(v1alpha1.StepDone)
	p.status, p.record.Spec.ServiceAccountName = v1alpha1.StepStatus{}, "weak"
	p.want(v1alpha1.StepFailed, `failed to apply Deployment `+p.namespace+`/checkout: deployments.apps "checkout" is forbidden: User "system:serviceaccount:platform:weak" cannot patch resource "deployments"`, "Grant it")
	// A ServiceAccount that the operator was not given.
	p.status, p.record.Spec.ServiceAccountName = v1alpha1.StepStatus{}, "other"
	p.want(v1alpha1.StepFailed, `cannot impersonate resource "serviceaccounts"`)
}

func TestWritesThatFail(t *testing.T) {
	const cm = `object: {apiVersion: v1, kind: ConfigMap, namespace: NS, name: c}, fieldManager: m`
	for name, tc := range map[string]struct {
		reason string
		step   string
		want   []string
	}{
		"Conflict":    {"somebody else owns the image", applyStep("conflicts: Fail"), []string{"other field managers own", `.spec.template.spec.containers[name="app"].image`, `conflict with "signoff-test-env"`, "conflicts: Take"}},
		"NotFound":    {"a patch needs an object", `{name: a, writes: [{operation: MergePatch, ` + cm + `, body: {data: {a: b}}}]}`, []string{"failed to patch ConfigMap", `configmaps "c" not found`}},
		"Misspelt":    {"what was agreed to is stored, or nothing is", strategicStep(`{spec: {replikas: 3}}`), []string{`unknown field "spec.replikas"`}},
		"Invalid":     {"the API server refuses it", strategicStep(`{spec: {replicas: -1}}`), []string{"spec.replicas: Invalid value"}},
		"NoKind":      {"there is no such kind", `{name: a, writes: [{operation: MergePatch, object: {apiVersion: example.com/v1, kind: Nothing, name: a}, fieldManager: m, body: {a: b}}]}`, []string{"failed to patch Nothing a", "does not serve this kind"}},
		"NoNamespace": {"it would be a collection of all namespaces", `{name: a, writes: [{operation: MergePatch, object: {apiVersion: v1, kind: ConfigMap, name: c}, fieldManager: m, body: {a: b}}]}`, []string{"ConfigMap is namespaced, but no namespace is given"}},
		"Namespace":   {"a cluster-wide kind", `{name: a, writes: [{operation: MergePatch, object: {apiVersion: v1, kind: Node, namespace: NS, name: c}, fieldManager: m, body: {a: b}}]}`, []string{"Node is not namespaced"}},
		"Operation":   {"a newer version may have made the Record", `{name: a, writes: [{operation: Erase, ` + cm + `, body: {}}]}`, []string{"not known to this version"}},
		"Nothing":     {"no such step is ever rendered", `{name: a}`, []string{"writes nothing"}},
		"SecondFails": {"the first write stays, and the message names the second", `{name: a, writes: [{operation: StrategicPatch, ` + target + `, fieldManager: m, body: {metadata: {labels: {a: b}}}}, {operation: MergePatch, ` + cm + `, body: {data: {a: b}}}]}`, []string{"failed to patch ConfigMap"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t, tc.step)
			p.apply(deployment)
			p.want(v1alpha1.StepFailed, tc.want...)
			if again := p.next(); again.Status.State != v1alpha1.StepFailed {
				t.Errorf("%s: a step that failed was done again: %+v", tc.reason, again.Status)
			}
		})
	}
}

// TestOnlyTheObjectOfThePlan: what was compared is what is written to, and where it is gone, nothing is made anew.
func TestOnlyTheObjectOfThePlan(t *testing.T) {
	const object = `object: {apiVersion: v1, kind: ConfigMap, namespace: NS, name: c}, fieldManager: m`
	steps := map[string]string{
		"Apply":     `{operation: Apply, ` + object + `, conflicts: Take, body: {apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {mode: b}}}`,
		"Merge":     `{operation: MergePatch, ` + object + `, body: {data: {mode: b}}}`,
		"Strategic": `{operation: StrategicPatch, ` + object + `, body: {data: {mode: b}}}`,
		"JSON":      `{operation: JSONPatch, ` + object + `, body: [{op: replace, path: /data/mode, value: b}]}`,
	}
	const was = `{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {mode: a}}`
	for name, write := range steps {
		for _, temporary := range []bool{false, true} {
			if temporary && name == "JSON" {
				continue
			}
			planned := func(t *testing.T) *play {
				p := newPlay(t, `{name: s, writes: [`+write+`]}`)
				if temporary {
					p.record.Spec.Duration = "1h"
				}
				p.apply(was)
				p.step.Writes[0].UID = p.uid()
				return p
			}
			removed := func(t *testing.T, p *play) {
				if err := admin.CoreV1().ConfigMaps(p.namespace).Delete(t.Context(), "c", metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			ends := func(p *play) Outcome {
				out := p.next()
				if out.Intent {
					out = p.next()
				}
				return out
			}
			t.Run(fmt.Sprint(name, temporary), func(t *testing.T) {
				p := planned(t)
				p.check(ends(p), v1alpha1.StepDone)
				if got := p.data()["mode"]; got != "b" {
					t.Errorf("it must be written: %q", got)
				}
				p = planned(t)
				removed(t, p)
				p.check(ends(p), v1alpha1.StepFailed, map[bool]string{true: "not found", false: "is gone, and is not made anew"}[name == "JSON"])
				if !p.isGone() {
					t.Error("it must not be made anew")
				}
				p = planned(t)
				removed(t, p)
				p.apply(was)
				p.check(ends(p), v1alpha1.StepFailed, "is another one than was planned")
				if got := p.data()["mode"]; got != "a" {
					t.Errorf("it must not be written: %q", got)
				}
			})
		}
	}
}
