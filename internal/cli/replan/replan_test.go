package replan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/gate"
)

const action = `
metadata: {namespace: platform, name: deploy, uid: a}
spec:
  title: Deploy
  inputs: {openAPIV3Schema: {type: object, properties: {image: {type: string, default: "checkout:2", maxLength: 99}}}}
  target: {apiVersion: apps/v1, kind: Deployment, namespace: production, name: checkout}
  lookups:
  - {as: limits, object: {apiVersion: v1, kind: ConfigMap, namespace: platform, name: limits}}
  - {as: extra, object: {apiVersion: v1, kind: ConfigMap, namespace: platform, name: extra}, optional: true}
  - {as: pods, list: {apiVersion: v1, kind: Pod, namespace: production}}
  - {as: ruled, object: {apiVersion: v1, kind: ConfigMap, namespace: platform, name: ruled}}
  rules: [{name: big, when: "ruled.data.x == 'y'", effect: RequireApproval}]
  execution:
    serviceAccountName: deployer
    plan:
      serviceAccountName: planner
      steps:
      - name: look
        http: {method: GET, url: "https://plan.example.com/"}
        outputs: [{name: cost, expression: response.body.cost, schema: {type: integer}}]
    steps:
    - name: roll
      patch: {strategic: {spec: {replicas: "${int(limits.data.replicas)}", template: {spec: {containers: [{name: app, image: "${inputs.image}"}]}}}}}
    - name: note
      apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: production, name: note}, data: {
        by: "${request.name}", cost: "about ${steps.look.outputs.cost}", pods: "${string(pods.size())}", team: "${namespaceObject.metadata.labels['team']}", extra: "${extra == null ? 'none' : 'some'}"}}]}
    - name: token
      patch: {target: {apiVersion: v1, kind: Secret, namespace: production, name: db}, merge: {stringData: {password: "${inputs.image}"}}}
    - name: drop
      delete: {target: {apiVersion: v1, kind: ConfigMap, namespace: production, name: old}}
    finally:
    - name: last
      patch: {merge: {metadata: {annotations: {done: "yes"}}}}
`

const objects = `
- {apiVersion: apps/v1, kind: Deployment, metadata: {namespace: production, name: checkout, uid: d}, spec: {replicas: 1, template: {spec: {containers: [{name: app, image: "checkout:1"}]}}}}
- {apiVersion: v1, kind: ConfigMap, metadata: {namespace: platform, name: limits, uid: l}, data: {replicas: "3"}}
- {apiVersion: v1, kind: ConfigMap, metadata: {namespace: production, name: old, uid: o}}
- {apiVersion: v1, kind: Secret, metadata: {namespace: production, name: db, uid: s}, data: {password: aHVudGVyMg==}}
- {apiVersion: v1, kind: Namespace, metadata: {name: production, uid: n, labels: {team: payments}}}
`

const request = `
metadata: {namespace: payments, name: checkout, uid: r, creationTimestamp: "2026-11-23T12:00:00Z"}
spec: {actionRef: {namespace: platform, name: deploy}, reason: fixes it, requester: {username: alice}}
status:
  digest: "sha256:0"
  planning: {record: p, round: 1, steps: [{name: look, state: Done, outputs: {cost: 7}}]}
`

