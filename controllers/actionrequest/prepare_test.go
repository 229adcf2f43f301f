package actionrequest

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/execution"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

// dear is an Action that everybody may ask for, and whose step costs more than one expression may.
const dear = `
metadata: {namespace: hostile, name: burn}
spec:
  title: Burn
  inputs: {openAPIV3Schema: {type: object, properties: {words: {type: array, maxItems: 60, items: {type: string, maxLength: 9}}}}}
  default: {effect: Allow}
  execution:
    serviceAccountName: a
    steps:
    - name: note
      apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: web, name: note}, data: {
        a: "${inputs.words.all(a, inputs.words.all(b, inputs.words.all(c, inputs.words.all(d, a + b + c + d != 'x')))) ? 'y' : 'n'}"}}]}
`

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// TestPreparingTakesFromTheShare: what the steps of an Action cost is bounded as what its rules cost is, so that no worker is kept busy by one
// team's templates, and the request is tried again later.
func TestPreparingTakesFromTheShare(t *testing.T) {
	g, request := hostileGate(t), &v1alpha1.ActionRequest{}
	request.Namespace, request.Name = "web", "r"
	request.Spec.ActionRef = v1alpha1.ActionReference{Namespace: "hostile", Name: "burn"}
	request.Spec.Requester = &v1alpha1.Identity{Username: "eve"}
	request.Spec.Inputs = words(60)
	var last *gate.Problem
	for range 12 {
		s := &scope{Reconciler: &Reconciler{Gate: g}, request: request, now: noon}
		if s.judgement = g.Judge(t.Context(), gate.SubjectOf(request), s.now); s.judgement.Problem != nil {
			t.Fatalf("the rules cost nothing, and allow it: %+v", s.judgement.Problem)
		}
		if last = s.prepare(t.Context()); last == nil {
			t.Fatal("the step costs more than one expression may: the test proves nothing")
		}
		if strings.Contains(last.Message, "take too much time") {
			break
		}
	}
	if !strings.Contains(last.Message, "for Actions in namespace hostile take too much time") || !last.Transient {
		t.Errorf("want a refusal that may be another one later, got %+v", last)
	}
}

// words are inputs of so many words.
func words(count int) *runtime.RawExtension {
	list := strings.TrimSuffix(strings.Repeat(`"w",`, count), ",")
	return &runtime.RawExtension{Raw: []byte(`{"words":[` + list + `]}`)}
}

func hostileGate(t *testing.T) *gate.Gate {
	t.Helper()
	store, action, role := snapshot.NewStore(nil), &v1alpha1.Action{}, &v1alpha1.Role{}
	if err := yaml.UnmarshalStrict([]byte(dear), action); err != nil {
		t.Fatal(err)
	}
	role.Namespace, role.Name = "hostile", "all"
	role.Spec.Members.Users = []string{"eve"}
	role.Spec.Permissions = []v1alpha1.Permission{{Verbs: []v1alpha1.Verb{v1alpha1.VerbRequest}, Actions: v1alpha1.ActionSelector{Names: []string{"*"}}}}
	store.Put(action)
	store.Put(role)
	store.MarkSynced()
	store.Rebuild()
	rules, err := identity.New(config.Default())
	if err != nil {
		t.Fatal(err)
	}
	return gate.New(store, rules, nil, "signoff-system", clocktesting.NewFakeClock(noon))
}

// TestCopiesAreNotTold: of a Job with a copy of what its requester may not read, nothing is told that the API server says, also where they may read the Job.
func TestCopiesAreNotTold(t *testing.T) {
	c := &comparison{scope: &scope{plan: &preparation{copiesHidden: true}}}
	got := c.refusalText(&execution.Refusal{
		Write: &v1alpha1.RenderedWrite{
			Operation: v1alpha1.WriteCreateJob, Object: v1alpha1.ObjectReference{APIVersion: "batch/v1", Kind: "Job", Namespace: "vault", Name: "j"},
			Body: runtime.RawExtension{Raw: []byte(`{"metadata":{"annotations":{"signoff.dev/pod-from":"Deployment vault/d"}}}`)},
		},
		Doing: "failed to create Job vault/j", Reason: "Invalid", Message: "hunter2 is invalid",
	})
	if want := "failed to create Job vault/j: Invalid. What the API server says is not shown, since the requester may not read what is copied"; got != want {
		t.Errorf("got %q", got)
	}
}
