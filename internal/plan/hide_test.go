package plan

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

const (
	aSecret     = "{apiVersion: v1, kind: Secret, metadata: {namespace: a, name: b}}"
	aDeployment = "{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: a, name: d}}"
	aBinding    = "{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: a, name: r}}"
	aConfigMap  = "{apiVersion: v1, kind: ConfigMap, metadata: {namespace: a, name: c}}"
)

// guarded are objects with something in them that is not for everybody.
var guarded = map[string]string{
	"Secret": `{apiVersion: v1, kind: Secret, metadata: {namespace: a, name: b, uid: u}, data: {password: aHVudGVyMg==}}`,
	"Deployment": `{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: a, name: d, uid: u, labels: {team: web}, annotations: {kubectl.kubernetes.io/last-applied-configuration: "hunter3"}},
		spec: {template: {spec: {containers: [{name: app, env: [{name: P, value: hunter3}]}]}}}}`,
	"RoleBinding": `{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: a, name: r, uid: u},
		subjects: [{kind: User, name: agent}, {kind: User, name: other}], roleRef: {kind: Role, name: x}}`,
	"ConfigMap": `{apiVersion: v1, kind: ConfigMap, metadata: {namespace: a, name: c, uid: u}, data: {customer-acme: "1", mode: safe, list: "2"}}`,
}

// guardedLines describes writes to these objects, all in one step.
func guardedLines(t *testing.T, hidden, whole bool, writes []v1alpha1.RenderedWrite) []string {
	t.Helper()
	live := func(ref v1alpha1.ObjectReference) Found {
		return Found{Object: parse(t, guarded[ref.Kind]), Hidden: hidden}
	}
	var lines []string
	for _, change := range Describe([]v1alpha1.RenderedStep{{Name: "s", Writes: writes}}, View{Whole: whole, Live: live}) {
		lines = append(lines, change.Fields...)
	}
	return lines
}

// TestNothingHiddenIsSpread: what is hidden stays so wherever a write takes it, in this write and in later ones.
func TestNothingHiddenIsSpread(t *testing.T) {
	const merge, json = v1alpha1.WriteMergePatch, v1alpha1.WriteJSONPatch
	for name, writes := range map[string][]v1alpha1.RenderedWrite{
		"Copy":       {write(t, json, aSecret, `[{op: copy, from: /data/password, path: /metadata/x}, {op: remove, path: /metadata/x}]`)},
		"Move":       {write(t, json, aSecret, `[{op: move, from: /data/password, path: /metadata/x}, {op: replace, path: /metadata/x, value: z}]`)},
		"Parent":     {write(t, json, aSecret, `[{op: copy, from: /data, path: /metadata/x}, {op: add, path: /metadata/x/y, value: z}, {op: remove, path: /metadata/x}]`)},
		"Later":      {write(t, json, aSecret, `[{op: copy, from: /data, path: /metadata/annotations}]`), write(t, merge, aSecret, `{metadata: {annotations: null}}`)},
		"LaterField": {write(t, json, aSecret, `[{op: copy, from: /data, path: /metadata/annotations}]`), write(t, merge, aSecret, `{metadata: {annotations: {password: x}}}`)},
		"LaterStill": {
			write(t, json, aSecret, `[{op: copy, from: /data, path: /metadata/annotations}]`), write(t, merge, aSecret, `{metadata: {labels: {a: b}}}`),
			write(t, json, aSecret, `[{op: remove, path: /metadata/annotations}]`),
		},
		"Finalizer": {
			write(t, json, aSecret, `[{op: add, path: /metadata/finalizers, value: []}, {op: copy, from: /data/password, path: /metadata/finalizers/-}]`),
			write(t, v1alpha1.WriteDelete, aSecret, `{preconditions: {uid: u}, propagationPolicy: Orphan}`),
		},
		"Name": {
			write(t, json, aSecret, `[{op: add, path: /metadata/list, value: [{name: x}]}, {op: copy, from: /data/password, path: /metadata/list/0/name}]`),
			write(t, merge, aSecret, `{metadata: {list: [{name: y}]}}`),
		},
		"Variable":    {write(t, json, aDeployment, `[{op: copy, from: /spec/template/spec/containers/0/env/0/value, path: /metadata/labels/x}, {op: remove, path: /metadata/labels/x}]`)},
		"Containers":  {write(t, json, aDeployment, `[{op: copy, from: /spec/template/spec, path: /metadata/x}, {op: remove, path: /metadata/x}]`)},
		"FromTheEnd":  {write(t, json, aDeployment, `[{op: copy, from: /spec/template/spec/containers/-1/env/-1, path: /metadata/x}, {op: remove, path: /metadata/x}]`)},
		"PlusSign":    {write(t, json, aDeployment, `[{op: replace, path: /spec/template/spec/containers/+0/env/+0/value, value: x}]`)},
		"LastApplied": {write(t, merge, aDeployment, `{metadata: {annotations: null}}`)},
	} {
		for _, whole := range []bool{false, true} {
			lines := guardedLines(t, false, whole, writes)
			if all := strings.Join(lines, "\n"); strings.Contains(all, "aHVudGVyMg") || strings.Contains(all, "hunter") || !strings.Contains(all, hidden) && name != "Finalizer" {
				t.Errorf("%s: something hidden is shown, or nothing of what is hidden is (in full: %t):\n%s", name, whole, all)
			}
		}
	}
	plain := guardedLines(t, false, false, []v1alpha1.RenderedWrite{
		write(t, json, aDeployment, `[{op: copy, from: /metadata/labels, path: /metadata/x}, {op: remove, path: /metadata/x/team}]`),
	})
	if want := "remove /metadata/x/team: web → (removed)"; plain[1] != want {
		t.Errorf("what everybody may know is shown where it went: %q", plain)
	}
}

