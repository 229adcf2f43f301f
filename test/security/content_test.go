package security

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
)

// TestCase10SpecChangedAfterTheFirstVote changes what was agreed to, by every kind of write.
func TestCase10SpecChangedAfterTheFirstVote(t *testing.T) {
	ctx := t.Context()
	r, approval := opened(t, users.Alice, request("two-stages", `{}`))
	votes(t, users.Bob, approval, v1alpha1.DecisionApprove)
	apply := fmt.Sprintf(`{"apiVersion":"signoff.dev/v1alpha1","kind":"ActionRequest","metadata":{"namespace":"payments","name":%q},"spec":{"reason":"something else"}}`, r.Name)
	alice := as(t, users.Alice)
	merge := func(body string) func() error { return func() error { return patch(t, users.Alice, live(t, r), body) } }
	for name, write := range map[string]func() error{
		"MergePatch": merge(`{"spec":{"reason":"something else"}}`),
		"Added":      merge(`{"spec":{"expiresAt":"2099-01-01T00:00:00Z"}}`),
		"Removed":    merge(`{"spec":{"reason":null}}`),
		"Seal":       merge(`{"spec":{"seal":null,"reason":"something else"}}`),
		"JSONPatch": func() error {
			return alice.Patch(ctx, live(t, r), client.RawPatch(types.JSONPatchType, []byte(`[{"op":"replace","path":"/spec/reason","value":"something else"}]`)))
		},
		"Apply": func() error {
			return alice.Patch(ctx, live(t, r), client.RawPatch(types.ApplyPatchType, []byte(apply)), client.FieldOwner("other"), client.ForceOwnership)
		},
		"Replace": func() error {
			return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
				changed := live(t, r)
				changed.Spec.Reason = "something else"
				return as(t, users.Ada).Update(ctx, changed)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, write(), metav1.StatusReasonInvalid, "spec", "make a new request")
		})
	}
	if now := live(t, r); now.Spec.Reason != "a test" || now.Spec.ExpiresAt != nil {
		t.Errorf("it was changed: %+v", now.Spec)
	}
	if now := live(t, approval); len(now.Spec.Votes) != 1 || now.Status.State != v1alpha1.ApprovalOpen {
		t.Errorf("bob's vote must stand: %+v", now)
	}
}

// TestCase11ActionEditedBeforeTheStart edits what will run after everybody agreed to it, and before it started.
func TestCase11ActionEditedBeforeTheStart(t *testing.T) {
	before := len(told(t, audit.TypeActionEdited, "actions/platform/swapped"))
	apply(t, strings.ReplaceAll(swapped, "DATA", "agreed"))
	r, first, release := agreed(t, request("swapped", `{}`), users.Bob)
	apply(t, strings.ReplaceAll(swapped, "DATA", "other"))
	second := approvalsOf(t, r, 2)
	release()
	waiting := neverStarts(t, r, v1alpha1.PhaseAwaitingApproval)
	if now := live(t, first); now.Status.State != v1alpha1.ApprovalSuperseded || len(now.Spec.Votes) != 1 {
		t.Errorf("the vote was about something else: %+v", now.Status)
	}
	if waiting.Status.Digest == first.Spec.Digest {
		t.Error("another content has another digest")
	}
	for i := range second {
		if second[i].Name != first.Name {
			refused(t, patch(t, users.Bob, &second[i], `{"spec":{"vote":{"decision":"Approve","digest":"`+strings.TrimPrefix(first.Spec.Digest, "sha256:")[:8]+`"}}}`),
				metav1.StatusReasonForbidden, "this is not what you looked at")
			votes(t, users.Bob, &second[i], v1alpha1.DecisionApprove)
		}
	}
	reaches(t, r, v1alpha1.PhaseSucceeded)
	noted(t, r, "other")
	eventually(t, "the audit log says that the Action was made, and that it was changed", func() (bool, string) {
		made := told(t, audit.TypeActionEdited, "actions/platform/swapped")[before:]
		return len(made) == 2, fmt.Sprintf("%d lines", len(made))
	})
}

