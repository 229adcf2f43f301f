package gate

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/crdschema"
	"github.com/signoff-dev/signoff/internal/digest"
	"github.com/signoff-dev/signoff/internal/manifest"
	"github.com/signoff-dev/signoff/internal/steps"
)

var update = flag.Bool("update", false, "write golden vectors that are new; delete the file of one that must change")

// agreed is a golden vector: what people agree to who agree to a request for an Action.
type agreed struct {
	Digest string `json:"digest"`
	// Action is the digest of what the Action says, with everything that the API server fills in.
	Action string `json:"action"`
	// Steps and Finally are what comes out, so that it shows what is another one.
	Steps   []v1alpha1.RenderedStep `json:"steps"`
	Finally []v1alpha1.RenderedStep `json:"finally,omitempty"`
}

// stored are the objects of testdata/digests.yaml, Actions by their names and others as they are there.
type stored struct {
	fakeFacts
	actions map[string]*v1alpha1.Action
	objects []*unstructured.Unstructured
}

func (s *stored) Read(ref v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
	for _, object := range s.objects {
		if object.GetKind() == ref.Kind && object.GetNamespace() == ref.Namespace && object.GetName() == ref.Name {
			return object.DeepCopy(), nil
		}
	}
	return nil, apierrors.NewNotFound(schema.GroupResource{Resource: ref.Kind}, ref.Name)
}

// Object implements Facts.
func (s *stored) Object(_ context.Context, _, _ string, ref v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
	return s.Read(ref)
}

// readStored reads the file as the API server would store it: what it fills into an Action is a part of what people agree to.
func readStored(t *testing.T) *stored {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "digests.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	documents, err := manifest.Parse("digests.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	out := &stored{fakeFacts: fakeFacts{labels: map[string]any{"team": "payments"}}, actions: map[string]*v1alpha1.Action{}}
	for _, document := range documents {
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(document.JSON); err != nil {
			t.Fatal(err)
		}
		if object.GetKind() != "Action" {
			out.objects = append(out.objects, object)
			continue
		}
		out.actions[object.GetName()] = asStored(t, object)
	}
	return out
}

// asStored gives an Action as it comes back from the API server.
func asStored(t *testing.T, object *unstructured.Unstructured) *v1alpha1.Action {
	t.Helper()
	kind, refused := crdschema.Find(object.GetAPIVersion(), object.GetKind())
	if refused != nil {
		t.Fatal(refused)
	}
	if unknown, errs := kind.Check(t.Context(), object.Object); len(unknown)+len(errs) > 0 {
		t.Fatal(object.GetName(), unknown.ToAggregate(), errs.ToAggregate())
	}
	text, err := object.MarshalJSON()
	out := &v1alpha1.Action{}
	if err := errors.Join(err, json.Unmarshal(text, out)); err != nil {
		t.Fatal(err)
	}
	return out
}

// agree plans a request for an Action as the controllers do, up to the digest.
func (s *stored) agree(t *testing.T, action *v1alpha1.Action) agreed {
	t.Helper()
	r := &v1alpha1.ActionRequest{}
	r.Namespace, r.Name, r.UID = "payments", "checkout-1-42", "6f1d2c1e-96a7-4e0f-8f0f-6f0a3f3f9002"
	r.CreationTimestamp.Time = monday
	r.Spec.ActionRef = v1alpha1.ActionReference{Namespace: action.Namespace, Name: action.Name}
	r.Spec.Requester = &v1alpha1.Identity{Username: "alice", UID: "1000", Groups: []string{"engineering"}, Person: "alice"}
	r.Spec.Inputs = &runtime.RawExtension{Raw: []byte(`{"name":"checkout","note":"a/b é $(HOME) ${inputs.name}"}`)}
	text, err := json.Marshal(action)
	if err != nil {
		t.Fatal(err)
	}
	gate := gateOver(t, string(text), config.Default(), s, clock.RealClock{})
	judgement, problems := gate.Filling(t.Context(), SubjectOf(r), monday)
	for _, problem := range problems {
		t.Fatal(problem.Message)
	}
	in, all := gate.Input(judgement, r, "signoff-system"), judgement.Action.Steps
	if _, unread, err := all.Gather(t.Context(), in, s.Read); err != nil || len(unread) > 0 {
		t.Fatal(unread, err)
	}
	planned, earlier := gave(t, action)
	rendered, err := all.RenderAfter(t.Context(), *in, earlier)
	if err != nil {
		t.Fatal(err)
	}
	out := agreed{}
	out.Steps, out.Finally = all.Split(rendered)
	covered := judgement.Covered(r, out.Steps, out.Finally, planned)
	out.Action = covered.ActionDigest
	if out.Digest, err = digest.Of(covered); err != nil {
		t.Fatal(err)
	}
	return out
}

// gave is what the plan steps of an Action gave: a text each.
func gave(t *testing.T, action *v1alpha1.Action) ([]v1alpha1.PlannedStep, *steps.Earlier) {
	t.Helper()
	plan := action.Spec.Execution.Plan
	if plan == nil {
		return nil, nil
	}
	var planned []v1alpha1.PlannedStep
	for _, step := range plan.Steps {
		planned = append(planned, v1alpha1.PlannedStep{Name: step.Name, Declared: step.Outputs, Outputs: &runtime.RawExtension{Raw: []byte(`{"text":"+ bucket $(HOME)"}`)}})
	}
	before, statuses := steps.AfterPlan(planned)
	earlier, err := steps.NewEarlier(before, statuses, "")
	if err != nil {
		t.Fatal(err)
	}
	return planned, earlier
}

// TestDigestsOfActions: what people agreed to with one version is the same with every later one, from the Action that somebody wrote to the digest. What is
// compared is made by everything in between: the defaults of the API, the templates, the names of what is made, and the encoding.
func TestDigestsOfActions(t *testing.T) {
	world := readStored(t)
	for name, action := range world.actions {
		t.Run(name, func(t *testing.T) {
			got := asJSON(t, world.agree(t, action))
			file := filepath.Join("testdata", "digests", name+".json")
			if _, err := os.Stat(file); err != nil && *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("an upgrade would void what people agreed to (-want +got):\n%s", diff)
			}
		})
	}
	vectors, err := filepath.Glob(filepath.Join("testdata", "digests", "*.json"))
	if err != nil || len(vectors) != len(world.actions) {
		t.Errorf("every vector belongs to an Action, and every Action has one: %d of %d, %v", len(vectors), len(world.actions), err)
	}
}

// asJSON is as the vectors are written.
func asJSON(t *testing.T, of agreed) string {
	t.Helper()
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(of); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestDigestsOfEveryKind: no kind of step is without a vector, a new one neither.
func TestDigestsOfEveryKind(t *testing.T) {
	world, covered := readStored(t), map[string]bool{}
	for _, action := range world.actions {
		for _, step := range action.Spec.Execution.Steps {
			of := reflect.ValueOf(step)
			for _, member := range reflect.VisibleFields(of.Type()) {
				if strings.HasSuffix(member.Type.String(), "Step") {
					covered[member.Name] = covered[member.Name] || !of.FieldByIndex(member.Index).IsNil()
				}
			}
		}
	}
	want := map[string]bool{"Apply": true, "Patch": true, "Delete": true, "Job": true, "HTTP": true}
	if diff := cmp.Diff(want, covered); diff != "" {
		t.Errorf("kinds of steps with a vector (-want +got):\n%s", diff)
	}
}
