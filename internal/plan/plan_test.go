package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// checkout is a Deployment with two containers, as the API server gives it after an apply by this Action.
const checkout = `
apiVersion: apps/v1
kind: Deployment
metadata:
  namespace: production
  name: checkout
  labels: {app: checkout, stale: mine, shared: both}
  managedFields:
  - manager: signoff/platform/deploy/rollout
    operation: Apply
    apiVersion: apps/v1
    fieldsType: FieldsV1
    fieldsV1: {"f:metadata": {"f:labels": {"f:stale": {}, "f:shared": {}}}, "f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {".": {}, "f:name": {}, "f:image": {}, "f:workingDir": {}}, "k:{\"name\":\"old\"}": {".": {}, "f:name": {}, "f:image": {}}}}}}}
  - manager: kubectl
    operation: Update
    apiVersion: apps/v1
    fieldsType: FieldsV1
    fieldsV1: {"f:metadata": {"f:labels": {"f:app": {}, "f:shared": {}}}, "f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"sidecar\"}": {".": {}, "f:name": {}, "f:image": {}}, "k:{\"name\":\"app\"}": {"f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}, "f:protocol": {}}}}}}}}}
spec:
  replicas: 3
  template:
    metadata: {labels: {app: checkout}}
    spec:
      containers:
      - name: app
        image: registry/checkout:1.41
        workingDir: /srv
        args: [serve, --verbose]
        env: [{name: LEVEL, value: info}, {name: DB, valueFrom: {secretKeyRef: {name: db, key: url}}}]
        ports: [{containerPort: 80, protocol: TCP}]
      - {name: old, image: "old:1"}
      - {name: sidecar, image: "sidecar:1"}
      volumes: [{name: cache, emptyDir: {}}]
`

const secret = `
apiVersion: v1
kind: Secret
metadata: {namespace: production, name: db, annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"data":{"password":"aHVudGVyMg=="}}', team: payments}}
data: {password: aHVudGVyMg==, user: YWxpY2U=}
`

const custom = `
apiVersion: example.com/v1
kind: Group
metadata:
  name: people
  managedFields:
  - {manager: other, operation: Update, apiVersion: example.com/v1, fieldsType: FieldsV1, fieldsV1: {"f:spec": {"f:atomic": {}, "f:merged": {"k:{\"name\":\"a\"}": {".": {}, "f:name": {}}}, "f:set": {"v:\"x\"": {}}}}}
spec: {atomic: [{name: a}, {name: b}], merged: [{name: a, n: 1}], set: [x]}
`

func parse(t testing.TB, source string) *unstructured.Unstructured {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(source))
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(raw); err != nil {
		t.Fatal(err)
	}
	return u
}