// world is what somebody may read. What is in refused they may not, and what is in broken cannot be read.
type world struct {
	objects         []unstructured.Unstructured
	refused, broken []string
	// read counts by name.
	read map[string]int
}

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var out T
	if err := yaml.UnmarshalStrict([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{read: map[string]int{}}
	for _, object := range decode[[]map[string]any](t, objects) {
		w.objects = append(w.objects, unstructured.Unstructured{Object: decodeIntegers(t, object)})
	}
	return w
}

// decodeIntegers makes numbers what clients make of them.
func decodeIntegers(t *testing.T, object map[string]any) map[string]any {
	t.Helper()
	raw, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	out := &unstructured.Unstructured{}
	if err := out.UnmarshalJSON(raw); err != nil {
		t.Fatal(err)
	}
	return out.Object
}

func (w *world) may(kind, name string) error {
	w.read[kind+" "+name]++
	switch {
	case slices.Contains(w.refused, kind+" "+name):
		return apierrors.NewForbidden(schema.GroupResource{Resource: strings.ToLower(kind) + "s"}, name, errors.New("you may not"))
	case slices.Contains(w.broken, kind+" "+name):
		return errors.New("no connection")
	}
	return nil
}

func (w *world) Action(context.Context, v1alpha1.ActionReference) (*v1alpha1.Action, error) {
	if err := w.may("Action", "deploy"); err != nil {
		return nil, err
	}
	out := &v1alpha1.Action{}
	return out, yaml.UnmarshalStrict([]byte(action), out)
}

func (w *world) Read(_ context.Context, ref v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
	if err := w.may(ref.Kind, ref.Name); err != nil {
		return nil, err
	}
	if object := w.find(ref.Kind, ref.Name); object != nil {
		return object.DeepCopy(), nil
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: ref.Kind}, ref.Name)
}

func (w *world) find(kind, name string) *unstructured.Unstructured {
	for i := range w.objects {
		if w.objects[i].GetKind() == kind && w.objects[i].GetName() == name {
			return &w.objects[i]
		}
	}
	return nil
}

