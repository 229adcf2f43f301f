package steps

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

func TestRender(t *testing.T) {
	const manager = "signoff/platform/deploy/a"
	checkout := v1alpha1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "production", Name: "checkout"}
	for name, tc := range map[string]struct {
		reason string
		steps  string
		inputs map[string]any
		want   v1alpha1.RenderedWrite
		body   string
	}{
		"Apply": {
			reason: "types are kept, keys are sorted, nothing is escaped for HTML",
			steps: `[{name: a, apply: {manifests: [{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: "${inputs.namespace}", name: "${inputs.name}"},
				spec: {replicas: "${inputs.number}", x: "<${inputs.text}>", list: "${inputs.list}"}}]}}]`,
			inputs: map[string]any{"number": int64(3), "text": "a&b", "list": []any{"x", "y"}},
			want:   v1alpha1.RenderedWrite{Operation: v1alpha1.WriteApply, Object: checkout, FieldManager: manager, Conflicts: v1alpha1.ConflictsFail},
			body:   `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"checkout","namespace":"production"},"spec":{"list":["x","y"],"replicas":3,"x":"<a&b>"}}`,
		},
		"ApplyTake": {
			reason: "the author may take fields over; a ClusterRole has no namespace and a free name",
			steps:  `[{name: a, apply: {conflicts: Take, manifests: [{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: "team:${inputs.name}"}}]}}]`,
			want: v1alpha1.RenderedWrite{Operation: v1alpha1.WriteApply, FieldManager: manager, Conflicts: v1alpha1.ConflictsTake,
				Object: v1alpha1.ObjectReference{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole", Name: "team:checkout"}},
			body: `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"team:checkout"}}`,
		},
		"Strategic": {
			reason: "without a target it is the Action's; literal directives stay",
			steps:  `[{name: a, patch: {strategic: {spec: {a: {$patch: replace, b: "${request.uid}"}}}}}]`,
			want:   v1alpha1.RenderedWrite{Operation: v1alpha1.WriteStrategicPatch, Object: checkout, FieldManager: manager},
			body:   `{"spec":{"a":{"$patch":"replace","b":"6f1d2c1e-96a7-4e0f-8f0f-6f0a3f3f9002"}}}`,
		},
		"Merge": {
			reason: "a target of its own; null removes",
			steps:  `[{name: a, patch: {target: {apiVersion: v1, kind: Node, name: "${inputs.text}"}, merge: {spec: {unschedulable: true, taints: null}}}}]`,
			inputs: map[string]any{"text": "node-1"},
			want:   v1alpha1.RenderedWrite{Operation: v1alpha1.WriteMergePatch, Object: v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: "node-1"}, FieldManager: manager},
			body:   `{"spec":{"taints":null,"unschedulable":true}}`,
		},
		"JSON": {
			reason: "what is substituted into a pointer stays in its segment; the manager belongs to this request",
			steps:  `[{name: a, patch: {json: [{op: add, path: "/metadata/labels/${inputs.text}", value: "${inputs.number}"}, {op: move, from: "/spec/${inputs.text}", path: "/spec/b"}, {op: test, path: /spec/x, value: {a: ["${inputs.text}"]}}]}}]`,
			inputs: map[string]any{"text": "x/../y~z", "number": int64(7)},
			want:   v1alpha1.RenderedWrite{Operation: v1alpha1.WriteJSONPatch, Object: checkout, FieldManager: "signoff-6f1d2c1e-96a7-4e0f-8f0f-6f0a3f3f9002-a"},
			body:   `[{"op":"add","path":"/metadata/labels/x~1..~1y~0z","value":7},{"from":"/spec/x~1..~1y~0z","op":"move","path":"/spec/b"},{"op":"test","path":"/spec/x","value":{"a":["x/../y~z"]}}]`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := renderOne(t, mustCompile(t, tc.steps), input(tc.inputs))
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			tc.want.Body.Raw = []byte(tc.body)
			if diff := cmp.Diff(tc.want, got, cmp.Transformer("text", func(b []byte) string { return string(b) })); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestRenderRefuses(t *testing.T) {
	manifest := `[{name: a, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: "${inputs.namespace}", name: "${inputs.name}"}}]}}]`
	patch := `[{name: a, patch: {merge: {a: 1}}}]`
	job := `[{name: a, job: {namespace: "${inputs.namespace}", template: {spec: {containers: [{name: a, image: b}]}}}}]`
	for name, tc := range map[string]struct {
		reason string
		steps  string
		inputs map[string]any
		want   string
	}{
		"EmptyNamespace":    {"it would be a cluster-wide object", manifest, map[string]any{"namespace": ""}, `step "a": apply.manifests[0]: metadata.namespace: "" is not the name of a namespace`},
		"NamespacePath":     {"it would reach another object", manifest, map[string]any{"namespace": "a/b"}, "not the name of a namespace"},
		"NamespaceDots":     {"as above", patch, map[string]any{"namespace": ".."}, "patch.target.namespace"},
		"LongNamespace":     {"bounded", manifest, map[string]any{"namespace": strings.Repeat("a", 64)}, "at most 63"},
		"EmptyName":         {"it would be a collection", manifest, map[string]any{"name": ""}, "metadata.name: \"\" is not a name"},
		"NamePath":          {"it would reach a subresource", patch, map[string]any{"name": "a/status"}, `patch.target.name: "a/status" is not a name`},
		"NameQuery":         {"it would reach a parameter", patch, map[string]any{"name": "a?force=true"}, "is not a name"},
		"NameCase":          {"Kubernetes refuses it anyway", patch, map[string]any{"name": "A"}, "is not a name"},
		"LongName":          {"bounded, and so is the message", patch, map[string]any{"name": strings.Repeat("a", 3000)}, `"` + strings.Repeat("a", 80) + `…" is not a name`},
		"RBACName":          {"free names are no paths", `[{name: a, patch: {target: {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, name: "${inputs.name}"}, merge: {a: 1}}}]`, map[string]any{"name": "a/b"}, "without blanks, '/' and '%'"},
		"RBACDots":          {"neither is ..", `[{name: a, patch: {target: {apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, name: "${inputs.name}"}, merge: {a: 1}}}]`, map[string]any{"name": ".."}, "without blanks, '/' and '%'"},
		"NumberAsName":      {"a number is not a name", `[{name: a, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: "${inputs.number}"}}]}}]`, map[string]any{"number": int64(1)}, "metadata.name: must be text"},
		"NumberAsNamespace": {"neither is it a namespace", `[{name: a, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: "${inputs.number}"}}]}}]`, map[string]any{"number": int64(1)}, "metadata.namespace"},
		"SameObject":        {"two names that turn out equal", `[{name: a, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {name: "${inputs.name}"}}, {apiVersion: v1, kind: ConfigMap, metadata: {name: "checkout"}}]}}]`, nil, "applied twice"},
		"OwnDefinition":     {"the schema of a kind guards it", `[{name: a, patch: {target: {apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, name: "${inputs.name}"}, merge: {a: 1}}}]`, map[string]any{"name": "approvals.signoff.dev"}, "Signoff's own kinds"},
		"Directive":         {"it would replace instead of merge", `[{name: a, patch: {strategic: {spec: {template: {metadata: {labels: "${inputs.free}"}}}}}}]`, map[string]any{"free": map[string]any{"$patch": "replace"}}, "patch.strategic: /spec/template/metadata/labels/$patch"},
		"DirectiveList":     {"also in a list", `[{name: a, patch: {strategic: {spec: {x: "${inputs.objects}"}}}}]`, map[string]any{"objects": []any{map[string]any{"$patch": "delete"}}}, "directive"},
		"PointerEvidence":   {"a pointer that turns out to reach it", `[{name: a, patch: {json: [{op: remove, path: "/metadata/${inputs.text}"}]}}]`, map[string]any{"text": "managedFields"}, "belongs to the API server"},
		"PointerAlias":      {"however it is written", `[{name: a, patch: {json: [{op: remove, path: "/${inputs.text}/managedFields"}]}}]`, map[string]any{"text": "metadata"}, "belongs to the API server"},
		"JobNamespace":      {"it would be nowhere", job, map[string]any{"namespace": ""}, "job.namespace"},
		"JobLabels":         {"they would be dropped", `[{name: a, job: {namespace: x, template: {metadata: {labels: "${inputs.text}"}, spec: {containers: [{name: a, image: b}]}}}}]`, map[string]any{"text": "a=b"}, "job.template.metadata.labels: must be an object"},
		"MissingInput":      {"an optional input that was not given", `[{name: a, patch: {merge: {a: "${inputs.text}"}}}]`, nil, "text"},
		"NullInText":        {"null is not text", `[{name: a, job: {namespace: x, template: {spec: {containers: [{name: a, image: b, args: ["${target.nothing}"]}]}}}}]`, nil, "null"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := renderOne(t, mustCompile(t, tc.steps), input(tc.inputs))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: got %s, error %v, want %q", tc.reason, got.Body.Raw, err, tc.want)
			}
		})
	}
}

// TestExpansion is about text that Kubernetes would expand, see expansion.go.
func TestExpansion(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		steps  string
		inputs map[string]any
		want   string
	}{
		"Args":       {"what the author wrote is expanded, what was asked is not", `[{name: a, patch: {strategic: {spec: {template: {spec: {containers: [{name: app, args: ["--user=$(USER)", "--say=${inputs.text}"]}]}}}}}}]`, map[string]any{"text": "$(PASSWORD)"}, `"args":["--user=$(USER)","--say=$$(PASSWORD)"]`},
		"Doubled":    {"$$( would otherwise hide an expansion", `[{name: a, patch: {strategic: {spec: {containers: [{name: app, command: ["${inputs.text}"]}]}}}}]`, map[string]any{"text": "$$(PASSWORD)"}, `"command":["$$$$(PASSWORD)"]`},
		"Env":        {"the value of a variable is expanded too", `[{name: a, patch: {strategic: {spec: {initContainers: [{name: app, env: [{name: X, value: "a${inputs.text}"}]}]}}}}]`, map[string]any{"text": "$(PASSWORD)"}, `"value":"a$$(PASSWORD)"`},
		"EnvName":    {"its name is not", `[{name: a, patch: {strategic: {spec: {containers: [{name: "${inputs.text}", env: [{name: "${inputs.text}"}]}]}}}}]`, map[string]any{"text": "$x"}, `{"env":[{"name":"$x"}],"name":"$x"}`},
		"SubPath":    {"subPathExpr is expanded", `[{name: a, patch: {strategic: {spec: {containers: [{name: app, volumeMounts: [{mountPath: "${inputs.text}", subPathExpr: "${inputs.text}"}]}]}}}}]`, map[string]any{"text": "$(P)"}, `{"mountPath":"$(P)","subPathExpr":"$$(P)"}`},
		"Probe":      {"the command of a probe is expanded, that of a hook is not", `[{name: a, patch: {strategic: {spec: {containers: [{name: app, livenessProbe: {exec: {command: ["${inputs.text}"]}}, lifecycle: {preStop: {exec: {command: ["${inputs.text}"]}}}}]}}}}]`, map[string]any{"text": "$(P)"}, `{"lifecycle":{"preStop":{"exec":{"command":["$(P)"]}}},"livenessProbe":{"exec":{"command":["$$(P)"]}},"name":"app"}`},
		"List":       {"a list that is substituted as a whole", `[{name: a, patch: {strategic: {spec: {containers: [{name: app, args: "${inputs.list}"}]}}}}]`, map[string]any{"list": []any{"$(P)", "x"}}, `"args":["$$(P)","x"]`},
		"Tree":       {"containers that are substituted as a whole", `[{name: a, patch: {merge: {spec: {containers: "${inputs.objects}"}}}}]`, map[string]any{"objects": []any{map[string]any{"name": "$(P)", "args": []any{"$(P)"}, "env": []any{map[string]any{"value": "$(P)"}}}}}, `{"args":["$$(P)"],"env":[{"value":"$$(P)"}],"name":"$(P)"}`},
		"Manifest":   {"in an apply as well; a number becomes text where text must be", `[{name: a, apply: {manifests: [{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {template: {spec: {containers: [{name: app, args: ["${inputs.number}"]}]}}}}]}}]`, map[string]any{"number": int64(5)}, `"args":["5"]`},
		"Elsewhere":  {"nothing expands an annotation", `[{name: a, patch: {merge: {metadata: {annotations: {a: "${inputs.text}"}}}}}]`, map[string]any{"text": "$(P)"}, `{"a":"$(P)"}`},
		"EscapedKey": {"an escape in a key does not hide what is below", `[{name: a, patch: {merge: {"$${x": {containers: [{args: ["${inputs.text}"]}]}}}}]`, map[string]any{"text": "$(P)"}, `{"${x":{"containers":[{"args":["$$(P)"]}]}}`},
		"Pointer":    {"a JSON patch says the path in its pointer", `[{name: a, patch: {json: [{op: add, path: "/spec/template/spec/containers/0/args/-", value: "${inputs.text}"}, {op: add, path: "/spec/template/spec/containers/-", value: {args: ["${inputs.text}"]}}, {op: add, path: /metadata/labels/a, value: "${inputs.text}"}]}}]`, map[string]any{"text": "$(P)"}, `[{"op":"add","path":"/spec/template/spec/containers/0/args/-","value":"$$(P)"},{"op":"add","path":"/spec/template/spec/containers/-","value":{"args":["$$(P)"]}},{"op":"add","path":"/metadata/labels/a","value":"$(P)"}]`},
		"Template":   {"never a second time", `[{name: a, patch: {merge: {a: "${inputs.text}"}}}]`, map[string]any{"text": "${request.uid}"}, `{"a":"${request.uid}"}`},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(tc.inputs)
			before := fmt.Sprint(in.Vars.Values)
			got, err := renderOne(t, mustCompile(t, tc.steps), in)
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if !strings.Contains(string(got.Body.Raw), tc.want) {
				t.Errorf("%s: want %s in:\n%s", tc.reason, tc.want, got.Body.Raw)
			}
			if after := fmt.Sprint(in.Vars.Values); after != before {
				t.Errorf("the inputs changed:\n%s\n%s", before, after)
			}
		})
	}
}

func TestFieldManager(t *testing.T) {
	in := input(nil)
	in.Action = strings.Repeat("a", 253)
	s := mustCompile(t, `[{name: a, patch: {merge: {a: 1}}}, {name: b, patch: {merge: {a: 1}}}]`)
	rendered, err := s.Render(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	first, second := rendered[0].Writes[0].FieldManager, rendered[1].Writes[0].FieldManager
	if len(first) != 128 || len(second) != 128 || first == second {
		t.Errorf("want two names of 128 characters, got %q and %q", first, second)
	}
}
