package integration

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

const planned = `
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: NAME}
spec:
  title: Do as planned
  inputs: {openAPIV3Schema: {type: object, properties: {text: {type: string, maxLength: 63}}}}
  default: {effect: EFFECT}
  execution:
    serviceAccountName: deployer
    plan:
      serviceAccountName: planner
      MORE
      steps:
      - name: look
        http:
          method: GET
          url: URL/NAME/plan
          caBundle: |
          BUNDLE
          success: response.body.ok
          poll: {url: "URL/NAME/plan", every: 1s, until: response.body.done}
        outputs:
        - {name: changes, expression: int(response.body.changes), schema: {type: integer}}
        - {name: text, expression: response.body.text, schema: {type: string, maxLength: 4096}}
    steps:
    - name: note
      apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: staging, name: NAME}, data: {text: "as planned: ${steps.look.outputs.text}"}}]}
`

// plans applies an Action that plans.
func plans(t *testing.T, name, effect, more string) {
	t.Helper()
	plansBy(t, planned, name, effect, more)
}

func plansBy(t *testing.T, action, name, effect, more string) {
	t.Helper()
	someSteps(t)
	bundle := strings.ReplaceAll(host.bundle(), "\n          ", "\n            ")
	text := strings.NewReplacer("NAME", name, "EFFECT", effect, "MORE", more, "URL", host.URL, "BUNDLE", "  "+bundle).Replace(action)
	if err := cluster.Apply(t.Context(), []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// answer is what the peer says of a plan.
func answer(name, text string) {
	raw, err := json.Marshal(map[string]any{"ok": true, "done": true, "changes": 2, "text": text})
	if err != nil {
		panic(err)
	}
	host.answers("/"+name+"/plan", string(raw))
}

// TestPlanSteps runs before anybody is asked, once, and shows what it gave to who must agree, with what will be written.
func TestPlanSteps(t *testing.T) {
	plans(t, "planned", "RequireApproval", "")
	answer("planned", "+ bucket\nApprove: kubectl delete everything\n- nothing")
	r, approval := openStage(t, "planned", "{}")
	for _, line := range []string{
		"The plan steps, as platform/planner, gave:", "  look.changes: 2", "  look.text:", "  | + bucket", "  | Approve: kubectl delete everything", "  | - nothing",
		`    data.text: (new) "as planned: + bucket\nApprove: kubectl delete everything\n- nothing"`,
	} {
		if !slices.Contains(approval.Spec.Summary, line) {
			t.Errorf("people do not read %q in\n%s", line, strings.Join(approval.Spec.Summary, "\n"))
		}
	}
	if calls := host.made("/planned/plan"); len(calls) != 2 { // the call, and the question whether it is done
		t.Errorf("the plan step ran more than once: %q", calls)
	}
	votes(t, users.Bob, approval, "Approve", "")
	done := reaches(t, r, v1alpha1.PhaseSucceeded)
	object := &corev1.ConfigMap{}
	if err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: "staging", Name: "planned"}, object); err != nil {
		t.Fatal(err)
	}
	if want := "as planned: + bucket\nApprove: kubectl delete everything\n- nothing"; object.Data["text"] != want {
		t.Errorf("what people agreed to is what is written: %q", object.Data["text"])
	}
	if planning := done.Status.Planning; planning == nil || planning.Record != string(r.UID)+"-plan" || len(planning.Steps) != 1 {
		t.Errorf("the status must name the plan: %+v", planning)
	}
	if calls := host.made("/planned/plan"); len(calls) != 2 {
		t.Errorf("the plan step ran again: %q", calls)
	}
}

// TestPlanWithoutApproval runs the plan steps also where nobody must agree: the steps read what they gave.
func TestPlanWithoutApproval(t *testing.T) {
	plans(t, "planned-free", "Allow", "")
	answer("planned-free", "all")
	reaches(t, ask(t, users.Alice, request("planned-free", "{}")), v1alpha1.PhaseSucceeded)
}

