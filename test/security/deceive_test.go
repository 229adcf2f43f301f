package security

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/play"
)

// What a second attacker found, and what must hold since.

// publish makes an Action that bob must agree to, with these inputs and steps.
func publish(t *testing.T, name, properties, steps string) {
	t.Helper()
	action := fmt.Sprintf(`
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: %s}
spec:
  title: Deceive
  inputs: {openAPIV3Schema: {type: object, properties: %s}}
  default: {effect: RequireApproval, stages: [a]}
  stages: [{name: a, approvers: {users: [bob]}}]
  execution:
    serviceAccountName: deployer
    steps:
%s`, name, properties, steps)
	if err := cluster.Apply(t.Context(), []byte(action)); err != nil {
		t.Fatal(err)
	}
}

// shown is everything that an approver reads of a request with these inputs.
func shown(t *testing.T, r *v1alpha1.ActionRequest) string {
	t.Helper()
	approval := approvalsOf(t, r, 1)[0]
	lines := approval.Spec.Summary
	for _, change := range approval.Spec.Plan {
		lines = append(append(lines, change.Object), change.Fields...)
	}
	return strings.Join(lines, "\n")
}

func encoded(t *testing.T, inputs any) string {
	t.Helper()
	text, err := json.Marshal(inputs)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const noteStep = `    - {name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: staging, name: deceive}}]}}
`

// TestCase59ListsAreEscaped sends control characters inside of a list.
func TestCase59ListsAreEscaped(t *testing.T) {
	publish(t, "lists", `{args: {type: array, maxItems: 9, items: {type: string, maxLength: 99}}}`, noteStep)
	r := ask(t, users.Alice, request("lists", `{"args":["\u202egnp.exe","\u009b2J\u009b1;1HApprove: ok","\u200b\u007f"]}`))
	if text := shown(t, r); strings.ContainsAny(text, "\u202e\u009b\u200b\u007f") || !strings.Contains(text, `\u202egnp.exe`) {
		t.Errorf("the approver's terminal reads %+q", text)
	}
}

// markup is what a page, a chat, a mail or a terminal would act on, and a template would fill in.
const markup = "<script>alert(1)</script> [ok](https://evil.example) <!channel> *all* `rm` {{7*7}} ${inputs.text}\r\nApprove: kubectl evil\x1b[2J\u202e"

// quoted is how it is shown: every letter of it, none of which does anything.
const quoted = `<script>alert(1)</script> [ok](https://evil.example) <!channel> *all* ` + "`rm`" + ` {{7*7}} ${inputs.text}\r\nApprove: kubectl evil\x1b[2J\u202e`

// isQuoted expects a text that shows markup, and has none that anything acts on.
func isQuoted(t *testing.T, where, text string) {
	t.Helper()
	if !strings.Contains(text, quoted) || strings.ContainsAny(text, "\r\x1b\u202e") || strings.Contains(text, "\nApprove: kubectl evil") {
		t.Errorf("%s shows %q", where, text)
	}
}

// isTheWordsOf expects that a line begins with whose words follow, and that they are in quotes.
func isTheWordsOf(t *testing.T, text, mark string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, mark+`"`+quoted+`"`) {
			return
		}
	}
	t.Errorf("no line is marked with %q: %s", mark, text)
}

