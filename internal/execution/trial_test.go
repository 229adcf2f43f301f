package execution

import (
	"strings"
	"testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestTry sends steps as dry runs: what would be refused is told, and nothing is stored.
func TestTry(t *testing.T) {
	const object = `object: {apiVersion: v1, kind: ConfigMap, namespace: NS, name: c}`
	for name, tc := range map[string]struct {
		reason, account, step string
		want                  []string
	}{
		"Fits":    {"it would be accepted", "deployer", `{name: a, writes: [{operation: Apply, ` + object + `, fieldManager: m, body: {apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {other: v}}}]}`, nil},
		"Right":   {"the ServiceAccount may not", "blind", `{name: a, writes: [{operation: Apply, ` + object + `, fieldManager: m, body: {apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {x: v}}}]}`, []string{"failed to apply ConfigMap", "cannot patch resource"}},
		"Schema":  {"there is no such field", "deployer", `{name: a, writes: [{operation: MergePatch, ` + object + `, fieldManager: m, body: {dota: {x: v}}}]}`, []string{"unknown field"}},
		"Typed":   {"nor in what is applied", "deployer", `{name: a, writes: [{operation: Apply, ` + object + `, fieldManager: m, body: {apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c, dota: {a: b}}}}]}`, []string{"field not declared in schema"}},
		"Missing": {"there is nothing to patch", "deployer", `{name: a, writes: [{operation: MergePatch, object: {apiVersion: v1, kind: ConfigMap, namespace: NS, name: none}, fieldManager: m, body: {data: {x: v}}}]}`, []string{"not found"}},
		"Later":   {"what an earlier write makes cannot be tried", "deployer", `{name: a, writes: [{operation: Apply, object: {apiVersion: v1, kind: ConfigMap, namespace: NS, name: new}, fieldManager: m, body: {apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: new}}}, {operation: MergePatch, object: {apiVersion: v1, kind: ConfigMap, namespace: NS, name: new}, fieldManager: m, body: {data: {x: v}}}]}`, nil},
		"Namespace": {"neither can what is in a namespace that an earlier write makes", "deployer", `{name: a, writes: [{operation: Apply, object: {apiVersion: v1, kind: Namespace, name: coming}, fieldManager: m, body: {apiVersion: v1, kind: Namespace, metadata: {name: coming}}}, {operation: MergePatch, object: {apiVersion: v1, kind: ConfigMap, namespace: coming, name: new}, fieldManager: m, body: {data: {x: v}}}]}`,
			[]string{"apply Namespace coming", "cannot patch resource", "apply ConfigMap"}[:2]},
		"Job": {"a Job is tried as well", "blind", `{name: a, writes: [{operation: CreateJob, object: {apiVersion: batch/v1, kind: Job, namespace: NS, name: j}, fieldManager: m, body: {apiVersion: batch/v1, kind: Job, metadata: {namespace: NS, name: j}}}]}`, []string{"cannot create resource"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t, tc.step)
			p.apply(`{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: c}, data: {x: before}}`)
			p.record.Spec.ServiceAccountName = tc.account
			p.record.Spec.Steps = []v1alpha1.RenderedStep{*p.step}
			got := p.runner.Try(t.Context(), p.record)
			if (len(got) > 0) != (len(tc.want) > 0) {
				t.Fatalf("%s: got %+v", tc.reason, got)
			}
			for _, words := range tc.want {
				if !strings.Contains(got[0].Message, words) {
					t.Errorf("%s: %q is not in %q", tc.reason, words, got[0].Message)
				}
			}
			if data := p.data(); data["x"] != "before" {
				t.Errorf("something was stored: %v", data)
			}
		})
	}
}