func (w *world) List(_ context.Context, query gate.Query) (*unstructured.UnstructuredList, error) {
	return &unstructured.UnstructuredList{}, w.may(query.Kind, "*")
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func checked(t *testing.T, r *v1alpha1.ActionRequest, w World) *Check {
	t.Helper()
	return Of(t.Context(), r, nil, w, clocktesting.NewFakePassiveClock(noon))
}

// asked is the request as Signoff would show it: with what comes out where everything can be read.
func asked(t *testing.T) *v1alpha1.ActionRequest {
	t.Helper()
	r := decode[v1alpha1.ActionRequest](t, request)
	found := checked(t, &r, newWorld(t))
	if found.Digest != Differs || len(found.Missing) > 0 || found.Computed == "" {
		t.Fatalf("a digest that nothing has differs: %+v", found)
	}
	r.Status.Digest, r.Status.Plan = found.Computed, stored(found)
	return &r
}

// stored are changes as a request shows them.
func stored(found *Check) []v1alpha1.PlannedChange {
	var out []v1alpha1.PlannedChange
	for _, change := range found.Changes {
		fields := change.Fields[:len(change.Fields)-1] // how it is sent is shown in full only
		out = append(out, v1alpha1.PlannedChange{Step: change.Step, Operation: change.Operation, Object: change.Object, Fields: fields, Basis: "keyed-a:0"})
	}
	return out
}

func TestCheck(t *testing.T) {
	type r = *v1alpha1.ActionRequest
	cases := map[string]struct {
		reason       string
		request      func(r)
		world        func(*world)
		digest, plan Answer
		missing      []string
		// differ are the objects of which the request is not known to show the same, in the order of the changes.
		differ []string
	}{
		"Same": {"all that runs is known", nil, nil, Matches, Matches, nil, nil},
		"Action": {"who may not read the Action knows nothing", nil, func(w *world) { w.refused = []string{"Action deploy"} }, Unknown, Unknown,
			[]string{`actions "deploy" is forbidden`}, nil},
		"Lookups": {"all that is missing is named", nil, func(w *world) { w.refused = []string{"ConfigMap limits", "Pod *", "Namespace production"} }, Unknown, Unknown, []string{
			"cannot read the namespace of the target, Namespace production: ", "cannot read lookup limits, ConfigMap platform/limits: ", "cannot read lookup pods, every Pod in namespace production: ",
		}, nil},
		"Optional": {"that something is not there is known only by who may look", nil, func(w *world) { w.refused = []string{"ConfigMap extra"} }, Unknown, Unknown,
			[]string{"cannot read lookup extra, ConfigMap platform/extra: "}, nil},
		"Rules":   {"what only rules read has no part in it", nil, func(w *world) { w.refused = []string{"ConfigMap ruled"} }, Matches, Matches, nil, nil},
		"Deleted": {"the uid of what is deleted is agreed to", nil, func(w *world) { w.refused = []string{"ConfigMap old"} }, Unknown, Unknown, []string{"Cannot read ConfigMap production/old, which is to be deleted: "}, nil},
		"Target": {"what is sent is known, and what is there is not", nil, func(w *world) { w.refused = []string{"Deployment checkout"} }, Matches, Unknown,
			[]string{"Cannot tell what Deployment production/checkout is now: "}, []string{"Deployment production/checkout: Unknown", "Deployment production/checkout: Unknown"}},
		"Broken": {"nor is it where nobody answers", nil, func(w *world) { w.broken = []string{"Secret db"} }, Matches, Unknown,
			[]string{"Cannot tell what Secret production/db is now: no connection"}, []string{"Secret production/db: Unknown"}},
		"PlanStep": {"what plan steps gave must be there", func(x r) { x.Status.Planning.Steps[0].State = v1alpha1.StepStarted }, nil, Unknown, Unknown, []string{"the request does not show what plan step look gave"}, nil},
		"Gave":     {"and as it was", func(x r) { x.Status.Planning.Steps[0].Outputs.Raw = []byte(`{"cost":1}`) }, nil, Differs, Differs, nil, []string{"ConfigMap production/note: Differs"}},
		"Digest":   {"another digest", func(x r) { x.Status.Digest = "sha256:1" }, nil, Differs, Matches, nil, nil},
		"Changed": {"what is read has changed", nil, func(w *world) { set(w.find("ConfigMap", "limits"), "4", "data", "replicas") }, Differs, Differs, nil,
			[]string{"Deployment production/checkout: Differs"}},
		"Again": {"what is deleted is another one", nil, func(w *world) { w.find("ConfigMap", "old").SetUID("p") }, Differs, Matches, nil, nil},
		"Drift": {"what is there has changed", nil, func(w *world) { set(w.find("Deployment", "checkout"), int64(2), "spec", "replicas") }, Matches, Differs, nil,
			[]string{"Deployment production/checkout: Differs"}},
		"Lied": {"the status says something else", func(x r) { x.Status.Plan[0].Fields = []string{"nothing changes"} }, nil, Matches, Differs, nil,
			[]string{"Deployment production/checkout: Differs"}},
		"LiedBlind": {"who may not look does not call it a lie", func(x r) { x.Status.Plan[0].Fields = []string{"nothing changes"} },
			func(w *world) { w.refused = []string{"Deployment checkout"} }, Matches, Unknown,
			[]string{"Cannot tell what Deployment production/checkout is now: "}, []string{"Deployment production/checkout: Unknown", "Deployment production/checkout: Unknown"}},
		"Other": {"or about another object", func(x r) { x.Status.Plan[1].Object = "ConfigMap production/other" }, nil, Matches, Differs, nil, []string{"ConfigMap production/note: Differs"}},
		"Less":  {"or less", func(x r) { x.Status.Plan = x.Status.Plan[:4] }, nil, Matches, Differs, nil, []string{"Deployment production/checkout: Differs"}},
		"More":  {"or more", func(x r) { x.Status.Plan = append(x.Status.Plan, v1alpha1.PlannedChange{Object: "Pod a/b"}) }, nil, Matches, Differs, nil, nil},
		"Hidden": {"the requester may not read what is there", func(x r) {
			x.Status.Plan[0].Fields = []string{"spec.template.spec.containers[app].image: (hidden) → checkout:2", "spec.replicas: (hidden) → 3"}
		}, nil, Matches, Matches, nil, nil},
		"Blind": {"the ServiceAccount may not read what is there", func(x r) {
			x.Status.Plan[0].Fields = []string{
				"cannot be compared with what is there, which the ServiceAccount may not read; this is sent:",
				"spec.template.spec.containers[app].image: (new) checkout:2", "spec.replicas: (new) 3",
			}
		}, nil, Matches, Matches, nil, nil},
		"Inputs": {"the inputs are others", func(x r) { x.Spec.Inputs = &runtime.RawExtension{Raw: []byte(`{"image":"checkout:3"}`)} }, nil, Differs, Differs, nil,
			[]string{"Deployment production/checkout: Differs"}},
		"Wrong": {"the inputs do not fit", func(x r) { x.Spec.Inputs = &runtime.RawExtension{Raw: []byte(`{"image":3}`)} }, nil, Unknown, Unknown, []string{"the inputs no longer fit Action platform/deploy"}, nil},
		"Who":   {"somebody else asks", func(x r) { x.Spec.Requester.Username = "mallory" }, nil, Differs, Matches, nil, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r, w := asked(t), newWorld(t)
			if tc.request != nil {
				tc.request(r)
			}
			if tc.world != nil {
				tc.world(w)
			}
			got := checked(t, r, w)
			var differ []string
			for _, change := range got.Changes {
				if change.Plan != Matches {
					differ = append(differ, change.Object+": "+string(change.Plan))
				}
			}
			if got.Digest != tc.digest || got.Plan != tc.plan || !cmp.Equal(tc.differ, differ) || len(got.Missing) != len(tc.missing) {
				t.Errorf("%s: digest %s, plan %s, not the same: %q, missing: %q", tc.reason, got.Digest, got.Plan, differ, got.Missing)
			}
			for i := range min(len(tc.missing), len(got.Missing)) {
				if !strings.HasPrefix(got.Missing[i], tc.missing[i]) {
					t.Errorf("%s: missing is %q, want %q", tc.reason, got.Missing[i], tc.missing[i])
				}
			}
			if (got.Computed == "") != (tc.digest == Unknown) || (len(got.Changes) == 0) != (tc.digest == Unknown) {
				t.Errorf("what is not known is not shown: %+v", got)
			}
		})
	}
}