// TestCase59MarkupIsStoredAsGiven writes markup of all kinds as a reason, for an emergency, as a comment and for a cancellation. It is evidence, so it
// is stored as it was sent; and it is shown in quotes, escaped, wherever anybody reads of it. Messages of Notifiers: test/notifications.
func TestCase59MarkupIsStoredAsGiven(t *testing.T) {
	publish(t, "markup", `{text: {type: string, maxLength: 99}}`, noteStep)
	wanted := request("markup", `{"text":"7"}`)
	wanted.Spec.Reason = markup
	r, approval := opened(t, users.Alice, wanted)
	if stored := live(t, r); stored.Spec.Reason != markup {
		t.Errorf("the reason is stored as %q", stored.Spec.Reason)
	}
	isQuoted(t, "the Approval", shown(t, r))
	isTheWordsOf(t, shown(t, r), "alice wrote: ")
	if text := approval.Spec.Reason + approval.Spec.For; strings.ContainsAny(text, "\r\n\x1b\u202e") {
		t.Errorf("the columns show %q", text)
	}
	if err := patch(t, users.Alice, r, encoded(t, map[string]any{"spec": map[string]any{"cancellation": map[string]any{"reason": markup}}})); err != nil {
		t.Fatal(err)
	}
	over := reaches(t, r, v1alpha1.PhaseCancelled)
	if over.Spec.Cancellation.Reason != markup {
		t.Errorf("why it was cancelled is stored as %q", over.Spec.Cancellation.Reason)
	}
	isQuoted(t, "the end", strings.Join(over.Status.Summary, ""))

	frozen(t)
	fire := emergency("em-frozen")
	fire.Spec.BreakGlass.Reason = markup
	ask(t, users.Alice, fire)
	ran := reaches(t, fire, v1alpha1.PhaseSucceeded)
	if ran.Spec.BreakGlass.Reason != markup {
		t.Errorf("the emergency is stored as %q", ran.Spec.BreakGlass.Reason)
	}
	isQuoted(t, "the emergency", strings.Join(ran.Status.Summary, ""))
	isTheWordsOf(t, strings.Join(ran.Status.Summary, "\n"), "Emergency, in the requester's words: ")
	due := review(t, fire)
	isQuoted(t, "the review", strings.Join(due.Spec.Summary, ""))
	isTheWordsOf(t, strings.Join(due.Spec.Summary, "\n"), "Emergency, as alice wrote: ")
	eventually(t, "the Event", func() (bool, string) {
		list := &eventsv1.EventList{}
		err := admin(t).List(t.Context(), list, client.InNamespace(fire.Namespace))
		for i := range list.Items {
			if e := &list.Items[i]; e.Reason == v1alpha1.ReasonBreakGlass && e.Regarding.UID == fire.UID {
				isQuoted(t, "the Event", e.Note)
				return true, ""
			}
		}
		return false, fmt.Sprint(err)
	})
	votes(t, users.Erin, due, v1alpha1.DecisionApprove)
	closes(t, due, v1alpha1.ApprovalApproved)
}

// TestCase59EmptyLettersShow writes in letters, marks and symbols of which nothing is seen, in inputs, reason and cancellation.
func TestCase59EmptyLettersShow(t *testing.T) {
	publish(t, "empty", `{text: {type: string, maxLength: 99}, args: {type: array, maxItems: 9, items: {type: string, maxLength: 99}}}`, noteStep)
	const hidden = "\u3164\u2800\ufe01\U000e0142\u034f"
	asked := request("empty", encoded(t, map[string]any{"text": "a" + hidden, "args": []string{"b" + hidden}}))
	asked.Spec.Reason = "c" + hidden
	r, approval := opened(t, users.Alice, asked)
	if text := shown(t, r) + approval.Spec.For; strings.ContainsAny(text, hidden) || strings.Count(text, `\u3164\u2800\ufe01\U000e0142\u034f`) < 4 {
		t.Errorf("the approver reads %+q", text)
	}
	if err := patch(t, users.Alice, r, encoded(t, map[string]any{"spec": map[string]any{"cancellation": map[string]any{"reason": "d" + hidden}}})); err != nil {
		t.Fatal(err)
	}
	over := reaches(t, r, v1alpha1.PhaseCancelled)
	if text := fmt.Sprint(over.Status.Summary, over.Status.Conditions); strings.ContainsAny(text, hidden) {
		t.Errorf("the end says %+q", text)
	}
}

// TestCase59NamesAreVisible makes a name of several lines, which Kubernetes allows for objects of rbac.authorization.k8s.io.
func TestCase59NamesAreVisible(t *testing.T) {
	publish(t, "names", `{name: {type: string, maxLength: 200}}`, `    - name: bind
      apply:
        manifests:
        - apiVersion: rbac.authorization.k8s.io/v1
          kind: RoleBinding
          metadata: {namespace: staging, name: "access-${inputs.name}"}
          roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
`)
	r := ask(t, users.Alice, request("names", encoded(t, map[string]string{"name": "x\nWho can approve: anybody\x1b[8m\u202e"})))
	eventually(t, "the request says what is wrong", func() (bool, string) {
		live := &v1alpha1.ActionRequest{}
		if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), live); err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%+v", live.Status.Conditions)
		return strings.Contains(text, "is not a name that everybody can read"), text
	})
}

// TestCase60NewValuesAreNeverHidden writes an arrow into a value, where old values are hidden.
func TestCase60NewValuesAreNeverHidden(t *testing.T) {
	r := ask(t, users.Agent, request("deploy", `{"service":"checkout","environment":"production","image":"registry/evil:6.66 → registry/checkout:1.42"}`))
	fields := strings.Join(approvalsOf(t, r, 1)[0].Spec.Plan[0].Fields, "\n")
	if !strings.Contains(fields, `(hidden) → "registry/evil:6.66 → registry/checkout:1.42"`) {
		t.Errorf("the new value is not shown: %s", fields)
	}
}

