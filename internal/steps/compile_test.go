package steps

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

func TestCompileRefuses(t *testing.T) {
	const apply, patch, job = "spec.execution.steps[0].apply", "spec.execution.steps[0].patch", "spec.execution.steps[0].job"
	for name, tc := range map[string]struct {
		reason string
		target *v1alpha1.ObjectReference
		steps  string
		// want are the fields and a word of what is said about them.
		want [][2]string
	}{
		"NoSteps": {"nothing would happen", deployment, `[]`, [][2]string{{"spec.execution.steps", "at least one step"}}},
		"EmptyStep": {"a step without a member does nothing", deployment, `[{name: a}]`,
			[][2]string{{"spec.execution.steps[0]", "exactly one of apply, patch, delete, job, http"}}},
		"TwoMembers": {"which one counts would be a guess", deployment, `[{name: a, patch: {merge: {a: 1}}, job: {template: {}, namespace: x}}]`,
			[][2]string{{"spec.execution.steps[0]", "exactly one of apply, patch, delete, job, http"}}},
		"SameName": {"status is kept by name", deployment, `[{name: a, patch: {merge: {a: 1}}}, {name: a, patch: {merge: {a: 1}}}]`,
			[][2]string{{"spec.execution.steps[1].name", "Duplicate"}}},
		"Timeout": {"not a duration", deployment, `[{name: a, timeout: 5d, patch: {merge: {a: 1}}}]`,
			[][2]string{{"spec.execution.steps[0].timeout", "must be a duration"}}},
		"TimeoutZero": {"it would be over at once", deployment, `[{name: a, timeout: 0s, patch: {merge: {a: 1}}}]`,
			[][2]string{{"spec.execution.steps[0].timeout", "longer than zero"}}},
		"TimeoutTooLong": {"the execution ends first", deployment, `[{name: a, timeout: 31m, patch: {merge: {a: 1}}}]`,
			[][2]string{{"spec.execution.steps[0].timeout", "longer than the timeout of all steps together (30m)"}}},
		"WaitForNothing": {"a union needs a member", deployment, `[{name: a, waitFor: {}, patch: {merge: {a: 1}}}]`,
			[][2]string{{"spec.execution.steps[0].waitFor", "exactly one of status, expression"}}},
		"WaitForBoth": {"which one counts would be a guess", deployment, `[{name: a, waitFor: {status: Current, expression: "true"}, patch: {merge: {a: 1}}}]`,
			[][2]string{{"spec.execution.steps[0].waitFor", "exactly one of status, expression"}}},
		"WaitForUnknown": {"a later member that this version does not know", deployment, `[{name: a, waitFor: {status: Gone}, patch: {merge: {a: 1}}}]`,
			[][2]string{{"spec.execution.steps[0].waitFor.status", `supported values: "Current"`}}},
		"WaitForExpression": {"it does not compile", deployment, `[{name: a, waitFor: {expression: "objekt.x"}, patch: {merge: {a: 1}}}]`,
			[][2]string{{"spec.execution.steps[0].waitFor.expression", "objekt"}}},
		"WaitForInputs": {"only the object is there then", deployment, `[{name: a, waitFor: {expression: "inputs.text == 'a'"}, patch: {merge: {a: 1}}}]`,
			[][2]string{{"spec.execution.steps[0].waitFor.expression", "inputs"}}},
		"NoManifest":    {"nothing would happen", deployment, `[{name: a, apply: {manifests: []}}]`, [][2]string{{apply + ".manifests", "at least one"}}},
		"Conflicts":     {"an unknown value is never a yes", deployment, `[{name: a, apply: {conflicts: Maybe, manifests: [{apiVersion: v1, kind: Secret, metadata: {name: a}}]}}]`, [][2]string{{apply + ".conflicts", "supported values"}}},
		"ManifestBare":  {"it names nothing", deployment, `[{name: a, apply: {manifests: [{}]}}]`, [][2]string{{apply + ".manifests[0].apiVersion", "needed"}, {apply + ".manifests[0].kind", "needed"}, {apply + ".manifests[0].metadata.name", "needed"}}},
		"TemplatedKind": {"rights depend on it", deployment, `[{name: a, apply: {manifests: [{apiVersion: "${inputs.text}", kind: "${inputs.text}", metadata: {name: a}}]}}]`, [][2]string{{apply + ".manifests[0].apiVersion", "literal"}, {apply + ".manifests[0].kind", "literal"}}},
		"EscapedKind":   {"not a kind either", deployment, `[{name: a, apply: {manifests: [{apiVersion: v1, kind: "$${X}", metadata: {name: a}}]}}]`, [][2]string{{apply + ".manifests[0].kind", "literal"}}},
		"KindSlash":     {"it would reach into a path", deployment, `[{name: a, apply: {manifests: [{apiVersion: v1/../x, kind: A/b, metadata: {name: a}}]}}]`, [][2]string{{apply + ".manifests[0].apiVersion", "apps/v1"}, {apply + ".manifests[0].kind", "Deployment"}}},
		"GenerateName":  {"each retry would make another object", deployment, `[{name: a, apply: {manifests: [{apiVersion: v1, kind: Secret, metadata: {generateName: a}}]}}]`, [][2]string{{apply + ".manifests[0].metadata.generateName", "repeated apply"}}},
		"NumberAsName":  {"not text", deployment, `[{name: a, apply: {manifests: [{apiVersion: v1, kind: Secret, metadata: {name: 1}}]}}]`, [][2]string{{apply + ".manifests[0].metadata.name", "needed"}}},
		"EmptyNamespace": {"it would be a cluster-wide object", deployment, `[{name: a, apply: {manifests: [{apiVersion: v1, kind: Secret, metadata: {name: a, namespace: ""}}]}}]`,
			[][2]string{{apply + ".manifests[0].metadata.namespace", "not empty"}}},
		"TemplatedMetadata": {"names could come from it unseen", deployment, `[{name: a, apply: {manifests: [{apiVersion: v1, kind: Secret, metadata: "${inputs.free}"}]}}]`,
			[][2]string{{apply + ".manifests[0].metadata.name", "metadata must be an object"}}},
		"WaitForSecret": {"an error would tell what is in it", deployment, `[{name: a, waitFor: {expression: "int(object.data.a) > 1"}, apply: {manifests: [{apiVersion: v1, kind: Secret, metadata: {name: a}}]}}]`, [][2]string{{"spec.execution.steps[0].waitFor.expression", "no condition reads"}}},
		"WhenSecret":    {"an error would tell what is in it", deployment, `[{name: a, when: "int(object.data.a) > 1", patch: {target: {apiVersion: v1, kind: Secret, namespace: a, name: b}, merge: {data: {a: b}}}}]`, [][2]string{{"spec.execution.steps[0].when", "no condition reads"}}},
		"DeletedSecret": {"an error would tell what is in it", deployment, `[{name: a, failWhen: "int(object.data.a) > 1", delete: {target: {apiVersion: v1, kind: Secret, namespace: a, name: b}}}]`, [][2]string{{"spec.execution.steps[0].failWhen", "no condition reads"}}},
		"ServerFields": {"a repeated apply would fail", deployment, `[{name: a, apply: {manifests: [{apiVersion: v1, kind: Secret, metadata: {name: a, resourceVersion: "1", managedFields: []}}]}}]`,
			[][2]string{{apply + ".manifests[0].metadata.managedFields", "API server"}, {apply + ".manifests[0].metadata.resourceVersion", "API server"}}},
		"List": {"it is not an object", deployment, `[{name: a, apply: {manifests: [{apiVersion: v1, kind: List, metadata: {name: a}, items: []}]}}]`,
			[][2]string{{apply + ".manifests[0].kind", "not a list"}}},
		"SameManifest": {"the second takes back what the first set", deployment, `[{name: a, apply: {manifests: [{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}}, {apiVersion: apps/v1beta1, kind: Deployment, metadata: {name: a}}]}}]`,
			[][2]string{{apply + ".manifests[1]", "Duplicate"}}},
		"OwnKind": {"what runs must not change who agrees", deployment, `[{name: a, apply: {manifests: [{apiVersion: signoff.dev/v1alpha1, kind: Approval, metadata: {name: a}}]}}]`,
			[][2]string{{apply + ".manifests[0]", "may not write signoff.dev objects"}}},
		"OwnConfigKind": {"neither its configuration", deployment, `[{name: a, patch: {target: {apiVersion: config.signoff.dev/v1alpha1, kind: Configuration, name: a}, merge: {a: 1}}}]`,
			[][2]string{{patch + ".target", "may not write config.signoff.dev objects"}}},
		"OwnTarget": {"neither by way of the Action's target", &v1alpha1.ObjectReference{APIVersion: "signoff.dev/v1alpha1", Kind: "Role", Namespace: "a", Name: "b"}, `[{name: a, patch: {merge: {a: 1}}}]`,
			[][2]string{{patch + ".target", "may not write signoff.dev objects"}}},
		"BadTemplate": {"a misspelt input", deployment, `[{name: a, apply: {manifests: [{apiVersion: v1, kind: Secret, metadata: {name: "${inputs.tekst}"}}]}}]`,
			[][2]string{{apply + ".manifests[0].metadata.name", "tekst"}}},
		"NoTarget":       {"there is nothing to patch", nil, `[{name: a, patch: {merge: {a: 1}}}]`, [][2]string{{patch + ".target", "neither the patch nor the Action"}}},
		"BrokenTarget":   {"the Action's target does not compile", &v1alpha1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: "${", Name: "a"}, `[{name: a, patch: {merge: {a: 1}}}]`, [][2]string{{patch + ".target", "spec.target"}}},
		"TargetNoName":   {"it names nothing", deployment, `[{name: a, patch: {target: {apiVersion: v1, kind: Pod, name: ""}, merge: {a: 1}}}]`, [][2]string{{patch + ".target.name", "needed"}}},
		"EmptyPatch":     {"nothing would happen", deployment, `[{name: a, patch: {}}]`, [][2]string{{patch, "exactly one of strategic, merge, json"}}},
		"TwoPatches":     {"which one counts would be a guess", deployment, `[{name: a, patch: {merge: {a: 1}, strategic: {a: 1}}}]`, [][2]string{{patch, "exactly one of strategic, merge, json"}}},
		"EmptyMerge":     {"nothing would happen", deployment, `[{name: a, patch: {merge: {}}}]`, [][2]string{{patch + ".merge", "empty"}}},
		"EmptyStrategic": {"nothing would happen", deployment, `[{name: a, patch: {strategic: {}}}]`, [][2]string{{patch + ".strategic", "empty"}}},
		"EmptyJSON":      {"nothing would happen", deployment, `[{name: a, patch: {json: []}}]`, [][2]string{{patch + ".json", "empty"}}},
		"StrategicCustom": {"the API server refuses it for custom resources", deployment, `[{name: a, patch: {target: {apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, name: a}, strategic: {a: 1}}}]`,
			[][2]string{{patch + ".strategic", "use apply"}}},
		"PatchMetadata":    {"a template could set anything there", deployment, `[{name: a, patch: {merge: {metadata: "${inputs.free}"}}}]`, [][2]string{{patch + ".merge.metadata", "must be an object"}}},
		"PatchVersion":     {"a repeated patch would fail", deployment, `[{name: a, patch: {merge: {metadata: {resourceVersion: "1"}}}}]`, [][2]string{{patch + ".merge.metadata.resourceVersion", "API server"}}},
		"JSONOp":           {"no such operation", deployment, `[{name: a, patch: {json: [{op: append, path: /a, value: 1}]}}]`, [][2]string{{patch + ".json[0].op", "supported values"}}},
		"JSONOpTemplate":   {"what is done must be literal", deployment, `[{name: a, patch: {json: [{op: "${inputs.text}", path: /a, value: 1}]}}]`, [][2]string{{patch + ".json[0].op", "supported values"}}},
		"JSONNoPath":       {"it changes nothing, or everything", deployment, `[{name: a, patch: {json: [{op: remove}]}}]`, [][2]string{{patch + ".json[0].path", "JSON pointer"}}},
		"JSONWholePath":    {"it would replace the whole object", deployment, `[{name: a, patch: {json: [{op: replace, path: "", value: {}}]}}]`, [][2]string{{patch + ".json[0].path", "JSON pointer"}}},
		"JSONTemplatePath": {"it could begin anywhere", deployment, `[{name: a, patch: {json: [{op: remove, path: "${inputs.text}"}]}}]`, [][2]string{{patch + ".json[0].path", "JSON pointer"}}},
		"JSONNoValue":      {"there is nothing to add", deployment, `[{name: a, patch: {json: [{op: add, path: /a}]}}]`, [][2]string{{patch + ".json[0].value", "needs a value"}}},
		"JSONNoFrom":       {"there is nothing to move", deployment, `[{name: a, patch: {json: [{op: move, path: /a}]}}]`, [][2]string{{patch + ".json[0].from", "JSON pointer"}}},
		"JSONMember":       {"it would be ignored", deployment, `[{name: a, patch: {json: [{op: remove, path: /a, value: 1, vale: 2}]}}]`, [][2]string{{patch + ".json[0].vale", "does not have it"}, {patch + ".json[0].value", "does not have it"}}},
		"Status": {"the API server would drop it", deployment, `[{name: a, apply: {manifests: [{apiVersion: v1, kind: Pod, metadata: {name: a}, status: {phase: Failed}}]}}]`,
			[][2]string{{apply + ".manifests[0].status", "belongs to controllers"}}},
		"PatchStatus":      {"so it would of a patch", deployment, `[{name: a, patch: {merge: {status: {replicas: 1}}}}]`, [][2]string{{patch + ".merge.status", "belongs to controllers"}}},
		"JSONStatus":       {"and of one by pointers", deployment, `[{name: a, patch: {json: [{op: test, path: /status/replicas, value: 1}, {op: add, path: /status/replicas, value: 1}]}}]`, [][2]string{{patch + ".json[1].path", "belongs to controllers"}}},
		"JSONEvidence":     {"it tells whether the patch was applied", deployment, `[{name: a, patch: {json: [{op: remove, path: /metadata/managedFields/0}, {op: replace, path: /metadata, value: {}}, {op: copy, from: /a, path: /metadata/resourceVersion}]}}]`, [][2]string{{patch + ".json[0].path", "API server"}, {patch + ".json[1].path", "API server"}, {patch + ".json[2].path", "API server"}}},
		"DeleteNothing":    {"there is nothing to delete", nil, `[{name: a, delete: {}}]`, [][2]string{{"spec.execution.steps[0].delete.target", "neither the delete nor the Action"}}},
		"DeleteOwn":        {"what runs must not change who agrees", deployment, `[{name: a, delete: {target: {apiVersion: signoff.dev/v1alpha1, kind: Approval, name: a}}}]`, [][2]string{{"spec.execution.steps[0].delete.target", "may not write signoff.dev objects"}}},
		"DeleteWait":       {"it waits for its own end", deployment, `[{name: a, delete: {}, waitFor: {status: Current}}]`, [][2]string{{"spec.execution.steps[0].waitFor", "until the object is gone"}}},
		"DeletePropagates": {"an unknown value is never a yes", deployment, `[{name: a, delete: {propagation: All}}]`, [][2]string{{"spec.execution.steps[0].delete.propagation", "supported values"}}},
		"EmptyJob":         {"nothing would run", deployment, `[{name: a, job: {}}]`, [][2]string{{job, "exactly one of podFrom, template"}}},
		"JobAccount":       {"it would name a stronger account", deployment, `[{name: a, job: {namespace: x, template: {spec: {serviceAccountName: admin, containers: [{name: a, image: b}]}}}}]`, [][2]string{{job + ".template.spec.serviceAccountName", "leave it out"}}},
		"JobOldAccount":    {"the old name of the field", deployment, `[{name: a, job: {namespace: x, template: {spec: {serviceAccount: admin, containers: [{name: a, image: b}]}}}}]`, [][2]string{{job + ".template.spec.serviceAccount", "leave it out"}}},
		"JobTemplateSpec":  {"it could hide a ServiceAccount", deployment, `[{name: a, job: {namespace: x, template: {spec: "${inputs.free}"}}}]`, [][2]string{{job + ".template.spec", "only what is inside"}}},
		"JobTemplateMeta":  {"as above", deployment, `[{name: a, job: {namespace: x, template: {metadata: "${inputs.free}", spec: {containers: [{name: a, image: b}]}}}}]`, [][2]string{{job + ".template.metadata", "only what is inside"}}},
		"JobOfItsOwn": {"Signoff makes the Job, and would drop them", deployment, `[{name: a, job: {namespace: x, template: {apiVersion: v1, kind: PodTemplate, parallelism: 2, backoffLimit: 3, other: null, spec: {containers: [{name: a, image: b}]}}}}]`,
			[][2]string{{job + ".template.backoffLimit", "the timeout of the step as its deadline: leave it out"}, {job + ".template.parallelism", "leave it out"}}},
		"JobPodMetadata": {"the name is that of the Job", deployment, `[{name: a, job: {namespace: x, template: {metadata: {name: b, creationTimestamp: null, finalizers: [c], labels: {d: e}, annotations: {f: g}}, spec: {containers: [{name: a, image: b}]}}}}]`,
			[][2]string{{job + ".template.metadata.finalizers", "labels and annotations only"}, {job + ".template.metadata.name", "labels and annotations only"}}},
		"JobNoContainer":   {"nothing would run", deployment, `[{name: a, job: {namespace: x, template: {spec: {containers: []}}}}]`, [][2]string{{job + ".template.spec.containers", "at least one container"}}},
		"JobRestart":       {"a task would run twice", deployment, `[{name: a, job: {namespace: x, template: {spec: {restartPolicy: OnFailure, containers: [{name: a, image: b}]}}}}]`, [][2]string{{job + ".template.spec.restartPolicy", `"Never"`}}},
		"JobNamespace":     {"where would it run", deployment, `[{name: a, job: {template: {spec: {containers: [{name: a, image: b}]}}}}]`, [][2]string{{job + ".namespace", "where the Job runs"}}},
		"JobContainer":     {"there is no such container", deployment, `[{name: a, job: {namespace: x, container: c, template: {spec: {containers: [{name: a, image: b}]}}}}]`, [][2]string{{job + ".container", `supported values: "a"`}}},
		"JobFromService":   {"it has no pod", deployment, `[{name: a, job: {command: [x], podFrom: {apiVersion: v1, kind: Service, namespace: a, name: b}}}]`, [][2]string{{job + ".podFrom", `"apps/v1 Deployment"`}}},
		"JobFromCluster":   {"pods live in namespaces", deployment, `[{name: a, job: {command: [x], podFrom: {apiVersion: apps/v1, kind: Deployment, name: b}}}]`, [][2]string{{job + ".podFrom.namespace", "needed"}}},
		"JobFromNothing":   {"the service itself would run", deployment, `[{name: a, job: {podFrom: {apiVersion: apps/v1, kind: Deployment, namespace: a, name: b}}}]`, [][2]string{{job + ".command", "what runs"}}},
		"JobFromElsewhere": {"volumes and Secrets are there", deployment, `[{name: a, job: {namespace: x, command: [x], podFrom: {apiVersion: apps/v1, kind: Deployment, namespace: a, name: b}}}]`, [][2]string{{job + ".namespace", "beside the object"}}},
		"JobCommand":       {"a misspelt input", deployment, `[{name: a, job: {command: ["${inputs.tekst}"], podFrom: {apiVersion: apps/v1, kind: Deployment, namespace: a, name: b}}}]`, [][2]string{{job + ".command[0]", "tekst"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, errs := compileSteps(t, tc.target, tc.steps)
			if got != nil {
				t.Errorf("%s: it was compiled all the same", tc.reason)
			}
			checkErrors(t, errs, tc.want)
		})
	}
}