func set(object *unstructured.Unstructured, value any, path ...string) {
	if err := unstructured.SetNestedField(object.Object, value, path...); err != nil {
		panic(err)
	}
}

// patched is how a patch is sent, but for the name of its step.
const patched = "sent to API v1 as field manager signoff/platform/deploy/"

// defining is a world without a kind that an Action defines before it makes an object of it.
type defining struct{ *world }

func (defining) Action(context.Context, v1alpha1.ActionReference) (*v1alpha1.Action, error) {
	out := &v1alpha1.Action{}
	return out, yaml.UnmarshalStrict([]byte(`
metadata: {namespace: platform, name: deploy, uid: a}
spec:
  title: Define
  execution:
    serviceAccountName: deployer
    steps:
    - name: define
      apply: {manifests: [{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: things.example.com}, spec: {group: example.com, names: {kind: Thing}}}]}
    - name: use
      apply: {manifests: [{apiVersion: example.com/v1, kind: Thing, metadata: {namespace: production, name: one}}]}
`), out)
}

func (d defining) Read(ctx context.Context, ref v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
	if ref.Kind == "Thing" {
		return nil, fmt.Errorf("failed to find the resource: %w", &meta.NoKindMatchError{GroupKind: schema.GroupKind{Group: "example.com", Kind: "Thing"}})
	}
	return d.world.Read(ctx, ref)
}

// TestKindThatComes: nobody misses an object of a kind that the request itself defines, as the controllers do not.
func TestKindThatComes(t *testing.T) {
	r := decode[v1alpha1.ActionRequest](t, request)
	r.Status.Planning = nil
	found := checked(t, &r, defining{newWorld(t)})
	if len(found.Missing) > 0 || len(found.Changes) != 2 || found.Changes[1].Object != "Thing production/one" || found.Changes[1].Plan != Differs {
		t.Errorf("got %+v", found)
	}
}

