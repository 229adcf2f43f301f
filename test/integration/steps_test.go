package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// someSteps applies the Actions of these tests.
func someSteps(t *testing.T) {
	t.Helper()
	if err := cluster.ApplyFile(t.Context(), "test/integration/testdata/steps.yaml"); err != nil {
		t.Fatal(err)
	}
}

// configMap makes a ConfigMap in staging.
func configMap(t *testing.T, name string, finalizers ...string) *corev1.ConfigMap {
	t.Helper()
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "staging", Name: name, Finalizers: finalizers}}
	if err := admin(t).Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	return object
}

// TestDeleteAsPlanned asks for a deletion: people see it, and agree to the object that is there; it counts as done once it is gone.
func TestDeleteAsPlanned(t *testing.T) {
	someSteps(t)
	object := configMap(t, "clean-me", "example.com/hold")
	r, approval := openStage(t, "clean", `{"name":"clean-me"}`)
	want := v1alpha1.PlannedChange{Step: "clean", Operation: "delete", Object: "ConfigMap staging/clean-me",
		Fields: []string{"deletes it, and then what it owns"}}
	if plan := approval.Spec.Plan; len(plan) != 1 || plan[0].Operation != want.Operation || plan[0].Object != want.Object || plan[0].Fields[0] != want.Fields[0] {
		t.Errorf("the plan: %+v", plan)
	}
	if !slices.Contains(approval.Spec.Summary, "  delete ConfigMap staging/clean-me") {
		t.Errorf("the summary does not say what is deleted: %q", approval.Spec.Summary)
	}
	votes(t, users.Bob, approval, "Approve", "")
	reaches(t, r, v1alpha1.PhaseExecuting)
	eventually(t, "the wait for the finalizer", func() (bool, string) {
		live := &v1alpha1.ActionRequest{}
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), live)
		return err == nil && len(live.Status.Steps) == 1 && live.Status.Steps[0].Message == "waiting until ConfigMap staging/clean-me is gone: it is held by example.com/hold", errText(err)
	})
	if err := patch(t, users.Ada, object, `{"metadata":{"finalizers":null}}`); err != nil {
		t.Fatal(err)
	}
	reaches(t, r, v1alpha1.PhaseSucceeded)
	if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(object), object); !apierrors.IsNotFound(err) {
		t.Errorf("the object is still there: %v", err)
	}
}

// TestDeletedMeanwhile makes another object of the same name: people have agreed to the first one only.
func TestDeletedMeanwhile(t *testing.T) {
	someSteps(t)
	object := configMap(t, "replaced")
	r, approval := openStage(t, "clean", `{"name":"replaced"}`)
	if err := admin(t).Delete(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	second := configMap(t, "replaced")
	votes(t, users.Bob, approval, "Approve", "")
	eventually(t, "an Approval of the deletion of the second object", func() (bool, string) {
		for _, other := range approvalsOf(t, r, 2) {
			if other.Name != approval.Name && other.Status.State == v1alpha1.ApprovalOpen {
				return true, ""
			}
		}
		return false, "only the first"
	})
	if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(second), second); err != nil {
		t.Errorf("nobody agreed to delete the second object: %v", err)
	}
}

// TestDeleteWhatWasApplied applies an object and deletes it: the one that was there when people were asked goes. Where there is none, nobody could agree to it.
func TestDeleteWhatWasApplied(t *testing.T) {
	someSteps(t)
	apply(t, strings.ReplaceAll(`{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: NAME}, spec: {title: Empty and delete, default: {effect: Allow}, execution: {serviceAccountName: deployer,
		steps: [{name: empty, `+applies+`}, {name: drop, `+deletes+`}]}}}`, "NAME", "emptied"))
	object := configMap(t, "emptied")
	r := ask(t, users.Alice, request("emptied", `{}`))
	reaches(t, r, v1alpha1.PhaseSucceeded)
	if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(object), object); !apierrors.IsNotFound(err) {
		t.Errorf("the object is still there: %v", err)
	}
	r = ask(t, users.Alice, request("emptied", `{}`))
	eventually(t, "the reason", func() (bool, string) {
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), r)
		why := meta.FindStatusCondition(r.Status.Conditions, v1alpha1.ConditionAuthorized)
		return err == nil && why != nil && strings.Contains(why.Message, `which step "empty" makes`), fmt.Sprint(err, why)
	})
}