// TestPlanIsNoOracle: whoever writes a guess does not learn from the plan whether it is right.
func TestPlanIsNoOracle(t *testing.T) {
	const env = `{spec: {template: {spec: {containers: [{name: app, env: [{name: P, value: %}]}]}}}}`
	const item = `[{op: test, path: /spec/template/spec/containers/0/env/0, value: {name: P, value: %}}, {op: add, path: /metadata/labels/x, value: z}]`
	for name, tc := range map[string]struct {
		operation    v1alpha1.WriteOperation
		object, body string
		right        string
		hidden       bool
		want         []string
	}{
		"Secret":   {v1alpha1.WriteMergePatch, aSecret, `{data: {password: %}}`, "aHVudGVyMg==", false, []string{"data.password: (hidden) → (hidden)"}},
		"Apply":    {v1alpha1.WriteApply, aSecret, `{apiVersion: v1, kind: Secret, metadata: {namespace: a, name: b}, data: {password: %}}`, "aHVudGVyMg==", true, []string{"data.password: (hidden) → (hidden)"}},
		"Variable": {v1alpha1.WriteStrategicPatch, aDeployment, env, "hunter3", false, []string{"spec.template.spec.containers[app].env[P].value: (hidden) → %"}},
		"List":     {v1alpha1.WriteMergePatch, aDeployment, env, "hunter3", true, []string{"spec.template.spec.containers[app].env[P].value: (hidden) → %"}},
		"Hidden":   {v1alpha1.WriteMergePatch, aConfigMap, `{data: {mode: %}}`, "safe", true, []string{"data.mode: (hidden) → %"}},
		"Test": {v1alpha1.WriteJSONPatch, aSecret, `[{op: test, path: /data/password, value: %}, {op: add, path: /metadata/x, value: z}]`, "aHVudGVyMg==", false,
			[]string{"test /data/password: (hidden) (must be so)", "add /metadata/x: (new) z"}},
		"TestAbove": {v1alpha1.WriteJSONPatch, aDeployment, item, "hunter3", false,
			[]string{`test /spec/template/spec/containers/0/env/0: {"name":"P","value":"%"} (must be so)`, "add /metadata/labels/x: (new) z"}},
		"TestHidden": {v1alpha1.WriteJSONPatch, aConfigMap, `[{op: test, path: /data/mode, value: %}, {op: remove, path: /data/customer-acme}]`, "safe", true,
			[]string{"test /data/mode: % (must be so)", "remove /data/customer-acme: (hidden) → (removed)"}},
		"Fits": {v1alpha1.WriteJSONPatch, aConfigMap, `[{op: remove, path: /data/%}, {op: add, path: /data/x, value: z}]`, "customer-acme", true,
			[]string{"remove /data/%: (hidden) → (removed)", "add /data/x: (hidden) → z"}},
		"Shorter": {v1alpha1.WriteJSONPatch, aBinding, `[{op: remove, path: /%}, {op: replace, path: /subjects, value: []}, {op: move, from: /subjects/0, path: /x}]`, "subjects", true,
			[]string{"remove /%: (hidden) → (removed)", "WARNING: subjects can get shorter: what is there is hidden", "replace /subjects: (hidden) → []",
				"WARNING: subjects gets shorter", "move /x: from /subjects/0"}},
		"Spread": {v1alpha1.WriteJSONPatch, aSecret, `[{op: copy, from: /data/password, path: /metadata/x}, {op: test, path: /metadata/x, value: %}, {op: remove, path: /metadata/x}]`, "aHVudGVyMg==", false,
			[]string{"copy /metadata/x: from /data/password", "test /metadata/x: % (must be so)", "remove /metadata/x: (hidden) → (removed)"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, guess := range []string{tc.right, "wrong"} {
				shown := guess
				if tc.right == "aHVudGVyMg==" {
					shown = stored.valueText(guess)
				}
				var want []string
				for _, line := range tc.want {
					want = append(want, strings.ReplaceAll(line, "%", shown))
				}
				got := guardedLines(t, tc.hidden, false, []v1alpha1.RenderedWrite{write(t, tc.operation, tc.object, strings.ReplaceAll(tc.body, "%", guess))})
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("where %s is guessed (-want +got):\n%s", guess, diff)
				}
			}
		})
	}
}