// write makes a write of the body, which is YAML, to the object.
func write(t testing.TB, operation v1alpha1.WriteOperation, object, body string) v1alpha1.RenderedWrite {
	t.Helper()
	u := parse(t, object)
	raw, err := yaml.YAMLToJSON([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	out := v1alpha1.RenderedWrite{Operation: operation, FieldManager: "signoff/platform/deploy/rollout", Object: v1alpha1.ObjectReference{
		APIVersion: u.GetAPIVersion(), Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName(),
	}}
	out.Body.Raw = raw
	return out
}

// describe describes one step with these writes, in a cluster with the objects above.
func describe(t testing.TB, writes ...v1alpha1.RenderedWrite) []v1alpha1.PlannedChange {
	t.Helper()
	live := map[string]*unstructured.Unstructured{}
	for _, source := range []string{checkout, secret, custom} {
		u := parse(t, source)
		live[u.GetKind()+u.GetName()] = u
	}
	before := fmt.Sprint(live)
	changes := Describe([]v1alpha1.RenderedStep{{Name: "rollout", Writes: writes}}, View{Live: func(ref v1alpha1.ObjectReference) Found {
		return Found{Object: live[ref.Kind+ref.Name]}
	}})
	if after := fmt.Sprint(live); after != before {
		t.Errorf("the live objects changed:\n%s\n%s", before, after)
	}
	return changes
}

// TestHidden describes writes to an object that not everybody may read, or that nobody can look at.
func TestHidden(t *testing.T) {
	object := func() *unstructured.Unstructured { return parse(t, checkout) }
	write := func(operation v1alpha1.WriteOperation, body string) v1alpha1.RenderedWrite {
		w := v1alpha1.RenderedWrite{Operation: operation, Object: v1alpha1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "production", Name: "checkout"}}
		w.Body.Raw = []byte(body)
		return w
	}
	const tricky = `{"metadata":{"annotations":{"shown":"registry/evil:6.66 → registry/checkout:1.42"}},"spec":{"replicas":7}}`
	for name, tc := range map[string]struct {
		reason string
		write  v1alpha1.RenderedWrite
		view   View
		want   []string
	}{
		"Hidden": {
			"what was there is hidden, and what will be there is shown, whatever signs it is made of", write(v1alpha1.WriteMergePatch, tricky),
			View{Live: func(v1alpha1.ObjectReference) Found { return Found{Object: object(), Hidden: true} }},
			[]string{`metadata.annotations.shown: (hidden) → "registry/evil:6.66 → registry/checkout:1.42"`, "spec.replicas: (hidden) → 7"},
		},
		"HiddenShorter": {
			"a warning tells nothing of what is hidden", write(v1alpha1.WriteMergePatch, `{"spec":{"template":{"spec":{"containers":[]}}}}`),
			View{Live: func(v1alpha1.ObjectReference) Found { return Found{Object: object(), Hidden: true} }},
			[]string{"WARNING: spec.template.spec.containers gets shorter", "spec.template.spec.containers: (hidden): elements that are there are removed"},
		},
		"Unread": {
			"what is sent is shown, although nobody could look", write(v1alpha1.WriteMergePatch, `{"spec":{"replicas":7}}`),
			View{Live: func(v1alpha1.ObjectReference) Found { return Found{Unread: true} }},
			[]string{"cannot be compared with what is there, which the ServiceAccount may not read; this is sent:", "spec.replicas: (new) 7"},
		},
		"UnreadEmpty": {
			"where nothing is sent, no line announces it", write(v1alpha1.WriteMergePatch, `{}`),
			View{Live: func(v1alpha1.ObjectReference) Found { return Found{Unread: true} }},
			[]string{"cannot be compared with what is there, which the ServiceAccount may not read"},
		},
		"UnreadJSON": {
			"operations are shown as well", write(v1alpha1.WriteJSONPatch, `[{"op":"replace","path":"/spec/replicas","value":7}]`),
			View{Live: func(v1alpha1.ObjectReference) Found { return Found{Unread: true} }},
			[]string{"cannot be compared with what is there, which the ServiceAccount may not read; this is sent:", "replace /spec/replicas: (new) 7"},
		},
		"Bomb": {
			"copies of copies end before they fill the memory", write(v1alpha1.WriteJSONPatch, bomb(40)),
			View{Live: func(v1alpha1.ObjectReference) Found { return Found{Object: object()} }}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			fields := Describe([]v1alpha1.RenderedStep{{Name: "s", Writes: []v1alpha1.RenderedWrite{tc.write}}}, tc.view)[0].Fields
			if tc.want == nil {
				if last := fields[len(fields)-1]; !strings.Contains(last, "this does not fit the object") {
					t.Errorf("%s: got %q", tc.reason, fields)
				}
				return
			}
			if diff := cmp.Diff(tc.want, fields); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// bomb doubles the object with each operation.
func bomb(operations int) string {
	list := make([]string, operations)
	for i := range list {
		list[i] = fmt.Sprintf(`{"op":"copy","from":"/metadata","path":"/metadata/x%d"}`, i)
	}
	return "[" + strings.Join(list, ",") + "]"
}

const identity = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {namespace: production, name: checkout, labels: {stale: mine, shared: both}}\n"

func TestFields(t *testing.T) {
	for name, tc := range map[string]struct {
		reason    string
		operation v1alpha1.WriteOperation
		object    string
		body      string
		want      []string
	}{
		"ApplyImage": {
			reason: "containers are merged by name, the sidecar and the ports stay", operation: v1alpha1.WriteApply, object: checkout,
			body: identity + `spec: {template: {spec: {containers: [{name: app, image: "registry/checkout:1.42", workingDir: /srv}, {name: old, image: "old:1"}]}}}`,
			want: []string{"spec.template.spec.containers[app].image: registry/checkout:1.41 → registry/checkout:1.42"},
		},
		"ApplyNothing": {
			reason: "what is there already", operation: v1alpha1.WriteApply, object: checkout,
			body: identity + `spec: {replicas: 3, template: {spec: {containers: [{name: app, image: "registry/checkout:1.41", workingDir: /srv}, {name: old, image: "old:1"}]}}}`,
			want: []string{"nothing changes"},
		},
		"ApplyTakesBack": {
			reason: "what this step applied earlier and applies no more goes, unless somebody else owns it too", operation: v1alpha1.WriteApply, object: checkout,
			body: "apiVersion: apps/v1\nkind: Deployment\nmetadata: {namespace: production, name: checkout}\n" + `spec: {template: {spec: {containers: [{name: app, image: "registry/checkout:1.41"}]}}}`,
			want: []string{
				"WARNING: spec.template.spec.containers gets shorter, 3 → 2",
				"metadata.labels.stale: mine → (removed)",
				"spec.template.spec.containers[app].workingDir: /srv → (removed)",
				`spec.template.spec.containers[old]: {"image":"old:1","name":"old"} → (removed)`,
			},
		},
		"ApplyMore": {
			reason: "new elements, new fields, a port by its key with its default left out", operation: v1alpha1.WriteApply, object: checkout,
			body: identity + `spec: {template: {spec: {containers: [{name: app, image: "registry/checkout:1.41", workingDir: /srv, ports: [{containerPort: 80}, {containerPort: 81}], resources: {limits: {cpu: "1"}}}, {name: old, image: "old:1"}, {name: more, image: "x:1"}]}}}`,
			want: []string{
				"spec.template.spec.containers[more].image: (new) x:1",
				"spec.template.spec.containers[app].ports[81].containerPort: (new) 81",
				`spec.template.spec.containers[app].resources.limits.cpu: (new) "1"`,
			},
		},
		"ApplyCreates": {
			reason: "there is no such object", operation: v1alpha1.WriteApply, object: "{apiVersion: v1, kind: ConfigMap, metadata: {namespace: a, name: b}}",
			body: "{apiVersion: v1, kind: ConfigMap, metadata: {namespace: a, name: b, labels: {x: z}}, data: {k: v, empty: {}, list: []}}",
			want: []string{"creates it", "data.empty: (new) {}", "data.k: (new) v", "data.list: (new) []", "metadata.labels.x: (new) z"},
		},
		"ApplyCustom": {
			reason: "how the lists of a custom resource are merged is seen from their owners", operation: v1alpha1.WriteApply, object: custom,
			body: `{apiVersion: example.com/v1, kind: Group, metadata: {name: people}, spec: {atomic: [{name: a}], merged: [{name: b}], set: [z]}}`,
			want: []string{"WARNING: spec.atomic gets shorter, 2 → 1", `spec.atomic[b]: {"name":"b"} → (removed)`, "spec.merged[b].name: (new) b", "spec.set[1]: (new) z"},
		},
		"StrategicImage": {
			reason: "containers are merged by name", operation: v1alpha1.WriteStrategicPatch, object: checkout,
			body: `{spec: {template: {spec: {containers: [{name: sidecar, image: "sidecar:2"}]}}}}`,
			want: []string{"spec.template.spec.containers[sidecar].image: sidecar:1 → sidecar:2"},
		},
		"StrategicNew": {
			reason: "an annotation that was not there", operation: v1alpha1.WriteStrategicPatch, object: checkout,
			body: `{spec: {template: {metadata: {annotations: {signoff.dev/restarted-by: 6f1d2c1e}}}}}`,
			want: []string{"spec.template.metadata.annotations[signoff.dev/restarted-by]: (new) 6f1d2c1e"},
		},
		"StrategicDelete": {
			reason: "directives are obeyed", operation: v1alpha1.WriteStrategicPatch, object: checkout,
			body: `{spec: {template: {spec: {containers: [{name: sidecar, $patch: delete}]}}}}`,
			want: []string{"WARNING: spec.template.spec.containers gets shorter, 3 → 2", `spec.template.spec.containers[sidecar]: {"image":"sidecar:1","name":"sidecar"} → (removed)`},
		},
		"StrategicUnknown": {
			reason: "a field that does not exist", operation: v1alpha1.WriteStrategicPatch, object: checkout,
			body: `{spec: {replikas: [{a: 1}]}}`,
			want: []string{"spec.replikas[0].a: (new) 1"},
		},
		"MergeList": {
			reason: "a merge patch replaces the list: sidecar, variables and ports are lost, and it is seen", operation: v1alpha1.WriteMergePatch, object: checkout,
			body: `{spec: {template: {spec: {containers: [{name: app, image: "registry/checkout:1.42"}]}}}}`,
			want: []string{
				"WARNING: spec.template.spec.containers gets shorter, 3 → 1",
				"WARNING: spec.template.spec.containers[app].args gets shorter, 2 → 0", "WARNING: spec.template.spec.containers[app].env gets shorter, 2 → 0",
				"WARNING: spec.template.spec.containers[app].ports gets shorter, 1 → 0",
				"spec.template.spec.containers[app].image: registry/checkout:1.41 → registry/checkout:1.42",
				`spec.template.spec.containers[app].args: ["serve","--verbose"] → (removed)`,
				`spec.template.spec.containers[app].env: [{"name":"LEVEL","value":"(hidden)"},{"name":"DB","valueFrom":{"secretKeyRef":{"key":"url","name":"db"}}}] → (removed)`,
				`spec.template.spec.containers[app].ports: [{"containerPort":80,"protocol":"TCP"}] → (removed)`,
				"spec.template.spec.containers[app].workingDir: /srv → (removed)",
				`spec.template.spec.containers[old]: {"image":"old:1","name":"old"} → (removed)`,
				`spec.template.spec.containers[sidecar]: {"image":"sidecar:1","name":"sidecar"} → (removed)`,
			},
		},
		"MergeNull": {
			reason: "null removes, numbers of another form are the same", operation: v1alpha1.WriteMergePatch, object: checkout,
			body: `{metadata: {labels: {app: null}}, spec: {replicas: 3.0}}`,
			want: []string{"metadata.labels.app: checkout → (removed)"},
		},
		"MergeOrder": {
			reason: "the order of init containers matters", operation: v1alpha1.WriteMergePatch, object: custom,
			body: `{spec: {atomic: [{name: b}, {name: a}]}}`,
			want: []string{"spec.atomic: order a,b → b,a"},
		},
		"MergeItems": {
			reason: "lists of plain values are compared by position", operation: v1alpha1.WriteMergePatch, object: custom,
			body: `{spec: {set: [v, z]}}`,
			want: []string{"spec.set[0]: x → v", "spec.set[1]: (new) z"},
		},
		"MergeType": {
			reason: "a text and a number are not the same, and a map may become a text", operation: v1alpha1.WriteMergePatch, object: checkout,
			body: `{spec: {replicas: "3", template: gone}}`,
			want: []string{"WARNING: spec.template.spec.containers gets shorter, 3 → 0", "WARNING: spec.template.spec.volumes gets shorter, 1 → 0", `spec.replicas: 3 → "3"`, `spec.template: {"metadata":{"labels":{"app":"checkout"}},"spec":{"containers":[{"args":["serve","--verbose"],"env":[{"name":"LEVEL","v… → gone`},
		},
		"Variable": {
			reason: "what was there may be a password; what the step sets is what is agreed to", operation: v1alpha1.WriteStrategicPatch, object: checkout,
			body: `{spec: {template: {spec: {containers: [{name: app, env: [{name: LEVEL, value: debug}, {name: NEW, value: x}]}]}}}}`,
			want: []string{
				"spec.template.spec.containers[app].env[LEVEL].value: (hidden) → debug",
				"spec.template.spec.containers[app].env[NEW].value: (new) x",
			},
		},
		"Secret": {
			reason: "nothing of a Secret is shown, not even in what kubectl remembers", operation: v1alpha1.WriteMergePatch, object: secret,
			body: `{metadata: {annotations: {kubectl.kubernetes.io/last-applied-configuration: null, team: web}}, data: {password: bmV3, user: null}, stringData: {more: plain}}`,
			want: []string{
				"data.password: (hidden) → (hidden)", "data.user: (hidden) → (removed)",
				"metadata.annotations[kubectl.kubernetes.io/last-applied-configuration]: (hidden) → (removed)",
				"metadata.annotations.team: payments → web", "stringData.more: (new) (hidden)",
			},
		},
		"SecretWhole": {
			reason: "neither when all of it goes", operation: v1alpha1.WriteMergePatch, object: secret, body: `{data: null}`,
			want: []string{`data: {"password":"(hidden)","user":"(hidden)"} → (removed)`},
		},
		"SecretText": {
			reason: "neither when it becomes something else", operation: v1alpha1.WriteMergePatch, object: secret, body: `{data: plain}`,
			want: []string{`data: {"password":"(hidden)","user":"(hidden)"} → (hidden)`},
		},
		"SecretJSON": {
			reason: "neither in a JSON patch", operation: v1alpha1.WriteJSONPatch, object: secret,
			body: `[{op: replace, path: /data/password, value: bmV3}, {op: test, path: /data/user, value: YWxpY2U=}, {op: remove, path: /data/user}, {op: add, path: /data, value: {a: Yg==}}]`,
			want: []string{
				"replace /data/password: (hidden) → (hidden)", "test /data/user: (hidden) (must be so)", "remove /data/user: (hidden) → (removed)",
				`add /data: {"password":"(hidden)"} → {"a":"(hidden)"}`,
			},
		},
		"JSON": {
			reason: "operations are shown as they are, each on what the earlier ones made", operation: v1alpha1.WriteJSONPatch, object: checkout,
			body: `[{op: test, path: /spec/replicas, value: 3}, {op: replace, path: /spec/replicas, value: 5}, {op: replace, path: /spec/replicas, value: 6}, {op: add, path: /spec/template/spec/containers/0/args/-, value: "a b"},
				{op: add, path: "/metadata/labels/x~1y", value: z}, {op: remove, path: /metadata/labels/app}, {op: move, from: /metadata/labels/stale, path: /metadata/labels/s}, {op: replace, path: /spec/template/spec/containers/0/env/0/value, value: debug}]`,
			want: []string{
				"test /spec/replicas: 3 (must be so)", "replace /spec/replicas: 3 → 5", "replace /spec/replicas: 5 → 6",
				`add /spec/template/spec/containers/0/args/-: (new) "a b"`, "add /metadata/labels/x~1y: (new) z",
				"remove /metadata/labels/app: checkout → (removed)", "move /metadata/labels/s: from /metadata/labels/stale",
				"replace /spec/template/spec/containers/0/env/0/value: (hidden) → debug",
			},
		},
		"JSONShorter": {
			reason: "an element that goes is warned of", operation: v1alpha1.WriteJSONPatch, object: checkout,
			body: `[{op: remove, path: /spec/template/spec/containers/0/args/1}]`,
			want: []string{"WARNING: spec.template.spec.containers[0].args gets shorter, 2 → 1", "remove /spec/template/spec/containers/0/args/1: --verbose → (removed)"},
		},
		"JSONReplace": {
			reason: "so is a list that is written as a whole", operation: v1alpha1.WriteJSONPatch, object: custom,
			body: `[{op: replace, path: /spec/atomic, value: [{name: a}]}, {op: add, path: /spec/atomic, value: []}]`,
			want: []string{
				"WARNING: spec.atomic gets shorter, 2 → 1", `replace /spec/atomic: [{"name":"a"},{"name":"b"}] → [{"name":"a"}]`,
				"WARNING: spec.atomic gets shorter, 1 → 0", `add /spec/atomic: [{"name":"a"}] → []`,
			},
		},
		"JSONParent": {
			reason: "so are the lists in what is written as a whole, and in elements that stay", operation: v1alpha1.WriteJSONPatch, object: checkout,
			body: `[{op: replace, path: /spec/template/spec, value: {containers: [{name: app, args: [serve], ports: [{containerPort: 80}]}, {name: old}, {name: sidecar}]}}]`,
			want: []string{
				"WARNING: spec.template.spec.containers[app].args gets shorter, 2 → 1", "WARNING: spec.template.spec.containers[app].env gets shorter, 2 → 0",
				"WARNING: spec.template.spec.volumes gets shorter, 1 → 0",
				`replace /spec/template/spec: {"containers":[{"args":["serve","--verbose"],"env":[{"name":"LEVEL","value":"(hidden)"},{"name":"DB","valueFrom":{"secr… → {"containers":[{"args":["serve"],"name":"app","ports":[{"containerPort":80}]},{"name":"old"},{"name":"sidecar"}]}`,
			},
		},
		"JSONRemove": {
			reason: "so is a list that goes", operation: v1alpha1.WriteJSONPatch, object: custom,
			body: `[{op: remove, path: /spec/set}, {op: remove, path: /spec}]`,
			want: []string{
				"WARNING: spec.set gets shorter, 1 → 0", `remove /spec/set: ["x"] → (removed)`,
				"WARNING: spec.atomic gets shorter, 2 → 0", "WARNING: spec.merged gets shorter, 1 → 0",
				`remove /spec: {"atomic":[{"name":"a"},{"name":"b"}],"merged":[{"false":1,"name":"a"}]} → (removed)`,
			},
		},
		"JSONMove": {
			reason: "so is a list out of which something is moved; within one, nothing gets shorter", operation: v1alpha1.WriteJSONPatch, object: custom,
			body: `[{op: move, from: /spec/atomic/0, path: /spec/atomic/1}, {op: move, from: /spec/atomic/0, path: /spec/merged/-}, {op: copy, from: /spec/set, path: /spec/merged}]`,
			want: []string{
				"move /spec/atomic/1: from /spec/atomic/0",
				"WARNING: spec.atomic gets shorter, 2 → 1", "move /spec/merged/-: from /spec/atomic/0",
				"WARNING: spec.merged gets shorter, 2 → 1", "copy /spec/merged: from /spec/set",
			},
		},
		"MergeRemovesLists": {
			reason: "so is a list that a merge patch removes, alone or with the map around it", operation: v1alpha1.WriteMergePatch, object: checkout,
			body: `{spec: {template: {spec: {volumes: null, containers: null}}}}`,
			want: []string{
				"WARNING: spec.template.spec.containers gets shorter, 3 → 0", "WARNING: spec.template.spec.volumes gets shorter, 1 → 0",
				`spec.template.spec.containers: [{"args":["serve","--verbose"],"env":[{"name":"LEVEL","value":"(hidden)"},{"name":"DB","valueFrom":{"secretKeyRef":{"ke… → (removed)`,
				`spec.template.spec.volumes: [{"emptyDir":{},"name":"cache"}] → (removed)`,
			},
		},
		"MergeRemovesMap": {
			reason: "descends into what goes", operation: v1alpha1.WriteMergePatch, object: custom, body: `{spec: null}`,
			want: []string{
				"WARNING: spec.atomic gets shorter, 2 → 0", "WARNING: spec.merged gets shorter, 1 → 0", "WARNING: spec.set gets shorter, 1 → 0",
				`spec: {"atomic":[{"name":"a"},{"name":"b"}],"merged":[{"false":1,"name":"a"}],"set":["x"]} → (removed)`,
			},
		},
		"JSONFails": {
			reason: "what cannot work is said before anybody agrees to it", operation: v1alpha1.WriteJSONPatch, object: checkout,
			body: `[{op: remove, path: /spec/missing}, {op: replace, path: /spec/replicas, value: 5}]`,
			want: []string{"remove /spec/missing: (missing) → (removed)", "  this does not fit the object as it is now: the step would fail"},
		},
		"Absent": {
			reason: "there is nothing to patch", operation: v1alpha1.WriteMergePatch, object: "{apiVersion: v1, kind: Node, metadata: {name: ns}}", body: "{a: 1}",
			want: []string{"does not exist now: the step fails unless something else creates it first; then it gets:", "a: (new) 1"},
		},
		"Deceptive": {
			reason: "what a requester wrote cannot look like a line, a change or another direction", operation: v1alpha1.WriteMergePatch, object: checkout,
			body: `{metadata: {labels: {app: "a → (removed)", "b: x": "\u202egnp.\n\u0007", c: "true", d: "", e: "\u200b\u3164é\"\\"}}}`,
			want: []string{
				`metadata.labels.app: checkout → "a → (removed)"`, `metadata.labels["b: x"]: (new) "\u202egnp.\n\a"`, `metadata.labels.c: (new) "true"`,
				`metadata.labels.d: (new) ""`, `metadata.labels.e: (new) "\u200b\u3164é\"\\"`,
			},
		},
		"Long": {
			reason: "long values are cut, and it is said", operation: v1alpha1.WriteMergePatch, object: checkout,
			body: `{metadata: {labels: {app: "` + strings.Repeat("é", 200) + `"}}}`,
			want: []string{`metadata.labels.app: checkout → "` + strings.Repeat("é", 118) + `…" (and 82 characters more)`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := describe(t, write(t, tc.operation, tc.object, tc.body))
			if diff := cmp.Diff(tc.want, got[0].Fields); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestDescribeEntries(t *testing.T) {
	job := `{apiVersion: batch/v1, kind: Job, metadata: {namespace: production, name: j, labels: {a: b}, annotations: {signoff.dev/pod-from: Deployment production/checkout}},
		spec: {backoffLimit: 0, template: {spec: {restartPolicy: Never, serviceAccountName: checkout, containers: [{name: app, image: "c:1", command: [rake, "db:migrate now"], env: [{name: A, value: pass}]}]}}}}`
	templated := `{apiVersion: batch/v1, kind: Job, metadata: {namespace: production, name: k}, spec: {template: {spec: {containers: [{name: app, image: "c:1", env: [{name: A, value: plain}]}]}}}}`
	got := describe(t,
		write(t, v1alpha1.WriteMergePatch, checkout, `{spec: {replicas: 4}}`),
		write(t, v1alpha1.WriteMergePatch, checkout, `{spec: {replicas: 5}}`),
		write(t, v1alpha1.WriteJSONPatch, checkout, `[{op: replace, path: /spec/replicas, value: 6}]`),
		write(t, v1alpha1.WriteStrategicPatch, checkout, `{spec: {replicas: 7}}`),
		write(t, v1alpha1.WriteApply, "{apiVersion: v1, kind: Namespace, metadata: {name: ns}}", `{apiVersion: v1, kind: Namespace, metadata: {name: ns}}`),
		write(t, v1alpha1.WriteMergePatch, "{apiVersion: v1, kind: Namespace, metadata: {name: ns}}", `{metadata: {labels: {a: b}}}`),
		write(t, v1alpha1.WriteCreateJob, job, job),
		write(t, v1alpha1.WriteCreateJob, templated, templated),
	)
	want := []v1alpha1.PlannedChange{
		{Step: "rollout", Operation: "patch", Object: "Deployment production/checkout", Fields: []string{"spec.replicas: 3 → 4"}},
		{Step: "rollout", Operation: "patch", Object: "Deployment production/checkout", Fields: []string{"spec.replicas: 4 → 5"}},
		{Step: "rollout", Operation: "patch", Object: "Deployment production/checkout", Fields: []string{"replace /spec/replicas: 5 → 6"}},
		{Step: "rollout", Operation: "patch", Object: "Deployment production/checkout", Fields: []string{"spec.replicas: 6 → 7"}},
		{Step: "rollout", Operation: "apply", Object: "Namespace ns", Fields: []string{"creates it"}},
		{Step: "rollout", Operation: "patch", Object: "Namespace ns", Fields: []string{"metadata.labels.a: (new) b"}},
		{Step: "rollout", Operation: "run", Object: "Job production/j", Fields: []string{
			`pod: a copy of that of "Deployment production/checkout"`,
			"spec.template.spec.containers[app].image: (new) c:1",
			"spec.template.spec.containers[app].command[0]: (new) rake",
			`spec.template.spec.containers[app].command[1]: (new) "db:migrate now"`,
			"spec.template.spec.serviceAccountName: (new) checkout",
			"spec.template.spec.containers[app].env[A].value: (new) (hidden)",
			"spec.backoffLimit: (new) 0",
			"spec.template.spec.restartPolicy: (new) Never",
		}},
		{Step: "rollout", Operation: "run", Object: "Job production/k", Fields: []string{
			"spec.template.spec.containers[app].image: (new) c:1", "spec.template.spec.containers[app].env[A].value: (new) plain",
		}},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(v1alpha1.PlannedChange{}, "Basis")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestTooMany is about a requester who would push the image out of sight, and about saying how much is left out, whatever else there is to say.
func TestTooMany(t *testing.T) {
	labels := map[string]string{}
	for i := range 100 {
		labels[fmt.Sprintf("a%03d", i)] = "x"
	}
	raw, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"labels": labels},
		"spec":     map[string]any{"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{"name": "app", "image": "evil:1"}}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	const (
		image    = "spec.template.spec.containers[app].image: registry/checkout:1.41 → evil:1"
		when     = `only when it holds then: "x"`
		late     = "Deferred: known once earlier steps have run: spec.replicas"
		supposed = "compared with what is there if these steps have run, which may be skipped: perhaps"
		end      = "at the end, also where another step fails"
	)
	perhaps := v1alpha1.RenderedStep{Name: "perhaps", When: "x", Writes: []v1alpha1.RenderedWrite{write(t, v1alpha1.WriteMergePatch, checkout, `{spec: {paused: true}}`)}}
	for name, tc := range map[string]struct {
		change func(*v1alpha1.RenderedStep)
		// others are how many steps there are besides, and before it one that may be skipped.
		others int
		before []v1alpha1.RenderedStep
		want   []string
		lines  int
		more   string
	}{
		"Alone":   {nil, 0, nil, []string{image}, 64, "… and 38 more"},
		"When":    {func(s *v1alpha1.RenderedStep) { s.When = "x" }, 0, nil, []string{when, image}, 64, "… and 39 more"},
		"Late":    {func(s *v1alpha1.RenderedStep) { s.Writes[0].Late = []v1alpha1.LateValue{{Path: "/spec/replicas"}} }, 0, nil, []string{late, image}, 64, "… and 39 more"},
		"Finally": {func(s *v1alpha1.RenderedStep) { s.Name = "end" }, 0, nil, []string{end, image}, 64, "… and 39 more"},
		"All": {func(s *v1alpha1.RenderedStep) {
			s.Name, s.When, s.Writes[0].Late = "end", "x", []v1alpha1.LateValue{{Path: "/spec/replicas"}}
		}, 0, []v1alpha1.RenderedStep{perhaps}, []string{end, when, late, supposed, image}, 64, "… and 42 more"},
		"Many":     {nil, 15, nil, []string{image}, 32, "… and 70 more"},
		"ManyMore": {nil, 99, nil, []string{image}, 8, "… and 94 more"},
	} {
		t.Run(name, func(t *testing.T) {
			step := v1alpha1.RenderedStep{Name: "s", Writes: []v1alpha1.RenderedWrite{write(t, v1alpha1.WriteStrategicPatch, checkout, string(raw))}}
			if tc.change != nil {
				tc.change(&step)
			}
			steps := append(slices.Clone(tc.before), step)
			for range tc.others {
				steps = append(steps, v1alpha1.RenderedStep{Name: "other", HTTP: &v1alpha1.RenderedHTTP{Method: "GET", URL: "https://a.example.com/"}})
			}
			live := parse(t, checkout)
			changes := Stored(Describe(steps, View{Finally: []v1alpha1.RenderedStep{{Name: "end"}}, Live: func(v1alpha1.ObjectReference) Found { return Found{Object: live} }}), nil)
			got := changes[len(tc.before)].Fields
			if len(got) != tc.lines || got[len(got)-1] != tc.more {
				t.Fatalf("got %d lines: %q", len(got), got)
			}
			if diff := cmp.Diff(tc.want, got[:len(tc.want)]); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