// TestNeededNamespace asks to delete namespaces that the request needs itself.
func TestNeededNamespace(t *testing.T) {
	someSteps(t)
	for _, name := range []string{"payments", "platform", "signoff-system"} {
		r := request("drop-namespace", `{"name":"`+name+`"}`)
		eventually(t, "the refusal", func() (bool, string) {
			err := as(t, users.Alice).Create(t.Context(), r.DeepCopy())
			if apierrors.IsForbidden(err) && strings.Contains(err.Error(), "there is no") {
				return false, err.Error()
			}
			refused(t, err, metav1.StatusReasonForbidden, "may not delete a namespace that it needs itself")
			return true, ""
		})
	}
}

// TestOutputsReachLaterSteps gives what one step found out to the next; people have agreed to where it goes and to its shape.
func TestOutputsReachLaterSteps(t *testing.T) {
	someSteps(t)
	object := configMap(t, "relay")
	r, approval := openStage(t, "relay", `{"name":"relay"}`)
	want := []string{
		"    only when it holds then: \"steps.first.outputs.answer != 'no' && requester.username == 'alice'\"",
		"    Deferred: known once earlier steps have run: data.text",
		"    data.text: (new) \"relay says ${steps.first.outputs.answer}\"",
	}
	for _, line := range want {
		if !slices.Contains(approval.Spec.Summary, line) {
			t.Errorf("people do not read %q in\n%s", line, strings.Join(approval.Spec.Summary, "\n"))
		}
	}
	votes(t, users.Bob, approval, "Approve", "")
	reaches(t, r, v1alpha1.PhaseExecuting)
	if err := patch(t, users.Ada, object, `{"data":{"answer":"${request.uid}"}}`); err != nil {
		t.Fatal(err)
	}
	done := reaches(t, r, v1alpha1.PhaseSucceeded)
	copied := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "staging", Name: "relay-copy"}}
	if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(copied), copied); err != nil || copied.Data["text"] != "relay says ${request.uid}" {
		t.Errorf("an output is data, and never read as a template: %v, %v", err, copied.Data)
	}
	var states []v1alpha1.StepState
	for _, step := range done.Status.Steps {
		states = append(states, step.State)
	}
	if !slices.Equal(states, []v1alpha1.StepState{v1alpha1.StepDone, v1alpha1.StepDone, v1alpha1.StepSkipped}) || string(done.Status.Steps[0].Outputs.Raw) != `{"answer":"${request.uid}"}` {
		t.Errorf("the steps: %+v", done.Status.Steps)
	}
}

// TestNumbersAsText puts a number that a step gave where Kubernetes takes text only, as the guide does.
func TestNumbersAsText(t *testing.T) {
	someSteps(t)
	object := configMap(t, "numbers")
	if err := patch(t, users.Ada, object, `{"data":{"rows":"7"}}`); err != nil {
		t.Fatal(err)
	}
	apply(t, `{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: numbers}, spec: {title: Note a number, target: {apiVersion: v1, kind: ConfigMap, namespace: staging, name: numbers},
		inputs: {openAPIV3Schema: {type: object, properties: {wanted: {type: integer, default: 9, maximum: 9}}}}, default: {effect: Allow}, execution: {serviceAccountName: deployer, steps: [
		{name: count, patch: {merge: {data: {seen: "yes"}}}, outputs: [{name: rows, expression: int(object.data.rows), schema: {type: integer, maximum: 100}}]},
		{name: note, patch: {merge: {metadata: {annotations: {rows: "${steps.count.outputs.rows}", wanted: "${string(inputs.wanted)}"}}, data: {rows: "${string(steps.count.outputs.rows + 1)}"}}}},
		{name: work, job: {namespace: staging, template: {spec: {containers: [{name: main, image: "registry/task:1", args: ["${steps.count.outputs.rows}"], env: [{name: ROWS, value: "${steps.count.outputs.rows}"}]}]}}}}]}}}`)
	r := ask(t, users.Alice, request("numbers", `{}`))
	reaches(t, r, v1alpha1.PhaseSucceeded)
	if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil || object.Annotations["rows"] != "7" || object.Annotations["wanted"] != "9" || object.Data["rows"] != "8" {
		t.Errorf("it holds %v, %v, %v", err, object.Annotations, object.Data)
	}
	if main := lastJob(t, r, "work").Spec.Template.Spec.Containers[0]; !slices.Equal(main.Args, []string{"7"}) || len(main.Env) != 1 || main.Env[0].Value != "7" {
		t.Errorf("the Job runs %+v", main)
	}
}