// checkErrors demands exactly these errors.
func checkErrors(t *testing.T, errs field.ErrorList, want [][2]string) {
	t.Helper()
	for _, w := range want {
		if !slices.ContainsFunc(errs, func(e *field.Error) bool { return e.Field == w[0] && strings.Contains(e.Error(), w[1]) }) {
			t.Errorf("no error at %s with %q in:\n%v", w[0], w[1], errs.ToAggregate())
		}
	}
	if len(errs) != len(want) {
		t.Errorf("want %d errors, got:\n%v", len(want), errs.ToAggregate())
	}
}

func TestCompileAccepts(t *testing.T) {
	for name, tc := range map[string]struct {
		reason   string
		steps    string
		warnings []string
	}{
		"LongestTimeout": {"the execution may be one step", `[{name: a, timeout: 30m, patch: {merge: {a: 1}}}]`, nil},
		"JSON":           {"all operations", `[{name: a, patch: {json: [{op: add, path: /a, value: null}, {op: move, from: /a, path: /b}, {op: test, path: /metadata/labels/a, value: 1}]}}]`, nil},
		"StrategicCore":  {"kinds of Kubernetes itself", `[{name: a, patch: {target: {apiVersion: v1, kind: Node, name: a}, strategic: {a: 1}}}]`, nil},
		"TwoObjects":     {"the same name in two namespaces", `[{name: a, apply: {manifests: [{apiVersion: v1, kind: Secret, metadata: {name: a, namespace: a}}, {apiVersion: v1, kind: Secret, metadata: {name: a, namespace: b}}]}}]`, nil},
		"Emptied": {"kubectl apply has dropped a null", `[{name: a, patch: {merge: {metadata: {labels: {}}, data: {x: null}}}}]`,
			[]string{"spec.execution.steps[0].patch.merge: metadata.labels is empty, which changes nothing. kubectl apply drops null: to remove a field use patch.json remove, or kubectl apply --server-side"}},
		"LogAsMessage": {"the log would be shown, which logLines seems to prevent",
			`[{name: a, job: {namespace: a, template: {spec: {initContainers: [{name: i, image: i, terminationMessagePolicy: FallbackToLogsOnError}], containers: [
			{name: c, image: c, terminationMessagePolicy: File}, {name: d, image: d, terminationMessagePolicy: FallbackToLogsOnError}]}}}}]`, []string{
				"spec.execution.steps[0].job.template.spec.initContainers[0].terminationMessagePolicy: where it fails, the end of its log is shown to whoever may read the request, although logLines is 0",
				"spec.execution.steps[0].job.template.spec.containers[1].terminationMessagePolicy: where it fails, the end of its log is shown to whoever may read the request, although logLines is 0",
			}},
		"LogAsMessageMeant": {"the log is shown anyway", `[{name: a, job: {namespace: a, logLines: 3, template: {spec: {containers: [{name: c, image: c, terminationMessagePolicy: FallbackToLogsOnError}]}}}}]`, nil},
		"EmptiedStrategic": {"as above", `[{name: a, patch: {target: {apiVersion: v1, kind: Node, name: a}, strategic: {spec: {a: {}, volumes: [{emptyDir: {}}]}}}}]`,
			[]string{"spec.execution.steps[0].patch.strategic: spec.a is empty, which changes nothing. kubectl apply drops null: to remove a field use patch.json remove, or kubectl apply --server-side"}},
		"MergeList": {"lists are replaced, which is seldom meant", `[{name: a, patch: {merge: {spec: {template: {spec: {containers: [{name: app, image: b}]}}}}}}]`,
			[]string{"spec.execution.steps[0].patch.merge: replaces the whole list spec.template.spec.containers, with everything in it that is not written here; patch.strategic and apply merge them"}},
		"MergeCustomList": {"strategic is no way out there", `[{name: a, patch: {target: {apiVersion: x.dev/v1, kind: Foo, name: a}, merge: {spec: {b: [], a: [1]}}}}]`,
			[]string{
				"spec.execution.steps[0].patch.merge: replaces the whole list spec.a, with everything in it that is not written here; apply merges them",
				"spec.execution.steps[0].patch.merge: replaces the whole list spec.b, with everything in it that is not written here; apply merges them",
			}},
	} {
		t.Run(name, func(t *testing.T) {
			s, errs := compileSteps(t, deployment, tc.steps)
			if len(errs) > 0 {
				t.Fatalf("%s: %v", tc.reason, errs.ToAggregate())
			}
			if diff := cmp.Diff(tc.warnings, s.Warnings()); diff != "" {
				t.Errorf("%s: warnings (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestCompileRefusesTooMuch(t *testing.T) {
	manifest := `{apiVersion: v1, kind: Secret, metadata: {name: "%d"}}`
	var steps []string
	for i := range 5 {
		var manifests []string
		for j := range 13 {
			manifests = append(manifests, fmt.Sprintf(manifest, 100*i+j))
		}
		steps = append(steps, fmt.Sprintf(`{name: "s%d", apply: {manifests: [%s]}}`, i, strings.Join(manifests, ",")))
	}
	_, errs := compileSteps(t, nil, "["+strings.Join(steps, ",")+"]")
	checkErrors(t, errs, [][2]string{{"spec.execution.steps", "at most 64"}})
	if _, errs := compileSteps(t, nil, "["+strings.Join(steps[:4], ",")+"]"); len(errs) > 0 {
		t.Error(errs.ToAggregate())
	}
}

func TestBuiltInGroups(t *testing.T) {
	for _, version := range scheme.Scheme.PrioritizedVersionsAllGroups() {
		if version.Group != "__internal" && !isBuiltIn(version.Group) {
			t.Errorf("Kubernetes has the group %q, which is not in the list", version.Group)
		}
	}
}

func TestUses(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		steps  string
		want   []string
	}{
		"Manifest": {"in a manifest", `[{name: a, apply: {manifests: [{apiVersion: v1, kind: Secret, metadata: {name: a, labels: {a: "${target.metadata.name}"}}}]}}]`, []string{"target"}},
		"Patch":    {"in a body; the target is named by inputs", `[{name: a, patch: {merge: {a: "${namespaceObject.metadata.name}"}}}]`, []string{"inputs", "namespaceObject"}},
		"Pointer":  {"in a pointer", `[{name: a, patch: {target: {apiVersion: v1, kind: Node, name: a}, json: [{op: remove, path: "/a/${target.x}"}]}}]`, []string{"target"}},
		"Value":    {"in a value", `[{name: a, patch: {target: {apiVersion: v1, kind: Node, name: a}, json: [{op: add, path: "/a", value: {a: ["${requester.username}"]}}]}}]`, []string{"requester"}},
		"Command":  {"in a command", `[{name: a, job: {command: ["${request.uid}"], podFrom: {apiVersion: apps/v1, kind: Deployment, namespace: a, name: "${inputs.name}"}}}]`, []string{"inputs", "request"}},
		"Job":      {"in a template and its namespace", `[{name: a, job: {namespace: "${inputs.name}", template: {spec: {containers: [{name: a, image: "${target.x}"}]}}}}]`, []string{"inputs", "target"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := mustCompile(t, tc.steps)
			var got []string
			for _, variable := range []string{"inputs", "namespaceObject", "request", "requester", "target"} {
				if s.Uses(variable) {
					got = append(got, variable)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