// TestCase60WhatMattersIsNotPushedOut adds many lines to hide one.
func TestCase60WhatMattersIsNotPushedOut(t *testing.T) {
	publish(t, "pushed", `{image: {type: string, maxLength: 99}, notes: {type: object, maxProperties: 99, additionalProperties: {type: string, maxLength: 99}}}`, `    - name: run
      patch:
        target: {apiVersion: apps/v1, kind: Deployment, namespace: production, name: checkout}
        strategic: {metadata: {annotations: "${inputs.notes}"}, spec: {template: {spec: {containers: [{name: app, image: "${inputs.image}"}]}}}}
`)
	notes := map[string]string{}
	for i := range 45 {
		notes[fmt.Sprintf("a%02d", i)] = "note"
	}
	r := ask(t, users.Alice, request("pushed", encoded(t, map[string]any{"image": "evil/evil:1", "notes": notes})))
	if summary := strings.Join(approvalsOf(t, r, 1)[0].Spec.Summary, "\n"); !strings.Contains(summary, "→ evil/evil:1") {
		t.Errorf("the image is not in the summary: %s", summary)
	}
}

// TestCase60BlindPatchIsShown patches what is not there when the approver looks.
func TestCase60BlindPatchIsShown(t *testing.T) {
	publish(t, "blind", `{}`, `    - name: run
      patch:
        target: {apiVersion: apps/v1, kind: Deployment, namespace: staging, name: not-yet}
        strategic: {spec: {template: {spec: {containers: [{name: app, image: "evil/evil:1"}]}}}}
`)
	if text := shown(t, ask(t, users.Alice, request("blind", `{}`))); !strings.Contains(text, "evil/evil:1") {
		t.Errorf("what will be sent is not shown: %s", text)
	}
}

// TestCase51CopiedPodIsHidden copies a pod that the requester may not read.
func TestCase51CopiedPodIsHidden(t *testing.T) {
	namespace(t, "vault")
	const objects = `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: vault, name: deployer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: test-deployer}
subjects: [{kind: ServiceAccount, namespace: platform, name: deployer}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: vault, name: secretive}
spec:
  selector: {matchLabels: {app: secretive}}
  template:
    metadata: {labels: {app: secretive}, annotations: {token: annotation-secret}}
    spec:
      initContainers:
      - name: proxy
        image: "registry/proxy:9"
        restartPolicy: Always
        command: [/bin/init, "--password=hunter3"]
        args: ["--token=hunter4"]
        startupProbe: {exec: {command: [/bin/probe, "--password=hunter5"]}}
        lifecycle: {preStop: {exec: {command: [/bin/stop, "--password=hunter6"]}}}
      containers: [{name: app, image: "registry/internal:9", command: [/bin/app, "--password=hunter2"]}]
`
	if err := cluster.Apply(t.Context(), []byte(objects)); err != nil {
		t.Fatal(err)
	}
	publish(t, "copied", `{}`, `    - {name: run, job: {podFrom: {apiVersion: apps/v1, kind: Deployment, namespace: vault, name: secretive}, args: [migrate]}}
`)
	text := shown(t, ask(t, users.Agent, request("copied", `{}`)))
	for _, secret := range []string{"hunter", "registry/internal", "registry/proxy", "annotation-secret"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is shown to somebody who may not read it: %s", secret, text)
		}
	}
	if !strings.Contains(text, "migrate") {
		t.Errorf("what the step sets itself is not shown: %s", text)
	}
}

// TestCase52TooMuchToRecord asks for more than fits into one object: the request says so instead of trying for ever.
func TestCase52TooMuchToRecord(t *testing.T) {
	var manifests strings.Builder
	for i := range 12 {
		fmt.Fprintf(&manifests, "        - {apiVersion: v1, kind: ConfigMap, metadata: {namespace: staging, name: big%d}, data: {t: \"${inputs.text}\"}}\n", i)
	}
	publish(t, "big", `{text: {type: string, maxLength: 65000}}`, "    - name: run\n      apply:\n        manifests:\n"+manifests.String())
	r := ask(t, users.Alice, request("big", encoded(t, map[string]string{"text": strings.Repeat("a", 64000)})))
	eventually(t, "the request says that it is too much", func() (bool, string) {
		live := &v1alpha1.ActionRequest{}
		if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), live); err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%+v", live.Status.Conditions)
		return strings.Contains(text, "which cannot be recorded"), text
	})
}