// told are the lines of the audit log of a type about something, each proved by its seal.
func told(t *testing.T, of, subject string) []*audit.Fact {
	t.Helper()
	raw, err := os.ReadFile(evidence)
	if err != nil {
		t.Fatal(err)
	}
	var all []*audit.Fact
	if err := audit.Read(bytes.NewReader(raw[:bytes.LastIndexByte(raw, '\n')+1]), func(f *audit.Fact) error {
		if f.Type == of && f.Subject == subject {
			all = append(all, f)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

const swapped = `{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: swapped}, spec: {title: a, default: {effect: RequireApproval, stages: [a]},
	stages: [{name: a, approvers: {users: [bob]}}], execution: {serviceAccountName: deployer, steps: [{name: note, apply: {conflicts: Take, manifests: [
	{apiVersion: v1, kind: ConfigMap, metadata: {namespace: staging, name: "${request.uid}"}, data: {text: DATA}}]}}]}}}`

// noted looks at what a request wrote down.
func noted(t *testing.T, r *v1alpha1.ActionRequest, want string) {
	t.Helper()
	note := &corev1.ConfigMap{}
	if err := admin(t).Get(t.Context(), types.NamespacedName{Namespace: "staging", Name: string(r.UID)}, note); err != nil || note.Data["text"] != want {
		t.Errorf("want %q, got %q, %v", want, note.Data["text"], err)
	}
}

// TestCase12RoleOrPolicyTightenedBeforeTheStart takes away, one after the other, what let a request go ahead.
func TestCase12RoleOrPolicyTightenedBeforeTheStart(t *testing.T) {
	role := func(name, verb, who string) {
		apply(t, `{apiVersion: signoff.dev/v1alpha1, kind: Role, metadata: {namespace: platform, name: `+name+`}, spec: {members: {users: [`+who+`]}, permissions: [{verbs: [`+verb+`], actions: {names: ["*"]}}]}}`)
	}
	gone := func(name string) {
		if err := as(t, users.Frank).Delete(t.Context(), &v1alpha1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: env.CatalogNamespace, Name: name}}); err != nil {
			t.Fatal(err)
		}
	}
	zoe, yves := login(t, "zoe", "zoes"), login(t, "yves", "zoes")
	for _, right := range []string{env.RoleRequester, env.RoleApprover} {
		if err := cluster.Grant(t.Context(), right, env.WorkNamespace, env.ToGroup("zoes")); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		tighten func(t *testing.T)
		phase   v1alpha1.Phase
		says    string
	}{
		"RoleOfTheApprover":  {func(*testing.T) { gone("yves") }, v1alpha1.PhaseAwaitingApproval, ""},
		"RoleOfTheRequester": {func(*testing.T) { gone("zoe") }, v1alpha1.PhaseHeld, "may not request"},
		"Policy": {func(t *testing.T) {
			policy(t, "tightened", `{match: {actions: {names: [tightened]}}, rules: [{name: closed, effect: Deny, message: closed now}]}`)
		}, v1alpha1.PhaseHeld, "closed now"},
		"Action": {func(t *testing.T) {
			apply(t, strings.NewReplacer("effect: RequireApproval, stages: [a]", "effect: Deny", "stages: [],", "").Replace(staged("tightened", "")))
		}, v1alpha1.PhaseHeld, "default"},
	} {
		t.Run(name, func(t *testing.T) {
			apply(t, staged("tightened", `{name: a, approvers: {users: [bob, yves]}}`))
			role("zoe", "request", "zoe")
			role("yves", "approve", "yves")
			r, approval, release := agreedBy(t, zoe, request("tightened", `{}`), yves)
			tc.tighten(t)
			eventually(t, "the new answer", func() (bool, string) {
				now := live(t, r)
				text := now.Status.WaitingFor + fmt.Sprint(now.Status.Conditions)
				return tc.says != "" && strings.Contains(text, tc.says) || tc.says == "" && live(t, approval).Status.State == v1alpha1.ApprovalSuperseded, text
			})
			release()
			neverStarts(t, r, tc.phase)
			if err := patch(t, zoe, r, `{"spec":{"cancellation":{"reason":"enough"}}}`); err != nil {
				t.Fatal(err)
			}
			reaches(t, r, v1alpha1.PhaseCancelled)
		})
	}
}

// TestCase13MadeAgainUnderTheSameName deletes a request that has a vote, and makes one of the same name.
func TestCase13MadeAgainUnderTheSameName(t *testing.T) {
	name := fmt.Sprintf("again-%d", time.Now().UnixNano())
	again := func() *v1alpha1.ActionRequest {
		r := request("two-stages", `{}`)
		r.GenerateName, r.Name = "", name
		return r
	}
	first, approval := opened(t, users.Alice, again())
	votes(t, users.Bob, approval, v1alpha1.DecisionApprove)
	if err := as(t, users.Ada).Delete(t.Context(), first.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is gone", func() (bool, string) {
		err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(first), &v1alpha1.ActionRequest{})
		return apierrors.IsNotFound(err), fmt.Sprint(err)
	})
	second, fresh := opened(t, users.Alice, again())
	if second.UID == first.UID || fresh.Spec.RequestRef.UID != second.UID || len(fresh.Spec.Votes) != 0 {
		t.Errorf("it starts with the votes of another: %+v %+v", fresh.Spec, fresh.Status)
	}
	approvalsOf(t, first, 0)
}