// TestFailWhenEnds ends a wait that cannot end well, and nothing after it runs.
func TestFailWhenEnds(t *testing.T) {
	someSteps(t)
	object := configMap(t, "broken")
	r, approval := openStage(t, "relay", `{"name":"broken","third":true}`)
	votes(t, users.Bob, approval, "Approve", "")
	reaches(t, r, v1alpha1.PhaseExecuting)
	if err := patch(t, users.Ada, object, `{"data":{"answer":"broken"}}`); err != nil {
		t.Fatal(err)
	}
	done := reaches(t, r, v1alpha1.PhaseFailed)
	if len(done.Status.Steps) != 1 || !strings.Contains(done.Status.Steps[0].Message, "failWhen holds") {
		t.Errorf("the steps: %+v", done.Status.Steps)
	}
}

// TestFinally ends an execution in each way: what runs at the end runs, and changes nothing about how it ended.
func TestFinally(t *testing.T) {
	someSteps(t)
	for name, tc := range map[string]struct {
		phase v1alpha1.Phase
		end   func(t *testing.T, r *v1alpha1.ActionRequest, object *corev1.ConfigMap)
	}{
		"good": {v1alpha1.PhaseSucceeded, func(t *testing.T, _ *v1alpha1.ActionRequest, object *corev1.ConfigMap) {
			t.Helper()
			if err := patch(t, users.Ada, object, `{"data":{"state":"good"}}`); err != nil {
				t.Fatal(err)
			}
		}},
		"bad": {v1alpha1.PhaseFailed, func(t *testing.T, _ *v1alpha1.ActionRequest, object *corev1.ConfigMap) {
			t.Helper()
			if err := patch(t, users.Ada, object, `{"data":{"state":"bad"}}`); err != nil {
				t.Fatal(err)
			}
		}},
		"stopped": {v1alpha1.PhaseCancelled, func(t *testing.T, r *v1alpha1.ActionRequest, _ *corev1.ConfigMap) {
			t.Helper()
			if err := patch(t, users.Alice, r, `{"spec":{"cancellation":{"reason":"enough"}}}`); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			object := configMap(t, "tidy-"+name)
			r, approval := openStage(t, "tidy", `{"name":"tidy-`+name+`"}`)
			if line := "    at the end, also where another step fails"; !slices.Contains(approval.Spec.Summary, line) {
				t.Errorf("people do not read %q in\n%s", line, strings.Join(approval.Spec.Summary, "\n"))
			}
			votes(t, users.Bob, approval, "Approve", "")
			eventually(t, "the step to wait", func() (bool, string) {
				err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(object), object)
				return err == nil && object.Data["worked"] == "yes" && reaches(t, r, v1alpha1.PhaseExecuting) != nil, errText(err)
			})
			tc.end(t, r, object)
			done := reaches(t, r, tc.phase)
			if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil || object.Data["ended"] != string(tc.phase) || object.Data["never"] != "" {
				t.Errorf("what runs at the end: %v, %v", err, object.Data)
			}
			if text := strings.Join(done.Status.Summary, "\n"); !strings.Contains(text, "At the end, step broken failed: failed to patch ConfigMap staging/there-is-none") {
				t.Errorf("nobody is told that a step at the end failed:\n%s", text)
			}
			if len(done.Status.Steps) != 4 || done.Status.Steps[1].State != v1alpha1.StepSkipped || done.Status.Steps[2].State != v1alpha1.StepFailed {
				t.Errorf("the steps: %+v", done.Status.Steps)
			}
		})
	}
}
