package execution

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

const patchConfigMap = `writes: [{operation: MergePatch, object: {apiVersion: v1, kind: ConfigMap, namespace: NS, name: c}, fieldManager: m, body: {data: {a: b}}}]`

func TestWaitForExpression(t *testing.T) {
	p := newPlay(t, `{name: a, timeout: 5m, waitFor: {expression: "object.data.ready == 'yes'"}, `+patchConfigMap+`}`)
	p.apply(`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {x: v}}`)
	out := p.want(v1alpha1.StepStarted, "waiting for ConfigMap "+p.namespace+"/c", "ready")
	if len(out.Waiting) != 1 || out.Waiting[0].Name != "c" {
		t.Errorf("not to be watched: %+v", out.Waiting)
	}
	p.apply(`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {x: v, ready: "no", a: changed}}`)
	p.want(v1alpha1.StepStarted, "does not hold yet")
	if got := p.data()["a"]; got != "changed" {
		t.Errorf("while it waited, the step wrote again: %q", got)
	}
	p.clock.SetTime(p.clock.Now().Add(6 * time.Minute))
	before := p.status
	p.want(v1alpha1.StepFailed, "the timeout of the step (5m0s) is over, waiting for ConfigMap", "does not hold yet")
	// What holds, holds, even if it is seen late.
	p.status = before
	p.apply(`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {x: v, ready: "yes"}}`)
	p.want(v1alpha1.StepDone)
}

func TestWaitForDeleted(t *testing.T) {
	p := newPlay(t, `{name: a, waitFor: {expression: "false"}, `+patchConfigMap+`}`)
	p.apply(`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}}`)
	p.want(v1alpha1.StepStarted)
	p.deleteConfigMap()
	p.want(v1alpha1.StepFailed, "was deleted while the step waited")
}

func TestWaitForUnknown(t *testing.T) {
	p := newPlay(t, `{name: a, waitFor: {}, `+patchConfigMap+`}`)
	p.apply(`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}}`)
	p.want(v1alpha1.StepFailed, "does not know what to wait for")
}

// TestWaitForCurrent rolls out a Deployment on a simulated node, and is woken by the Watcher alone.
func TestWaitForCurrent(t *testing.T) {
	p := newPlay(t, strings.Replace(applyStep("conflicts: Take"), "{name: rollout,", "{name: rollout, waitFor: {status: Current},", 1))
	p.apply(deployment)
	w, woken := newTestWatcher(t, p.cfg)
	out := p.next()
	for out.Status.State == v1alpha1.StepStarted {
		w.Watch(request("r"), "platform", "deployer", out.Waiting)
		select {
		case <-woken:
		case <-time.After(patience):
			t.Fatalf("not woken: %+v", out.Status)
		}
		out = p.next()
	}
	p.check(out, v1alpha1.StepDone)
	eventually(t, func(context.Context) error { // Nothing but done may follow.
		if again := p.next(); again.Status.State != v1alpha1.StepDone {
			return fmt.Errorf("%+v", again.Status)
		}
		return nil
	})
}

func TestCurrent(t *testing.T) {
	const rolling = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, generation: 2}, spec: {replicas: 1}, status: {observedGeneration: 2, replicas: 1, updatedReplicas: 1, `
	for name, tc := range map[string]struct{ reason, object, state, err string }{
		"Current":     {"nothing to wait for", `{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}`, "", ""},
		"NotObserved": {"the status is about what was before", `{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, generation: 2}, spec: {replicas: 1}, status: {observedGeneration: 1}}`, "generation is 2", ""},
		"Rolling":     {"a pod is missing", rolling + `availableReplicas: 0, readyReplicas: 0, conditions: [{type: Progressing, status: "True", reason: ReplicaSetUpdated}]}}`, "Available: 0/1", ""},
		"Stuck":       {"it will not come by itself", rolling + `conditions: [{type: Progressing, status: "False", reason: ProgressDeadlineExceeded}]}}`, "", "failed: "},
		"Going":       {"it is being deleted", `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, deletionTimestamp: "2026-11-23T10:00:00Z"}}`, "", "is being deleted"},
		"Broken":      {"a status of another type is no answer", `{apiVersion: example.com/v1, kind: A, metadata: {name: a}, status: {conditions: 5}}`, "cannot be read", ""},
	} {
		t.Run(name, func(t *testing.T) {
			object := map[string]any{}
			if err := yaml.Unmarshal([]byte(tc.object), &object); err != nil {
				t.Fatal(err)
			}
			raw, err := yaml.YAMLToJSON([]byte(tc.object))
			if err != nil {
				t.Fatal(err)
			}
			u := &unstructured.Unstructured{}
			if err := u.UnmarshalJSON(raw); err != nil {
				t.Fatal(err)
			}
			state, err := current(u)
			if !strings.Contains(state, tc.state) || (state == "") != (tc.state == "") || (err == nil) != (tc.err == "") || (err != nil && !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("%s: got %q, error %v", tc.reason, state, err)
			}
		})
	}
}
