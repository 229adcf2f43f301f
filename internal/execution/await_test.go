package execution

import (
	"cmp"
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

// TestJudge is about objects whose status is about what was before, as far as it tells.
func TestJudge(t *testing.T) {
	const (
		status   = `generation: 3}, status: {observedGeneration: 2, conditions: [{type: Ready, status: "True"}]}}`
		deleting = `{apiVersion: example.com/v1, kind: A, metadata: {name: a, deletionTimestamp: "2026-11-23T10:00:00Z", finalizers: [x], ` + status
		whole    = `{manager: c, operation: Update, fieldsType: FieldsV1, fieldsV1: {"f:status": {"f:observedGeneration": {}}}}`
		part     = `{manager: d, operation: Update, subresource: status, fieldsType: FieldsV1, fieldsV1: {"f:status": {"f:conditions": {}}}}`
	)
	managed := func(by string) string {
		return `{apiVersion: example.com/v1, kind: A, metadata: {name: a, managedFields: [` + by + `], ` + status
	}
	for name, tc := range map[string]struct {
		reason, object string
		// current and holds are what is said where the step waits for Current, and for an expression.
		current, holds, err string
	}{
		"Before":        {"the status is about what was before", managed(part), "not about this version", "not about this version", ""},
		"Deleting":      {"it is never going to be ready", deleting, "", "it is being deleted", "is being deleted"},
		"NoSubresource": {"what is written to the status counts as well, so that it is never reached", managed(whole), "", "", ""},
		"Subresource":   {"somebody wrote it before there was one", managed(whole + ", " + part), "not about this version", "not about this version", ""},
	} {
		t.Run(name, func(t *testing.T) {
			live := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(tc.object), &live.Object); err != nil {
				t.Fatal(err)
			}
			live.SetGeneration(3)
			if err := unstructured.SetNestedField(live.Object, int64(2), "status", "observedGeneration"); err != nil {
				t.Fatal(err)
			}
			p := newFaultyPlay(t, v1alpha1.WriteApply, down)
			p.step.WaitFor = &v1alpha1.WaitFor{Status: v1alpha1.WaitStatusCurrent}
			state, err := p.runner.newTask(p.record, p.step, p.status).judge(t.Context(), live)
			if !strings.Contains(state, tc.current) || (state == "") != (tc.current == "") || fmt.Sprint(err) != cmp.Or(tc.err, "<nil>") {
				t.Errorf("%s: got %q, error %v", tc.reason, state, err)
			}
			p.step.WaitFor = &v1alpha1.WaitFor{Expression: "object.metadata.name == 'a'"}
			state, err = p.runner.newTask(p.record, p.step, p.status).judge(t.Context(), live)
			if !strings.Contains(state, tc.holds) || (state == "") != (tc.holds == "") || err != nil {
				t.Errorf("%s: for an expression got %q, error %v", tc.reason, state, err)
			}
		})
	}
}
