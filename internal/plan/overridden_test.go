package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// TestOverridden tells which values of a write are not stored as they are sent.
func TestOverridden(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, kind, sent, got string
		hidden                  bool
		want                    []string
	}{
		"AsSent":     {"what is there as it was sent is nothing to tell", "Deployment", "{spec: {replicas: 5}}", "{spec: {replicas: 5, paused: true}}", false, nil},
		"Forced":     {"somebody else decides", "Deployment", "{spec: {replicas: 5}}", "{spec: {replicas: 10}}", false, []string{"spec.replicas: 5 → 10"}},
		"Hidden":     {"what is there is not for everybody", "Deployment", "{spec: {replicas: 5}}", "{spec: {replicas: 10}}", true, []string{"spec.replicas: 5 → (hidden)"}},
		"Dropped":    {"the status is no part of a write", "Deployment", "{status: {phase: Approved}}", "{spec: {}}", false, []string{"status.phase: Approved is dropped"}},
		"Removed":    {"what is removed is not there", "ConfigMap", "{data: {a: null}}", "{data: {}}", false, nil},
		"Restored":   {"and is put back", "ConfigMap", "{data: {a: null}}", "{data: {a: x}}", false, []string{"data.a: null → x"}},
		"Quantities": {"they are written in another way", "Pod", "{spec: {cpu: 1000m, memory: 1024Mi, other: 0.5}}", "{spec: {cpu: '1', memory: 1Gi, other: 500m}}", false, nil},
		"Empty":      {"what is empty can be left out", "Pod", "{spec: {a: '', b: false, c: 0, d: {}, e: []}}", "{spec: {}}", false, nil},
		"ByName": {"elements are found by their names", "Pod", "{spec: {containers: [{name: app, image: a}]}}", "{spec: {containers: [{name: proxy, image: p}, {name: app, image: mirror/a}]}}", false,
			[]string{`spec.containers[app].image: a → mirror/a`}},
		"Gone":      {"an element can be dropped", "Pod", "{spec: {containers: [{name: app, image: a}]}}", "{spec: {containers: [{name: proxy, image: p}]}}", false, []string{`spec.containers[app]: {"image":"a","name":"app"} is dropped`}},
		"Merged":    {"values without names are found only where all was sent", "Pod", "{metadata: {finalizers: [a]}}", "{metadata: {finalizers: [b, a]}}", false, nil},
		"Ordered":   {"all was sent", "Pod", "{spec: {args: [a, b]}}", "{spec: {args: [a, c]}}", false, []string{"spec.args[1]: b → c"}},
		"Emptied":   {"a list is not there at all", "Pod", "{spec: {args: [a, b]}}", "{spec: {}}", false, []string{`spec.args: ["a","b"] is dropped`}},
		"Directive": {"how a patch merges is stored nowhere", "Pod", "{spec: {$retainKeys: [a], list: [{$patch: delete, name: a}]}}", "{spec: {list: [{name: b}]}}", false, nil},
		"Variable":  {"what others put into a variable may be a password", "Pod", "{spec: {containers: [{name: a, env: [{name: B, value: x}]}]}}", "{spec: {containers: [{name: a, env: [{name: B, value: s3cret}]}]}}", false, []string{"spec.containers[a].env[B].value: x → (hidden)"}},
		"Own":       {"what a step sets itself is shown", "Pod", "{spec: {containers: [{name: a, env: [{name: B, value: x}]}]}}", "{spec: {containers: [{name: a, env: [{name: B}]}]}}", false, []string{"spec.containers[a].env[B].value: x is dropped"}},
		"Copied": {"and what comes with a copied pod may be a password as well", "Job",
			"{metadata: {annotations: {signoff.dev/pod-from: Deployment a/b}}, spec: {containers: [{name: a, image: i, env: [{name: B, value: s3cret}]}]}}",
			"{metadata: {annotations: {signoff.dev/pod-from: Deployment a/b}}, spec: {containers: [{name: a, image: mirror/i, env: [{name: B, value: x}]}]}}", false,
			[]string{"spec.containers[a].image: i → mirror/i", "spec.containers[a].env[B].value: (hidden) → (hidden)"}},
		"CopiedList": {"also in what is dropped as a whole", "Job",
			"{metadata: {annotations: {signoff.dev/pod-from: Deployment a/b}}, spec: {containers: [{name: a, env: [{name: B, value: s3cret}]}]}}", "{metadata: {annotations: {signoff.dev/pod-from: Deployment a/b}}}", false,
			[]string{`spec.containers: [{"env":[{"name":"B","value":"(hidden)"}],"name":"a"}] is dropped`}},
		"Secret": {"a Secret is not shown", "Secret", "{stringData: {a: b}}", "{data: {a: Yg==}}", false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			read := func(text string) map[string]any {
				var object map[string]any
				if err := yaml.Unmarshal([]byte(text), &object); err != nil {
					t.Fatal(err)
				}
				return object
			}
			w := &v1alpha1.RenderedWrite{Object: v1alpha1.ObjectReference{APIVersion: "v1", Kind: tc.kind, Namespace: "a", Name: "b"}}
			if diff := cmp.Diff(tc.want, Overridden(w, read(tc.sent), read(tc.got), tc.hidden)); diff != "" {
				t.Errorf("%s: -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}