// TestChanges shows all of it, and never what is in a Secret.
func TestChanges(t *testing.T) {
	r := asked(t)
	r.Status.Plan[1].Fields, r.Status.Plan = []string{"data.by: (new) mallory"}, r.Status.Plan[:4]
	w := newWorld(t)
	w.refused = []string{"Secret db"}
	for name, tc := range map[string]struct {
		world World
		token []string
	}{
		"Reads":   {newWorld(t), []string{"stringData.password: (new) (hidden)", patched + "token"}},
		"Refused": {w, []string{"cannot be compared with what is there, which you may not read; this is sent:", "stringData.password: (new) (hidden)", patched + "token"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := checked(t, r, tc.world)
			want := []Change{
				{Step: "roll", Operation: "patch", Object: "Deployment production/checkout", Plan: Matches, Fields: []string{
					"spec.template.spec.containers[app].image: checkout:1 → checkout:2", "spec.replicas: 1 → 3",
					"sent to API apps/v1 as field manager signoff/platform/deploy/roll",
				}},
				{Step: "note", Operation: "apply", Object: "ConfigMap production/note", Plan: Differs, Fields: []string{
					"creates it", "data.by: (new) checkout", `data.cost: (new) "about 7"`, "data.extra: (new) none", `data.pods: (new) "0"`, "data.team: (new) payments", patched + "note; it fails where others own a field",
				}, Shown: &v1alpha1.PlannedChange{Step: "note", Operation: "apply", Object: "ConfigMap production/note", Fields: []string{"data.by: (new) mallory"}}},
				{Step: "token", Operation: "patch", Object: "Secret production/db", Plan: Matches, Fields: tc.token},
				{Step: "drop", Operation: "delete", Object: "ConfigMap production/old", Plan: Matches, Fields: []string{"deletes it, and then what it owns", "sent to API v1"}},
				{Step: "last", Operation: "patch", Object: "Deployment production/checkout", Plan: Differs, Fields: []string{
					"at the end, also where another step fails", "metadata.annotations.done: (new) yes",
					"sent to API apps/v1 as field manager signoff/platform/deploy/last",
				}},
			}
			if name == "Refused" {
				want[2].Plan, want[2].Shown = Unknown, &v1alpha1.PlannedChange{Step: "token", Operation: "patch", Object: "Secret production/db", Fields: r.Status.Plan[2].Fields}
			}
			if diff := cmp.Diff(want, got.Changes); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if text, err := json.Marshal(got); err != nil || strings.Contains(string(text), "aHVudGVyMg") || strings.Contains(string(text), "hunter2") {
				t.Errorf("a Secret is shown (%v):\n%s", err, text)
			}
		})
	}
}

// TestUnchecked: what has begun, has ended, or was not looked at yet cannot be put together anew, unless people are asked about it.
func TestUnchecked(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*v1alpha1.ActionRequest)
		want   string
		// asked is the answer while an Approval is open.
		asked string
	}{
		"Waits":   {func(*v1alpha1.ActionRequest) {}, "", ""},
		"New":     {func(r *v1alpha1.ActionRequest) { r.Status.Digest = "" }, "the request does not say yet what it would do", ""},
		"Begun":   {func(r *v1alpha1.ActionRequest) { r.Status.Execution = &v1alpha1.ExecutionClaim{} }, "it has begun", ""},
		"Over":    {func(r *v1alpha1.ActionRequest) { r.Status.Outcome = v1alpha1.OutcomeDenied }, "the request is over", ""},
		"Unknown": {func(r *v1alpha1.ActionRequest) { r.Spec.Requester = nil }, "it is not known who asks", "it is not known who asks"},
	} {
		r := &v1alpha1.ActionRequest{ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "r"}}
		r.Status.Digest, r.Spec.Requester = "sha256:0", &v1alpha1.Identity{}
		tc.change(r)
		approval := func(change func(*v1alpha1.Approval)) v1alpha1.Approval {
			var a v1alpha1.Approval
			a.Spec.RequestRef.UID = "r"
			change(&a)
			return a
		}
		for _, others := range [][]v1alpha1.Approval{
			nil, {approval(func(a *v1alpha1.Approval) { a.Spec.Review = true })}, {approval(func(a *v1alpha1.Approval) { a.Spec.RequestRef.UID = "other" })},
			{approval(func(a *v1alpha1.Approval) { a.Status.State = v1alpha1.ApprovalApproved })},
		} {
			if got := Unchecked(r, others); got != tc.want {
				t.Errorf("%s: %q with %+v", name, got, others)
			}
		}
		for _, state := range []v1alpha1.ApprovalState{"", v1alpha1.ApprovalOpen} {
			if got := Unchecked(r, []v1alpha1.Approval{approval(func(a *v1alpha1.Approval) { a.Status.State = state })}); got != tc.asked {
				t.Errorf("%s: %q while people are asked", name, got)
			}
		}
	}
}

