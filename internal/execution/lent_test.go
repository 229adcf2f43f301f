package execution

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

const (
	binding = `{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: NS, name: l},
		roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: test-read}, subjects: [SUBJECTS]}`
	service = `{apiVersion: v1, kind: Service, metadata: {namespace: NS, name: l}, spec: {selector: {app: a}, ports: [{name: web, port: 80}]}}`
	workers = `{apiVersion: apps/v1, kind: Deployment, metadata: {namespace: NS, name: l}, spec: {replicas: 0, selector: {matchLabels: {app: l}}, template: {
		metadata: {labels: {app: l}}, spec: {initContainers: [{name: first, image: "i:1"}, {name: second, image: "i:2"}, {name: third, image: "i:3"}],
		containers: [{name: app, image: "app:1", args: [--level, info]}]}}}}`
)

// subject is how an account is named in a RoleBinding.
func subject(name string) string {
	return `{apiGroup: rbac.authorization.k8s.io, kind: User, name: ` + name + `}`
}

func bindingOf(names ...string) string {
	var subjects []string
	for _, name := range names {
		subjects = append(subjects, subject(name))
	}
	return strings.Replace(binding, "SUBJECTS", strings.Join(subjects, ", "), 1)
}

// lender plays a loan of one object of any kind.
type lender struct {
	*play
	resource dynamic.ResourceInterface
}

var lentKinds = map[string]schema.GroupVersionResource{
	"RoleBinding": {Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "rolebindings"},
	"Service":     {Version: "v1", Resource: "services"},
	"Deployment":  {Group: "apps", Version: "v1", Resource: "deployments"},
	"ConfigMap":   {Version: "v1", Resource: "configmaps"},
	"Team":        {Group: "lent.example.com", Version: "v1", Resource: "teams"},
}

// newLender applies the object and makes a loan of a write to it.
func newLender(t *testing.T, there, operation, body string) *lender {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(there), &object.Object); err != nil {
		t.Fatal(err)
	}
	p := newLoan(t, `{name: lend, writes: [{operation: `+operation+`, conflicts: Take, fieldManager: signoff-`+string(requestUID)+`-lend,
		object: {apiVersion: `+object.GetAPIVersion()+`, kind: `+object.GetKind()+`, namespace: NS, name: l}, body: `+body+`}]}`)
	client, err := dynamic.NewForConfig(cluster.Admin)
	if err != nil {
		t.Fatal(err)
	}
	l := &lender{p, client.Resource(lentKinds[object.GetKind()]).Namespace(p.namespace)}
	l.owns(there)
	return l
}

// lends does the step. A controller may write to the object at the same moment: then it is noted again.
func (l *lender) lends() {
	l.t.Helper()
	for l.status.State != v1alpha1.StepDone {
		out, err := l.call()
		if isRaced(err) {
			continue
		}
		if err != nil || out.Status.State == v1alpha1.StepFailed {
			l.t.Fatalf("it must be lent: %+v, %v", out, err)
		}
		l.status = out.Status
	}
}

// patches changes the object as somebody else.
func (l *lender) patches(kind types.PatchType, patch string) {
	l.t.Helper()
	if _, err := l.resource.Patch(l.t.Context(), "l", kind, []byte(patch), metav1.PatchOptions{FieldManager: "kubectl-edit"}); err != nil {
		l.t.Fatal(err)
	}
}

// owns applies the object as who had it before, and wants no conflict overridden.
func (l *lender) owns(manifest string) {
	l.t.Helper()
	raw := strings.ReplaceAll(manifest, "NS", l.namespace)
	if _, err := l.resource.Patch(l.t.Context(), "l", types.ApplyPatchType, []byte(raw), metav1.PatchOptions{FieldManager: "owner"}); err != nil {
		l.t.Fatal(err)
	}
}