// TestCase14VoteBeforeTheRequest makes an Approval of a request that does not exist yet.
func TestCase14VoteBeforeTheRequest(t *testing.T) {
	r, approval := open(t)
	early := newApproval(r, approval)
	early.Name, early.Spec.RequestRef.Name, early.Spec.RequestRef.UID = "early", "tomorrow", "00000000-0000-0000-0000-000000000000"
	early.Spec.Votes = []v1alpha1.Vote{unsealedVote(approval, "bob")}
	refused(t, as(t, users.Bob).Create(t.Context(), early.DeepCopy()), metav1.StatusReasonForbidden, "cannot create resource")
	refused(t, as(t, nora(t)).Create(t.Context(), early.DeepCopy()), metav1.StatusReasonForbidden, "an Approval is written by Signoff only")
	absent := &v1alpha1.Approval{ObjectMeta: metav1.ObjectMeta{Namespace: env.WorkNamespace, Name: "early"}}
	if err := vote(t, users.Bob, absent, v1alpha1.DecisionApprove, ""); !apierrors.IsNotFound(err) {
		t.Errorf("a vote on nothing: %v", err)
	}
}

// TestCase15InputsAreNeverEvaluated sends what a template, CEL, a shell or YAML would read, and expects to find it word by word.
func TestCase15InputsAreNeverEvaluated(t *testing.T) {
	for name, text := range map[string]string{
		"Template": "${request.uid} ${inputs.text}", "Escaped": "$${request.uid}", "Go": "{{ .Values.secret }}{{template \"x\"}}", "CEL": `"a" + requester.username`,
		"Shell": "$(rm -rf /) `id` $HOME $(HOME)", "YAML": "&a [*a, *a]\n<<: *a\n--- !!binary x", "JSON": `","evil":"yes`, "Open": "${",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := ask(t, users.Alice, request("note", encoded(t, map[string]string{"text": text})))
			reaches(t, r, v1alpha1.PhaseSucceeded)
			noted(t, r, text)
		})
	}
}

// posted sends a request as text, as no client library would write it.
func posted(t *testing.T, inputs, validation string) (*v1alpha1.ActionRequest, error) {
	t.Helper()
	config := rest.CopyConfig(users.Alice.Config)
	transport, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	body := `{"apiVersion":"signoff.dev/v1alpha1","kind":"ActionRequest","metadata":{"generateName":"note-"},"spec":{"actionRef":{"namespace":"platform","name":"note"},"inputs":` + inputs + `}}`
	url := strings.TrimSuffix(config.Host, "/") + "/apis/signoff.dev/v1alpha1/namespaces/payments/actionrequests?fieldValidation=" + validation
	return send(t, transport, url, body)
}