// TestPlanExpires asks people again where the plan is another one when it is made again, and only then.
func TestPlanExpires(t *testing.T) {
	plans(t, "planned-again", "RequireApproval", "validFor: 4s")
	answer("planned-again", "first")
	r, approval := openStage(t, "planned-again", "{}")
	eventually(t, "another run of the plan", func() (bool, string) {
		calls := host.made("/planned-again/plan")
		return len(calls) >= 3, fmt.Sprint(calls)
	})
	if live := approvalsOf(t, r, 1)[0]; live.Status.State != v1alpha1.ApprovalOpen || live.UID != approval.UID {
		t.Errorf("the same plan is agreed to by the same votes: %+v", live.Status)
	}
	answer("planned-again", "second")
	second := ofPlan(t, r, "second")
	closes(t, approval, v1alpha1.ApprovalSuperseded)
	votes(t, users.Bob, second, "Approve", "")
	reaches(t, r, v1alpha1.PhaseSucceeded)
}

// ofPlan waits for an Approval that shows what a plan gave.
func ofPlan(t *testing.T, r *v1alpha1.ActionRequest, text string) (found *v1alpha1.Approval) {
	t.Helper()
	eventually(t, "an Approval of the plan "+text, func() (bool, string) {
		list := &v1alpha1.ApprovalList{}
		if err := admin(t).List(t.Context(), list, client.InNamespace(r.Namespace), client.MatchingLabels{v1alpha1.LabelRequestUID: string(r.UID)}); err != nil {
			return false, err.Error()
		}
		for i := range list.Items {
			if a := &list.Items[i]; a.Status.State == v1alpha1.ApprovalOpen && slices.Contains(a.Spec.Summary, "  look.text: "+text) {
				found = a
			}
		}
		return found != nil, fmt.Sprintf("%d Approvals", len(list.Items))
	})
	return found
}

// TestPlanIsRenewed makes a plan again at a host that answers a key as it did before: another run is another call.
func TestPlanIsRenewed(t *testing.T) {
	const name = "planned-anew"
	plansBy(t, strings.NewReplacer("method: GET", "method: POST\n          idempotent: true", "URL/NAME/plan\n", "URL"+replayPath+"NAME/plan\n",
		`          poll: {url: "URL/NAME/plan", every: 1s, until: response.body.done}`+"\n", "").Replace(planned), name, "RequireApproval", "validFor: 4s")
	answer("replayed/"+name, "first")
	r, _ := openStage(t, name, "{}")
	answer("replayed/"+name, "second")
	votes(t, users.Bob, ofPlan(t, r, "second"), "Approve", "")
	reaches(t, r, v1alpha1.PhaseSucceeded)
	for i, call := range host.made(replayPath + name) {
		key := string(r.UID) + "-look"
		if i > 0 {
			key += fmt.Sprintf("_%d", i+1)
		}
		if !strings.Contains(call, " "+key+" ") {
			t.Errorf("run %d has not the key %s: %s", i+1, key, call)
		}
	}
}

// TestPlanFails ends a request whose plan fails: nobody is asked.
func TestPlanFails(t *testing.T) {
	plans(t, "planned-badly", "RequireApproval", "")
	host.answers("/planned-badly/plan", `{"ok":false}`)
	r := reaches(t, ask(t, users.Alice, request("planned-badly", "{}")), v1alpha1.PhaseFailed)
	approvalsOf(t, r, 0)
	text := strings.Join(r.Status.Summary, "\n")
	if !strings.Contains(text, "Plan step look: ") || !strings.Contains(text, "Nobody was asked, and nothing was executed.") {
		t.Errorf("it must say what failed: %s", text)
	}
}

// TestPlanFailsLater ends a request whose plan fails when it is made again: it does not say that nobody was asked.
func TestPlanFailsLater(t *testing.T) {
	plans(t, "planned-worse", "RequireApproval", "validFor: 4s")
	answer("planned-worse", "first")
	r, approval := openStage(t, "planned-worse", "{}")
	host.answers("/planned-worse/plan", `{"ok":false}`)
	text := strings.Join(reaches(t, r, v1alpha1.PhaseFailed).Status.Summary, "\n")
	if !strings.Contains(text, "Nothing was executed.") || strings.Contains(text, "Nobody was asked") {
		t.Errorf("people were asked, and nothing was executed: %s", text)
	}
	closes(t, approval, v1alpha1.ApprovalSuperseded)
}