// takes applies the object as a tool that overrides every conflict.
func (l *lender) takes(manifest string) {
	l.t.Helper()
	raw, force := strings.ReplaceAll(manifest, "NS", l.namespace), true
	if _, err := l.resource.Patch(l.t.Context(), "l", types.ApplyPatchType, []byte(raw), metav1.PatchOptions{FieldManager: "gitops", Force: &force}); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lender) object() *unstructured.Unstructured {
	l.t.Helper()
	got, err := l.resource.Get(l.t.Context(), "l", metav1.GetOptions{})
	if err != nil {
		l.t.Fatal(err)
	}
	return got
}

// back takes the loan back in a new process, and gives what is kept and left.
func (l *lender) back() *Reverted {
	l.t.Helper()
	l.restart()
	return l.runner.Revert(l.t.Context(), l.record)
}

// gone takes the loan back, and demands that nothing is kept nor left, and nobody of ours owns anything.
func (l *lender) gone() {
	l.t.Helper()
	if out := l.back(); len(out.Kept)+len(out.Left) > 0 {
		l.t.Errorf("kept %q, left %q", out.Kept, out.Left)
	}
	if slices.ContainsFunc(l.object().GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool { return strings.HasPrefix(e.Manager, "signoff-") }) {
		l.t.Errorf("a request that is over owns something: %v", l.object().GetManagedFields())
	}
}

// names are the names of the elements of a list of the object.
func (l *lender) names(path ...string) []string {
	l.t.Helper()
	list, _, err := unstructured.NestedSlice(l.object().Object, path...)
	if err != nil {
		l.t.Fatal(err)
	}
	var out []string
	for _, item := range list {
		if object, ok := item.(map[string]any); ok {
			item = object["name"]
		}
		out = append(out, item.(string))
	}
	return out
}

func (l *lender) has(want []string, path ...string) {
	l.t.Helper()
	if diff := cmp.Diff(want, l.names(path...)); diff != "" {
		l.t.Errorf("%v (-want +got):\n%s", path, diff)
	}
}