// TestCase16InputsOutsideTheSchema sends inputs that the Action does not describe, and JSON that two readers could read in two ways.
func TestCase16InputsOutsideTheSchema(t *testing.T) {
	for name, tc := range map[string]struct{ inputs, words string }{
		"UnknownField": {`{"text":"a","evil":"b"}`, "spec.inputs.evil"},
		"WrongType":    {`{"text":{"a":"b"}}`, "spec.inputs.text"},
		"OtherCase":    {`{"Text":"a"}`, "spec.inputs.text"},
		"Missing":      {`{}`, "spec.inputs.text"},
		"Huge":         {`{"text":"a","count":123456789012345678901234567890}`, "beyond ±(2^53-1)"},
		"TooLarge":     {`{"text":"a","count":1000001}`, "spec.inputs.count"},
		"Exponent":     {`{"text":"a","share":1e999}`, "cannot unmarshal number 1e999"},
		"NotANumber":   {`{"text":"a","share":NaN}`, "invalid character 'N'"},
		"Deep":         {`{"text":"a","deep":{"a":` + strings.Repeat(`{"a":`, 20000) + `1` + strings.Repeat(`}`, 20000) + `}}`, "exceeded max depth"},
		"Wide":         {`{"text":"a","deep":{"1":"","2":"","3":"","4":"","5":"","6":"","7":"","8":"","9":""}}`, "spec.inputs.deep"},
		"Null":         {`null`, "spec.inputs"},
		"List":         {`[]`, "must be an object with a value for each input"},
		"TooLong":      {`{"text":"` + strings.Repeat("a", 4097) + `"}`, "spec.inputs.text"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := posted(t, tc.inputs, "Ignore")
			if err == nil || !strings.Contains(err.Error(), tc.words) {
				t.Errorf("want a refusal with %q, got %v", tc.words, err)
			}
		})
	}
	t.Run("DuplicateKey", func(t *testing.T) {
		const twice = `{"text":"harmless","text":"evil"}`
		if _, err := posted(t, twice, "Strict"); err == nil || !strings.Contains(err.Error(), "duplicate field") {
			t.Errorf("the API server refuses it when it is asked to: %v", err)
		}
		// Otherwise it keeps one of both before anybody is asked: whoever reads the request reads what runs.
		r, err := posted(t, twice, "Ignore")
		if err != nil {
			t.Fatal(err)
		}
		reaches(t, r, v1alpha1.PhaseSucceeded)
		stored := map[string]string{}
		if err := json.Unmarshal(live(t, r).Spec.Inputs.Raw, &stored); err != nil || strings.Count(string(live(t, r).Spec.Inputs.Raw), "text") != 1 {
			t.Fatalf("%v: %s", err, live(t, r).Spec.Inputs.Raw)
		}
		noted(t, r, stored["text"])
	})
}

// TestCase17WhatTheActionDoesNotOffer tries to set what no input offers.
func TestCase17WhatTheActionDoesNotOffer(t *testing.T) {
	for name, inputs := range map[string]string{
		"Sibling":   `{"service":"checkout","environment":"staging","image":"a","spec":{"replicas":0}}`,
		"Directive": `{"service":"checkout","environment":"staging","image":{"$patch":"delete"}}`,
		"Path":      `{"service":"checkout/../other","environment":"staging","image":"a"}`,
		"Namespace": `{"service":"checkout","environment":"kube-system","image":"a"}`,
		"Newline":   `{"service":"checkout\nmore","environment":"staging","image":"a"}`,
		"SetOption": `{"service":"checkout","environment":"staging","image":"a","serviceAccountName":"root"}`,
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, as(t, users.Alice).Create(t.Context(), request("deploy", inputs)), metav1.StatusReasonInvalid, "spec.inputs")
		})
	}
	before := deployment(t, "staging")
	spec := `{apiVersion: signoff.dev/v1alpha1, kind: ActionRequest, metadata: {namespace: payments, generateName: own-}, spec: {actionRef: {namespace: platform, name: deploy}, inputs: ` + play.StagingInputs +
		`, execution: {serviceAccountName: root, steps: []}, serviceAccountName: root, stages: [], target: {namespace: production}}}`
	r := object(t, spec)
	if err := as(t, users.Alice).Create(t.Context(), r, client.FieldValidation("Strict")); err == nil || !strings.Contains(err.Error(), "unknown field") {
		t.Errorf("strict: %v", err)
	}
	if err := as(t, users.Alice).Create(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	asked := &v1alpha1.ActionRequest{ObjectMeta: metav1.ObjectMeta{Namespace: env.WorkNamespace, Name: r.GetName(), UID: r.GetUID()}}
	reaches(t, asked, v1alpha1.PhaseSucceeded)
	record := recordOf(t, asked)
	if record.Spec.ServiceAccountName != "deployer" || len(record.Spec.Steps) != 1 || record.Spec.Steps[0].Writes[0].Object.Namespace != "staging" {
		t.Errorf("the Action decides what runs: %+v", record.Spec)
	}
	after := deployment(t, "staging")
	if *after.Spec.Replicas != *before.Spec.Replicas || len(after.Spec.Template.Spec.Containers) != len(before.Spec.Template.Spec.Containers) {
		t.Errorf("more than the image was changed: %+v", after.Spec)
	}
}