// TestAskedAbout: people vote on the digest of an Approval, so that is what must come out, whatever the status says.
func TestAskedAbout(t *testing.T) {
	is := asked(t).Status.Digest
	for name, tc := range map[string]struct {
		status    string
		approvals []string
		want      Answer
	}{
		"Both":         {is, []string{is, is}, Matches},
		"StatusGone":   {"", []string{is}, Matches},
		"StatusLies":   {"sha256:1", []string{is}, Differs},
		"ApprovalLies": {is, []string{is, "sha256:1"}, Differs},
		"OnlyApproval": {"", []string{"sha256:1"}, Differs},
		"Nothing":      {"", nil, Differs},
	} {
		r := asked(t)
		r.Status.Digest = tc.status
		var approvals []v1alpha1.Approval
		for _, digest := range tc.approvals {
			var a v1alpha1.Approval
			a.Spec.RequestRef.UID, a.Spec.Digest = r.UID, digest
			approvals = append(approvals, a)
		}
		if got := Of(t.Context(), r, approvals, newWorld(t), clocktesting.NewFakePassiveClock(noon)); got.Digest != tc.want || got.Computed != is {
			t.Errorf("%s: %s, computed %s", name, got.Digest, got.Computed)
		}
	}
}

// apart is a world with another Action, in which one object may not be read.
type apart struct {
	*world
	action  string
	refused v1alpha1.ObjectReference
}

func (a apart) Action(context.Context, v1alpha1.ActionReference) (*v1alpha1.Action, error) {
	out := &v1alpha1.Action{}
	return out, yaml.UnmarshalStrict([]byte(a.action), out)
}

func (a apart) Read(ctx context.Context, ref v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
	if ref == a.refused {
		return nil, apierrors.NewForbidden(schema.GroupResource{Resource: "deployments"}, ref.Name, errors.New("you may not"))
	}
	return a.world.Read(ctx, ref)
}

// TestNamesake: that one of two objects may not be read, which people call the same, does not excuse a lie about the other.
func TestNamesake(t *testing.T) {
	r := asked(t)
	w := apart{newWorld(t), `
metadata: {namespace: platform, name: deploy, uid: a}
spec:
  title: Deploy
  execution:
    serviceAccountName: deployer
    steps:
    - name: one
      patch: {target: {apiVersion: apps/v1, kind: Deployment, namespace: production, name: checkout}, merge: {spec: {replicas: 5}}}
    - name: two
      patch: {target: {apiVersion: example.com/v1, kind: Deployment, namespace: production, name: checkout}, merge: {spec: {replicas: 5}}}
`, v1alpha1.ObjectReference{APIVersion: "example.com/v1", Kind: "Deployment", Namespace: "production", Name: "checkout"}}
	r.Status.Plan = []v1alpha1.PlannedChange{
		{Step: "one", Operation: "patch", Object: "Deployment production/checkout", Fields: []string{"nothing changes"}},
		{Step: "two", Operation: "patch", Object: "Deployment production/checkout", Fields: []string{"nothing changes"}},
	}
	got := checked(t, r, w)
	if len(got.Changes) != 2 || got.Changes[0].Plan != Differs || got.Changes[1].Plan != Unknown || len(got.Missing) != 1 {
		t.Errorf("got %+v", got)
	}
}