// TestNamesAreHidden: of an object that not everybody may read, the plan names what the write names, and nothing else that goes.
func TestNamesAreHidden(t *testing.T) {
	const more = "(hidden): elements that are there are removed"
	for name, tc := range map[string]struct {
		operation    v1alpha1.WriteOperation
		object, body string
		want         []string
	}{
		"List": {v1alpha1.WriteMergePatch, aBinding, `{subjects: [{kind: User, name: bob}]}`,
			[]string{"WARNING: subjects gets shorter", "subjects[bob].kind: (hidden) → User", "subjects: " + more}},
		"Map":     {v1alpha1.WriteStrategicPatch, aConfigMap, `{data: {$patch: replace, x: z}}`, []string{"data.x: (hidden) → z", "data: " + more}},
		"Named":   {v1alpha1.WriteMergePatch, aConfigMap, `{data: {mode: null}}`, []string{"data.mode: (hidden) → (removed)"}},
		"Element": {v1alpha1.WriteStrategicPatch, aDeployment, `{spec: {template: {spec: {containers: [{name: app, $patch: delete}]}}}}`, []string{"WARNING: spec.template.spec.containers gets shorter", "spec.template.spec.containers[app]: (hidden) → (removed)"}},
		"There": {v1alpha1.WriteMergePatch, aBinding, `{subjects: [{kind: User, name: agent}]}`,
			[]string{"WARNING: subjects gets shorter", "subjects[agent].kind: (hidden) → User", "subjects: " + more}},
		"Whole": {v1alpha1.WriteMergePatch, aConfigMap, `{data: null}`, []string{"data: (hidden) → (removed)"}},
		"Lists": {v1alpha1.WriteMergePatch, aDeployment, `{spec: null}`, []string{"WARNING: spec gets shorter", "spec: (hidden) → (removed)"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, guardedLines(t, true, false, []v1alpha1.RenderedWrite{write(t, tc.operation, tc.object, tc.body)})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