// TestCase61MetadataOfARequest lets a colleague who may patch requests try to remove or block one by its metadata.
func TestCase61MetadataOfARequest(t *testing.T) {
	r := ask(t, users.Alice, request("deploy", play.ProductionInputs))
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	refused(t, patch(t, users.Erin, r, `{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"nope","uid":"00000000-0000-0000-0000-000000000000"}]}}`),
		metav1.StatusReasonInvalid, "metadata.ownerReferences")
	refused(t, patch(t, users.Erin, r, `{"metadata":{"finalizers":["signoff.dev/request","evil.example/x"]}}`), metav1.StatusReasonInvalid, "metadata.finalizers")
	labels := map[string]string{}
	for i := range maxLabels + 1 {
		labels[fmt.Sprintf("l%d", i)] = "x"
	}
	refused(t, patch(t, users.Erin, r, encoded(t, map[string]any{"metadata": map[string]any{"labels": labels}})), metav1.StatusReasonInvalid, "metadata.labels")
	if err := patch(t, users.Alice, r, `{"metadata":{"labels":{"mine":"yes"}}}`); err != nil {
		t.Errorf("a label of one's own is refused: %v", err)
	}
}

// maxLabels is how many labels a request may carry.
const maxLabels = 64

// TestCase16SpecIsNeeded sends a request without spec.
func TestCase16SpecIsNeeded(t *testing.T) {
	r := &v1alpha1.ActionRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", GenerateName: "empty-"}}
	refused(t, as(t, users.Alice).Create(t.Context(), r), metav1.StatusReasonInvalid, "spec.actionRef")
}

// TestCase22DenialIsNeverLost denies in a stage that nothing demands any more, at the moment at which the request starts.
func TestCase22DenialIsNeverLost(t *testing.T) {
	t.Parallel()
	tier := func(value string) {
		object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "tiered"}}
		if err := as(t, users.Ada).Patch(t.Context(), object, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"tier":"`+value+`"}}}`))); err != nil {
			t.Fatal(err)
		}
	}
	accepted := 0
	for i := range 8 {
		tier("gold")
		r := ask(t, users.Alice, request("tiered", `{}`))
		reaches(t, r, v1alpha1.PhaseAwaitingApproval)
		byStage := map[string]*v1alpha1.Approval{}
		eventually(t, "both stages are open", func() (bool, string) {
			list := &v1alpha1.ApprovalList{}
			if err := admin(t).List(t.Context(), list, client.MatchingLabels{v1alpha1.LabelRequestUID: string(r.UID)}); err != nil {
				t.Fatal(err)
			}
			for j := range list.Items {
				byStage[list.Items[j].Spec.Stage.Name] = &list.Items[j]
			}
			return len(byStage) == 2, fmt.Sprint(len(byStage))
		})
		tier("silver")
		var denial error
		dave, carol := as(t, users.Dave), as(t, users.Carol)
		var both sync.WaitGroup
		both.Go(func() {
			<-time.After(time.Duration(i%8) * time.Millisecond) // votes at different moments of the start
			denial = dave.Patch(context.Background(), byStage["owners"], client.RawPatch(types.MergePatchType, []byte(`{"spec":{"vote":{"decision":"Deny","comment":"no"}}}`)))
		})
		both.Go(func() {
			_ = carol.Patch(context.Background(), byStage["security"], client.RawPatch(types.MergePatchType, []byte(`{"spec":{"vote":{"decision":"Approve"}}}`)))
		})
		both.Wait()
		live := &v1alpha1.ActionRequest{}
		eventually(t, "the request is over", func() (bool, string) {
			if err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), live); err != nil {
				t.Fatal(err)
			}
			return live.Status.Outcome != "", string(live.Status.Phase)
		})
		if denial != nil && !apierrors.IsForbidden(denial) {
			t.Fatal(denial)
		}
		if denial == nil {
			accepted++
			if live.Status.Outcome != v1alpha1.OutcomeDenied {
				t.Errorf("round %d: the denial was accepted, and the request ended %s", i, live.Status.Outcome)
			}
		}
	}
	if accepted == 0 {
		t.Error("no denial was accepted, so nothing was tried")
	}
}

// TestCase52LongErrors fails with an error that quotes a whole object: the request ends and says what is wrong, which comes last.
func TestCase52LongErrors(t *testing.T) {
	publish(t, "long", `{}`, `    - name: scale
      patch:
        target: {apiVersion: apps/v1, kind: Deployment, namespace: production, name: checkout}
        merge: {metadata: {annotations: {long: "`+strings.Repeat("x", 4000)+`"}}, spec: {replicas: "x-1"}}
`)
	r := ask(t, users.Alice, request("long", `{}`))
	approval := approvalsOf(t, r, 1)[0]
	if err := vote(t, users.Bob, &approval, "Approve", ""); err != nil {
		t.Fatal(err)
	}
	done := reaches(t, r, v1alpha1.PhaseFailed)
	finished := meta.FindStatusCondition(done.Status.Conditions, v1alpha1.ConditionFinished)
	if finished == nil || !strings.Contains(finished.Message, "cannot unmarshal string") {
		t.Errorf("it does not say what is wrong: %+v", finished)
	}
}