// TestUndoOfShared takes back what was lent from objects to which others have written since.
func TestUndoOfShared(t *testing.T) {
	lendsAlice := `{subjects: [` + subject("alice") + `]}`
	for name, tc := range map[string]struct {
		there, operation, body string
		play                   func(*lender)
	}{
		"NewListOfSubjects": {bindingOf(), "StrategicPatch", lendsAlice, func(l *lender) {
			l.lends()
			l.patches(types.JSONPatchType, `[{"op":"add","path":"/subjects/-","value":{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"bob"}}]`)
			l.has([]string{"alice", "bob"}, "subjects")
			l.gone()
			l.has([]string{"bob"}, "subjects")
		}},
		"SubjectsAppliedSince": {bindingOf("owner"), "MergePatch", `{subjects: [` + subject("owner") + `, ` + subject("alice") + `]}`, func(l *lender) {
			l.lends()
			l.takes(bindingOf("owner", "alice"))
			if out := l.back(); len(out.Left) > 0 || !strings.Contains(strings.Join(out.Kept, ""), "written by gitops") {
				t.Errorf("who applies the list means all of it: kept %q, left %q", out.Kept, out.Left)
			}
			l.has([]string{"owner", "alice"}, "subjects")
		}},
		"PortAppliedSince": {service, "StrategicPatch", `{spec: {ports: [{name: debug, port: 81}]}}`, func(l *lender) {
			l.lends()
			l.takes(strings.Replace(service, "{name: web, port: 80}", "{name: web, port: 80}, {name: debug, port: 81}", 1))
			if out := l.back(); len(out.Left) > 0 || !strings.Contains(strings.Join(out.Kept, ""), "written by gitops") {
				t.Errorf("who applies the port means it: kept %q, left %q", out.Kept, out.Left)
			}
			l.has([]string{"web", "debug"}, "spec", "ports")
		}},
		"PortThatIsDrawn": {service, "MergePatch", `{spec: {type: NodePort}}`, func(l *lender) {
			l.lends()
			l.gone()
			if got, _, err := unstructured.NestedString(l.object().Object, "spec", "type"); err != nil || got != "ClusterIP" {
				t.Errorf("got %q, %v", got, err)
			}
		}},
		"PortThatIsDrawnAndACrash": {strings.Replace(service, "{selector", "{type: NodePort, selector", 1), "StrategicPatch", `{spec: {ports: [{name: debug, port: 81}]}}`, func(l *lender) {
			l.noted()
			l.crashes()
			l.lends()
			l.gone()
			l.has([]string{"web"}, "spec", "ports")
		}},
		"OrderOfRemoved": {workers, "StrategicPatch", `{spec: {template: {spec: {initContainers: [{name: second, $patch: delete}]}}}}`, func(l *lender) {
			l.lends()
			l.has([]string{"first", "third"}, "spec", "template", "spec", "initContainers")
			l.gone()
			l.has([]string{"first", "second", "third"}, "spec", "template", "spec", "initContainers")
		}},
		"OrderAlone": {workers, "MergePatch",
			`{spec: {template: {spec: {initContainers: [{name: third, image: "i:3"}, {name: second, image: "i:2"}, {name: first, image: "i:1"}]}}}}`, func(l *lender) {
				l.lends()
				l.gone()
				l.has([]string{"first", "second", "third"}, "spec", "template", "spec", "initContainers")
			}},
		"LentAndAddedTo": {workers, "StrategicPatch", `{spec: {template: {spec: {containers: [{name: shell, image: "sh:1"}]}}}}`, func(l *lender) {
			l.lends()
			l.patches(types.StrategicMergePatchType, `{"spec":{"template":{"spec":{"containers":[{"name":"shell","stdin":true}]}}}}`)
			out := l.back()
			want := "/l is left: what was lent is still in spec.template.spec.containers[shell], and somebody has changed that since. Take it out by hand"
			if len(out.Kept) > 0 || !strings.HasSuffix(strings.Join(out.Left, ""), want) {
				t.Errorf("a person must look: kept %q, left %q", out.Kept, out.Left)
			}
			l.patches(types.StrategicMergePatchType, `{"spec":{"template":{"spec":{"containers":[{"name":"shell","$patch":"delete"}]}}}}`)
			l.gone()
		}},
		"ConflictOfNobody": {strings.ReplaceAll(normal, "name: c", "name: l"), "MergePatch", `{data: {mode: lent}}`, func(l *lender) {
			l.lends()
			l.gone()
			l.owns(strings.NewReplacer("name: c", "name: l", "mode: normal", "mode: newer").Replace(normal))
		}},
		"ApplyOfTheSame": {strings.ReplaceAll(normal, "name: c", "name: l"), "Apply", `{apiVersion: v1, kind: ConfigMap, metadata: {namespace: NS, name: l}, data: {mode: normal}}`, func(l *lender) {
			l.lends()
			l.gone()
			l.owns(strings.NewReplacer("name: c", "name: l", "mode: normal", "mode: newer").Replace(normal))
		}},
		"AnotherOne": {strings.ReplaceAll(normal, "name: c", "name: l"), "MergePatch", `{data: {mode: lent}}`, func(l *lender) {
			l.lends()
			if err := l.resource.Delete(t.Context(), "l", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			l.owns(strings.ReplaceAll(normal, "name: c", "name: l"))
			if out := l.back(); len(out.Left) > 0 || !strings.HasSuffix(strings.Join(out.Kept, ""), "is another one now") {
				t.Errorf("kept %q, left %q", out.Kept, out.Left)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.play(newLender(t, tc.there, tc.operation, tc.body))
		})
	}
}

const (
	teams = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: teams.lent.example.com}
spec:
  group: lent.example.com
  scope: Namespaced
  names: {kind: Team, listKind: TeamList, plural: teams, singular: team}
  versions:
  - {name: v1, served: V1, storage: true, schema: {openAPIV3Schema: SCHEMA}}
  - {name: v2, served: true, storage: false, schema: {openAPIV3Schema: SCHEMA}}
`
	teamSchema = `{type: object, properties: {spec: {type: object, properties: {members: {type: array, items: {type: string}}}}}}`
	team       = `{apiVersion: lent.example.com/v1, kind: Team, metadata: {namespace: NS, name: l, labels: {of: owner}}, spec: {members: [owner]}}`
)

// defines applies the definition of a kind, of which v1 is served or not, and waits until it is so.
func defines(t *testing.T, v1 string) {
	t.Helper()
	if err := cluster.Apply(t.Context(), []byte(strings.NewReplacer("SCHEMA", teamSchema, "V1", v1).Replace(teams))); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(context.Context) error {
		list, err := admin.Discovery().ServerResourcesForGroupVersion("lent.example.com/v1")
		if served := err == nil && len(list.APIResources) > 0; served != (v1 == "true") {
			return errors.New("what is served has not changed yet")
		}
		_, err = admin.Discovery().ServerResourcesForGroupVersion("lent.example.com/v2")
		return err
	})
}

// undefines removes the kind, and all that is of it.
func undefines(t *testing.T) {
	t.Helper()
	client, err := dynamic.NewForConfig(cluster.Admin)
	if err != nil {
		t.Fatal(err)
	}
	definitions := client.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	eventually(t, func(ctx context.Context) error {
		if err := definitions.Delete(ctx, "teams.lent.example.com", metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		if _, err := definitions.Get(ctx, "teams.lent.example.com", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return errors.New("the definition is still there")
		}
		if _, err := admin.Discovery().ServerResourcesForGroupVersion("lent.example.com/v2"); !apierrors.IsNotFound(err) {
			return errors.New("the kind is still served")
		}
		return nil
	})
}

// TestUndoOfKinds takes back what was lent of a kind that is served otherwise since, or no more, and of lists of plain words.
func TestUndoOfKinds(t *testing.T) {
	lend := func(t *testing.T) *lender {
		t.Helper()
		defines(t, "true")
		l := newLender(t, team, "MergePatch", `{spec: {members: [owner, alice]}}`)
		l.lends()
		return l
	}
	t.Run("Words", func(t *testing.T) {
		l := lend(t)
		l.patches(types.JSONPatchType, `[{"op":"add","path":"/spec/members/-","value":"bob"}]`)
		l.gone()
		l.has([]string{"owner", "bob"}, "spec", "members")
	})
	for name, restart := range map[string]bool{"OtherVersion": false, "OtherVersionInANewProcess": true} {
		t.Run(name, func(t *testing.T) {
			l := lend(t)
			defines(t, "false")
			if restart {
				l.restart()
			}
			if out := l.runner.Revert(t.Context(), l.record); len(out.Kept)+len(out.Left) > 0 {
				t.Errorf("kept %q, left %q", out.Kept, out.Left)
			}
			defines(t, "true")
			l.has([]string{"owner"}, "spec", "members")
		})
	}
	for name, restart := range map[string]bool{"Gone": false, "GoneInANewProcess": true} {
		t.Run(name, func(t *testing.T) {
			l := lend(t)
			undefines(t)
			if restart {
				l.restart()
			}
			if out := l.runner.Revert(t.Context(), l.record); len(out.Left) > 0 || !strings.HasSuffix(strings.Join(out.Kept, ""), "is gone") {
				t.Errorf("kept %q, left %q", out.Kept, out.Left)
			}
		})
	}
	t.Run("CreatedAndGone", func(t *testing.T) {
		defines(t, "true")
		l := newLender(t, team, "Apply", team)
		if err := l.resource.Delete(t.Context(), "l", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		l.lends()
		undefines(t)
		if out := l.back(); len(out.Left)+len(out.Kept) > 0 {
			t.Errorf("kept %q, left %q", out.Kept, out.Left)
		}
	})
}