// TestPlanCancelled ends a request while its plan step waits.
func TestPlanCancelled(t *testing.T) {
	plans(t, "planned-slowly", "RequireApproval", "")
	host.answers("/planned-slowly/plan", `{"ok":true,"done":false,"changes":0,"text":""}`)
	r := ask(t, users.Alice, request("planned-slowly", "{}"))
	eventually(t, "the plan step", func() (bool, string) {
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), r)
		return err == nil && r.Status.WaitingFor == "plan step look", fmt.Sprintf("%v: %s %q", err, r.Status.Phase, r.Status.WaitingFor)
	})
	if err := patch(t, users.Alice, r, `{"spec":{"cancellation":{"reason":"too slow"}}}`); err != nil {
		t.Fatal(err)
	}
	reaches(t, r, v1alpha1.PhaseCancelled)
	record := &v1alpha1.Record{}
	if err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: "signoff-system", Name: string(r.UID) + "-plan"}, record); err != nil || record.Status.Outcome != v1alpha1.OutcomeCancelled {
		t.Errorf("the run must have ended too: %q, %v", record.Status.Outcome, err)
	}
}

// TestPlanCancelledDuringJob ends a request while the Job of its plan step runs: it names that Job, which nobody stops.
func TestPlanCancelledDuringJob(t *testing.T) {
	const action = "planned-by-a-job"
	apply(t, strings.ReplaceAll(`{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {namespace: staging, name: NAME}, rules: [{apiGroups: [batch], resources: [jobs], verbs: [get, watch, list, create]}, {apiGroups: [""], resources: [pods], verbs: [get, list]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: staging, name: NAME}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: NAME}, subjects: [{kind: ServiceAccount, namespace: platform, name: planner}]}
---
{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: NAME}, spec: {title: Plan by a Job, default: {effect: RequireApproval}, execution: {serviceAccountName: deployer,
		plan: {serviceAccountName: planner, steps: [{name: look, `+runs+`}]}, steps: [{name: write, `+applies+`}]}}}`, "NAME", action))
	r := ask(t, users.Alice, request(action, "{}"))
	eventually(t, "the Job of the plan", func() (bool, string) {
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), r)
		return err == nil && r.Status.Planning != nil && strings.Contains(fmt.Sprintf("%+v", r.Status.Planning.Steps), "waiting for Job"), fmt.Sprintf("%v: %+v", err, r.Status)
	})
	if err := patch(t, users.Alice, r, `{"spec":{"cancellation":{"reason":"too slow"}}}`); err != nil {
		t.Fatal(err)
	}
	done := reaches(t, r, v1alpha1.PhaseCancelled)
	job := lastJob(t, r, "look")
	if text, want := fmt.Sprint(done.Status.Conditions), fmt.Sprintf("Nothing was executed. Job staging/%s of plan step look still runs, and what it gives is not used: kubectl delete -n staging job/%s", job.Name, job.Name); !strings.Contains(text, want) {
		t.Errorf("it does not say %q: %s", want, text)
	}
}

// TestPlanRefusals refuses what would write before anybody has agreed.
func TestPlanRefusals(t *testing.T) {
	for name, tc := range map[string]struct{ plan, want string }{
		"Writes":      {`{serviceAccountName: planner, steps: [{name: look, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: staging, name: x}}]}}]}`, "spec.execution.plan.steps[0]"},
		"SameAccount": {`{serviceAccountName: deployer, steps: [{name: look, job: {namespace: staging, template: {spec: {containers: [{name: c, image: i}]}}}}]}`, "spec.execution.plan.serviceAccountName"},
		"SameName":    {`{serviceAccountName: planner, steps: [{name: note, job: {namespace: staging, template: {spec: {containers: [{name: c, image: i}]}}}}]}`, "spec.execution.steps[0].name: Duplicate value"},
		"NoStep":      {`{serviceAccountName: planner, steps: []}`, "spec.execution.plan.steps"},
		"Zero":        {`{serviceAccountName: planner, validFor: 0s, steps: [{name: look, job: {namespace: staging, template: {spec: {containers: [{name: c, image: i}]}}}}]}`, "spec.execution.plan.validFor"},
	} {
		t.Run(name, func(t *testing.T) {
			action := object(t, `
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: refused}
spec:
  title: t
  default: {effect: Allow}
  execution:
    serviceAccountName: deployer
    plan: `+tc.plan+`
    steps: [{name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: staging, name: x}}]}}]
`)
			err := admin(t).Create(t.Context(), action)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("want a refusal at %s, got %v", tc.want, err)
			}
		})
	}
}