// drifting is a world with an Action that says what happens where something has changed.
type drifting struct {
	*world
	onDrift v1alpha1.DriftPolicy
}

func (d drifting) Action(ctx context.Context, ref v1alpha1.ActionReference) (*v1alpha1.Action, error) {
	out, err := d.world.Action(ctx, ref)
	if err == nil {
		out.Spec.Execution.OnDrift = d.onDrift
	}
	return out, err
}

// TestOutdated: the status shows what is there now, but votes are about what an Approval shows.
func TestOutdated(t *testing.T) {
	type shown = []v1alpha1.PlannedChange
	scaled := func(w *world) { set(w.find("Deployment", "checkout"), int64(2), "spec", "replicas") }
	for name, tc := range map[string]struct {
		reason   string
		onDrift  v1alpha1.DriftPolicy
		world    func(*world)
		approval func(a *v1alpha1.Approval)
		status   func(shown)
		want     v1alpha1.DriftPolicy
	}{
		"Same":      {"nothing has changed", "", nil, nil, nil, ""},
		"Reapprove": {"people are asked again", "", scaled, nil, nil, v1alpha1.DriftReapprove},
		"Fail":      {"the request ends", v1alpha1.DriftFail, scaled, nil, nil, v1alpha1.DriftFail},
		"Proceed":   {"it counts", v1alpha1.DriftProceed, scaled, nil, nil, v1alpha1.DriftProceed},
		"Hidden":    {"what the requester may not read looks the same", "", nil, nil, func(now shown) { now[0].Basis = "keyed-a:1" }, v1alpha1.DriftReapprove},
		"Blind":     {"so does what whoever looks may not read", "", func(w *world) { scaled(w); w.refused = []string{"Deployment checkout"} }, nil, func(now shown) { now[0].Basis = "keyed-a:1" }, v1alpha1.DriftReapprove},
		"Unread":    {"who may not look does not call it outdated", "", func(w *world) { scaled(w); w.refused = []string{"Deployment checkout"} }, nil, nil, ""},
		"Back":      {"it is again as it was, and the status is older", "", nil, nil, func(now shown) { now[0].Basis, now[0].Fields = "keyed-a:1", []string{"spec.replicas: 2 → 3"} }, ""},
		"Rekeyed":   {"by another key nobody knows", "", nil, nil, func(now shown) { now[0].Basis = "keyed-b:1" }, ""},
		"NoBasis":   {"nothing is found that could change", "", scaled, func(a *v1alpha1.Approval) { a.Spec.Plan[0].Basis, a.Spec.Plan[4].Basis = "", "" }, nil, ""},
		"Digest":    {"it is about something else", "", scaled, func(a *v1alpha1.Approval) { a.Spec.Digest = "sha256:1" }, nil, ""},
		"Closed":    {"nobody is asked any more", "", scaled, func(a *v1alpha1.Approval) { a.Status.State = v1alpha1.ApprovalApproved }, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, w := asked(t), newWorld(t)
			before := checked(t, r, drifting{w, tc.onDrift})
			a := v1alpha1.Approval{ObjectMeta: metav1.ObjectMeta{Name: "owners"}}
			a.Spec.RequestRef.UID, a.Spec.Digest, a.Spec.Plan = r.UID, before.Computed, stored(before)
			if tc.approval != nil {
				tc.approval(&a)
			}
			if tc.world != nil {
				tc.world(w)
			}
			look := drifting{w, tc.onDrift}
			r.Status.Digest = before.Computed
			r.Status.Plan = stored(checked(t, r, look))
			if tc.status != nil {
				tc.status(r.Status.Plan)
			}
			got := Of(t.Context(), r, []v1alpha1.Approval{a}, look, clocktesting.NewFakePassiveClock(noon))
			var want []Outdated
			if tc.want != "" {
				want = []Outdated{{Approval: "owners", OnDrift: tc.want}}
			}
			if diff := cmp.Diff(want, got.Outdated); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
			if got.Plan == Differs && name != "Back" {
				t.Errorf("the status shows what is there: %+v", got)
			}
		})
	}
}
