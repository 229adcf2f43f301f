package integration

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/test/env"
	"github.com/signoff-dev/signoff/test/play"
)

func TestRequestIsStamped(t *testing.T) {
	r := ask(t, users.Alice, request("deploy", play.ProductionInputs))
	if r.Spec.Requester == nil || r.Spec.Requester.Username != "alice" || r.Spec.Requester.Person != "alice" {
		t.Errorf("the request does not say who asked: %+v", r.Spec.Requester)
	}
	if len(r.Finalizers) != 1 || r.Finalizers[0] != v1alpha1.RequestFinalizer {
		t.Errorf("finalizers: %v", r.Finalizers)
	}
	if !strings.HasPrefix(r.Name, "deploy-") || len(r.Name) != len("deploy-")+8 {
		t.Errorf("the generated name is %q", r.Name)
	}
	if string(r.Spec.Inputs.Raw) != play.ProductionInputs && !strings.Contains(string(r.Spec.Inputs.Raw), "production") {
		t.Errorf("inputs must be stored as sent: %s", r.Spec.Inputs.Raw)
	}
	if strings.Contains(string(r.Spec.Inputs.Raw), "replicas") {
		t.Errorf("a default must not be stored: %s", r.Spec.Inputs.Raw)
	}
}

func TestRequestRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		who    env.Person
		change func(*v1alpha1.ActionRequest)
		status metav1.StatusReason
		words  []string
	}{
		"WrongValue": {
			reason: "A value outside the enum is named, with what would be accepted.", who: users.Alice, status: metav1.StatusReasonInvalid,
			change: func(r *v1alpha1.ActionRequest) {
				r.Spec.Inputs.Raw = []byte(`{"service":"checkout","environment":"prod","image":"x"}`)
			},
			words: []string{"spec.inputs.environment", `Unsupported value: "prod"`, `"staging", "production"`},
		},
		"Misspelt": {
			reason: "A field that the Action does not know is named, with the one that was meant.", who: users.Alice, status: metav1.StatusReasonInvalid,
			change: func(r *v1alpha1.ActionRequest) {
				r.Spec.Inputs.Raw = []byte(`{"service":"checkout","environment":"production","imge":"x"}`)
			},
			words: []string{"spec.inputs.imge", `did you mean "image"?`, "a working example: kubectl get action -n platform deploy"},
		},
		"Forged": {
			reason: "Nobody asks in the name of somebody else.", who: users.Alice, status: metav1.StatusReasonInvalid,
			change: func(r *v1alpha1.ActionRequest) { r.Spec.Requester = &v1alpha1.Identity{Username: "bob"} },
			words:  []string{"spec.requester", "from your login (alice): leave it out"},
		},
		"NoAction": {
			reason: "An Action that does not exist is answered with those that do.", who: users.Alice, status: metav1.StatusReasonInvalid,
			change: func(r *v1alpha1.ActionRequest) { r.Spec.ActionRef.Name = "deplyo" },
			words:  []string{"spec.actionRef", "namespace platform has: ", "deploy"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := request("deploy", play.ProductionInputs)
			tc.change(r)
			refused(t, as(t, tc.who).Create(t.Context(), r), tc.status, tc.words...)
		})
	}
}

func TestDryRunAnswersTheWholeVerdict(t *testing.T) {
	r := request("deploy", play.ProductionInputs)
	if err := as(t, users.Alice).Create(t.Context(), r, client.DryRunAll); err != nil {
		t.Fatal(err)
	}
	verdict := r.Annotations[v1alpha1.AnnotationVerdict]
	for _, words := range []string{`"allowed":true`, `"effect":"RequireApproval"`, `"stage":"action/owners"`, `"replicas":1`} {
		if !strings.Contains(verdict, words) {
			t.Errorf("the verdict does not say %s: %s", words, verdict)
		}
	}
	stored := request("deploy", play.ProductionInputs)
	stored.Annotations = map[string]string{v1alpha1.AnnotationVerdict: `{"allowed":true}`, "mine": "kept"}
	ask(t, users.Alice, stored)
	if diff := cmp.Diff(map[string]string{"mine": "kept"}, stored.Annotations); diff != "" {
		t.Errorf("a verdict that a client wrote must not be stored: -want, +got:\n%s", diff)
	}
}

func TestReapplyPasses(t *testing.T) {
	ctx := t.Context()
	manifest := func() *v1alpha1.ActionRequest {
		r := request("deploy", play.ProductionInputs)
		r.GenerateName, r.Name = "", "reapplied"
		return r
	}
	first := ask(t, users.Alice, manifest())
	again := manifest()
	again.ResourceVersion = first.ResourceVersion
	again.Labels = map[string]string{"gitops": "yes"}
	reaches(t, first, v1alpha1.PhaseAwaitingApproval)
	if err := admin(t).Get(ctx, client.ObjectKeyFromObject(first), first); err != nil {
		t.Fatal(err)
	}
	again.ResourceVersion = first.ResourceVersion
	if err := as(t, users.Ada).Update(ctx, again); err != nil {
		t.Fatalf("an update with an unchanged spec, by somebody who may not request, must pass: %v", err)
	}
	if again.Spec.Requester == nil || again.Spec.Requester.Username != "alice" || len(again.Finalizers) != 1 {
		t.Errorf("the stamp and the finalizer must be restored: %+v %v", again.Spec.Requester, again.Finalizers)
	}
	refused(t, patch(t, users.Alice, first, `{"spec":{"inputs":{"image":"registry/evil:1"}}}`), metav1.StatusReasonInvalid, "spec", "make a new request")
	if err := patch(t, users.Ada, first, `{"metadata":{"finalizers":null}}`); err != nil {
		t.Fatal(err)
	}
	if err := admin(t).Get(ctx, client.ObjectKeyFromObject(first), first); err != nil || len(first.Finalizers) != 1 {
		t.Errorf("the finalizer must be put back: %v %v", err, first.Finalizers)
	}
}

// orphaned gives an Approval that stayed when its request went.
func orphaned(t *testing.T) *v1alpha1.Approval {
	t.Helper()
	r := ask(t, users.Alice, request("two-stages", `{}`))
	approval := approvalsOf(t, r, 1)[0]
	if err := as(t, users.Ada).Delete(t.Context(), r.DeepCopy(), client.PropagationPolicy(metav1.DeletePropagationOrphan)); err != nil {
		t.Fatal(err)
	}
	vanishes(t, r)
	return &approval
}

// TestApprovalGoesInForeground deletes Approvals whose request is gone, so that the deletion waits for others or spares them: the garbage collector takes off again what
// the API server puts on them for that. So may others, and nobody can put anything else there.
func TestApprovalGoesInForeground(t *testing.T) {
	for _, propagation := range []metav1.DeletionPropagation{metav1.DeletePropagationForeground, metav1.DeletePropagationOrphan} {
		approval := orphaned(t)
		if err := admin(t).Delete(t.Context(), approval, client.PropagationPolicy(propagation)); err != nil {
			t.Fatal(err)
		}
		vanishes(t, approval)
	}
	approval, operator := orphaned(t), rest.CopyConfig(cluster.Admin)
	operator.Impersonate = rest.ImpersonationConfig{UserName: identity.ServiceAccountUsername(env.SystemNamespace, signoff.Identities().ServiceAccount), Groups: []string{"system:masters"}}
	if err := patch(t, env.Person{Config: operator}, approval, `{"metadata":{"finalizers":["example.com/hold"]}}`); err != nil {
		t.Fatal(err)
	}
	if err := admin(t).Delete(t.Context(), approval.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	refused(t, patch(t, users.Ada, approval, `{"metadata":{"finalizers":["example.com/hold","example.com/more"]}}`), metav1.StatusReasonInvalid, "finalizers")
	if err := patch(t, users.Ada, approval, `{"metadata":{"finalizers":null}}`); err != nil {
		t.Fatal(err)
	}
	vanishes(t, approval)
}

// TestMistakesNameTheField: what is not of the form that its definition says is answered by the API server, which names the field that was written.
func TestMistakesNameTheField(t *testing.T) {
	for name, tc := range map[string]struct{ manifest, words string }{
		"Time":   {`{apiVersion: signoff.dev/v1alpha1, kind: ActionRequest, metadata: {namespace: payments, name: a}, spec: {actionRef: {namespace: platform, name: crowd}, expiresAt: "2026-12-01"}}`, "spec.expiresAt: Invalid value"},
		"Type":   {`{apiVersion: signoff.dev/v1alpha1, kind: ActionRequest, metadata: {namespace: payments, name: a}, spec: {actionRef: {namespace: platform, name: crowd}, reason: 7}}`, "spec.reason: Invalid value"},
		"NoName": {`{apiVersion: signoff.dev/v1alpha1, kind: ActionRequest, metadata: {namespace: payments}, spec: {actionRef: {namespace: platform, name: crowd}}}`, "name or generateName is required"},
		"Action": {`{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: a}, spec: {title: a, default: {effect: Deny, message: true}, execution: {serviceAccountName: deployer, steps: []}}}`, "spec.default.message: Invalid value"},
	} {
		t.Run(name, func(t *testing.T) {
			who := users.Alice
			if name == "Action" {
				who = users.Frank
			}
			object := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(tc.manifest), &object.Object); err != nil {
				t.Fatal(err)
			}
			if err := as(t, who).Create(t.Context(), object); err == nil || !strings.Contains(err.Error(), tc.words) {
				t.Errorf("want %q, got %v", tc.words, err)
			}
		})
	}
	approval := approvalsOf(t, ask(t, users.Alice, request("crowd", `{}`)), 1)[0]
	if err := vote(t, users.Bob, &approval, "approve", ""); err == nil || !strings.Contains(err.Error(), `spec.vote.decision: Unsupported value: "approve": supported values: "Approve", "Deny", "Withdraw"`) {
		t.Errorf("a vote that says nothing: %v", err)
	}
}

// TestEveryWayToVote votes by merge patch, JSON patch, replace and server-side apply, each as one person would.
func TestEveryWayToVote(t *testing.T) {
	ctx := t.Context()
	r := ask(t, users.Alice, request("two-stages", `{}`))
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	approval := approvalsOf(t, r, 1)[0]
	votes := func() int { return len(approvalsOf(t, r, 1)[0].Spec.Votes) }

	json := client.RawPatch(types.JSONPatchType, []byte(`[{"op":"add","path":"/spec/vote","value":{"decision":"Approve"}}]`))
	if err := as(t, users.Bob).Patch(ctx, approval.DeepCopy(), json); err != nil || votes() != 1 {
		t.Fatalf("JSON patch: %v, %d votes", err, votes())
	}
	if err := vote(t, users.Bob, &approval, "Approve", ""); err != nil || votes() != 1 {
		t.Fatalf("the same vote again must be no change: %v, %d votes", err, votes())
	}
	if err := vote(t, users.Bob, &approval, "Withdraw", ""); err != nil || votes() != 2 {
		t.Fatalf("merge patch: %v, %d votes", err, votes())
	}
	apply := []byte(fmt.Sprintf(`{"apiVersion":"signoff.dev/v1alpha1","kind":"Approval","metadata":{"name":%q,"namespace":"payments"},"spec":{"vote":{"decision":"Approve"}}}`, approval.Name))
	for manager, who := range map[string]env.Person{"kubectl": users.Bob, "other": users.Bob} {
		ssa := client.RawPatch(types.ApplyPatchType, apply)
		if err := as(t, who).Patch(ctx, approval.DeepCopy(), ssa, client.FieldOwner(manager)); err != nil {
			t.Fatalf("server-side apply by %s: %v", manager, err)
		}
	}
	if votes() != 3 {
		t.Fatalf("server-side apply by two managers must be one vote: %d", votes())
	}
	var live v1alpha1.Approval
	// The operator shows who voted meanwhile, and whoever replaces what they read before that has to read it again.
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		live = approvalsOf(t, r, 1)[0]
		live.Spec.Vote = &v1alpha1.VoteRequest{Decision: "Withdraw"}
		return as(t, users.Bob).Update(ctx, &live)
	})
	if err != nil || votes() != 4 {
		t.Fatalf("replace: %v, %d votes", err, votes())
	}
	if live.Spec.Vote != nil {
		t.Errorf("spec.vote must be empty when read: %+v", live.Spec.Vote)
	}
}

// TestNoVoteIsLost is the measurement of kubernetes-facts A5: 8 users, 48 patches at once, none lost.
func TestNoVoteIsLost(t *testing.T) {
	r := ask(t, users.Alice, request("crowd", `{}`))
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	approval := approvalsOf(t, r, 1)[0]
	var group sync.WaitGroup
	errs := make(chan error, 48)
	for i := range 8 {
		user, err := cluster.User(fmt.Sprintf("voter-%d", i), env.GroupEngineering)
		if err != nil {
			t.Fatal(err)
		}
		voter := as(t, env.Person{Name: fmt.Sprintf("voter-%d", i), Config: user})
		group.Go(func() {
			for n := range 6 {
				decision := v1alpha1.DecisionApprove
				if n%2 == 1 {
					decision = v1alpha1.DecisionWithdraw
				}
				body := []byte(fmt.Sprintf(`{"spec":{"vote":{"decision":%q}}}`, decision))
				// The API server tries a patch again while others write, for 34 s at most, which a busy machine may need. Then people vote again.
				errs <- retry.OnError(retry.DefaultRetry, apierrors.IsTimeout, func() error {
					return voter.Patch(t.Context(), approval.DeepCopy(), client.RawPatch(types.MergePatchType, body))
				})
			}
		})
	}
	group.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Errorf("a vote was refused: %v", err)
		}
	}
	perVoter := map[string]int{}
	for _, vote := range approvalsOf(t, r, 1)[0].Spec.Votes {
		perVoter[vote.Voter.Username]++
	}
	for i := range 8 {
		if name := fmt.Sprintf("voter-%d", i); perVoter[name] != 6 {
			t.Errorf("%s cast 6 votes, %d are there", name, perVoter[name])
		}
	}
}

// TestVotesOnOneVersion lets two people vote at the same instant on the Approval as both have seen it. Who names the version is told where it is another
// one by then, and nothing of theirs is stored; who does not is recorded after the other. Nothing that was accepted is lost, and nothing else is there.
func TestVotesOnOneVersion(t *testing.T) {
	for name, tc := range map[string]struct {
		reason     string
		bob, carol v1alpha1.Decision
	}{
		"WithdrawAndApprove": {"What one takes back is not what the other says.", v1alpha1.DecisionWithdraw, v1alpha1.DecisionApprove},
		"DenyAndApprove":     {"A denial that was accepted ends the request, whoever agrees at the same time.", v1alpha1.DecisionDeny, v1alpha1.DecisionApprove},
		"WithdrawAndDeny":    {"A denial is not lost because somebody takes a vote back.", v1alpha1.DecisionWithdraw, v1alpha1.DecisionDeny},
	} {
		for _, locked := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/locked=%t", name, locked), func(t *testing.T) {
				r := reaches(t, ask(t, users.Alice, request("crowd", `{}`)), v1alpha1.PhaseAwaitingApproval)
				if err := vote(t, users.Bob, &approvalsOf(t, r, 1)[0], v1alpha1.DecisionApprove, ""); err != nil {
					t.Fatal(err)
				}
				accepted := bothVote(t, r, map[*env.Person]v1alpha1.Decision{&users.Bob: tc.bob, &users.Carol: tc.carol}, locked)
				want := append([]string{"bob Approve"}, accepted...)
				var got []string
				for _, v := range approvalsOf(t, r, 1)[0].Spec.Votes {
					got = append(got, v.Voter.Username+" "+string(v.Decision))
				}
				slices.Sort(want)
				if diff := cmp.Diff(want, slices.Sorted(slices.Values(got))); diff != "" {
					t.Errorf("%s (-accepted +recorded):\n%s", tc.reason, diff)
				}
				phase := v1alpha1.PhaseAwaitingApproval
				if slices.ContainsFunc(accepted, func(v string) bool { return strings.HasSuffix(v, string(v1alpha1.DecisionDeny)) }) {
					phase = v1alpha1.PhaseDenied
				}
				reaches(t, r, phase)
				eventually(t, "all of them are counted", func() (bool, string) {
					now := &approvalsOf(t, r, 1)[0]
					return now.Status.Seal != nil && int(now.Status.Seal.Votes) == len(got), fmt.Sprintf("%+v", now.Status)
				})
			})
		}
	}
}

// bothVote lets people vote at the same instant, and gives what was accepted. Where they name the version that they have seen, one of them is; where the
// operator wrote in between, none is, and they look again.
func bothVote(t *testing.T, r *v1alpha1.ActionRequest, decisions map[*env.Person]v1alpha1.Decision, locked bool) []string {
	t.Helper()
	for range 10 {
		approval := approvalsOf(t, r, 1)[0]
		version := ""
		if locked {
			version = fmt.Sprintf(`"metadata":{"resourceVersion":%q},`, approval.ResourceVersion)
		}
		var mu sync.Mutex
		var group sync.WaitGroup
		var accepted []string
		for who, decision := range decisions {
			group.Go(func() {
				err := patch(t, *who, &approval, fmt.Sprintf(`{%s"spec":{"vote":{"decision":%q,"comment":"at once"}}}`, version, decision))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					accepted = append(accepted, who.Name+" "+string(decision))
				case locked && apierrors.IsConflict(err):
				case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "Nothing more can be decided"): // the other one has denied
				default:
					t.Errorf("%s of %s: %v", decision, who.Name, err)
				}
			})
		}
		group.Wait()
		switch {
		case locked && len(accepted) == 2:
			t.Errorf("both were stored on version %s: %q", approval.ResourceVersion, accepted)
			return accepted
		case len(accepted) > 0:
			return accepted
		}
	}
	t.Fatal("nobody could vote")
	return nil
}

func TestActionRefused(t *testing.T) {
	ctx := t.Context()
	original := &v1alpha1.Action{}
	if err := admin(t).Get(ctx, types.NamespacedName{Namespace: env.CatalogNamespace, Name: "deploy"}, original); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change func(*v1alpha1.Action)
		status metav1.StatusReason
		words  []string
	}{
		"MisspeltField": {func(a *v1alpha1.Action) { a.Spec.Rules[0].When = "inputs.environmen == 'staging'" }, metav1.StatusReasonInvalid,
			[]string{"spec.rules[0].when", "line 1, column", "line 1, column 8", `did you mean "environment"?`}},
		"NotBoolean":   {func(a *v1alpha1.Action) { a.Spec.Rules[0].When = "inputs.environment" }, metav1.StatusReasonInvalid, []string{"spec.rules[0].when", "true or false is needed"}},
		"UnknownStage": {func(a *v1alpha1.Action) { a.Spec.Rules[1].Stages = []string{"owner"} }, metav1.StatusReasonInvalid, []string{"spec.rules[1].stages[0]", `supported values: "owners"`}},
		"BadTemplate":  {func(a *v1alpha1.Action) { a.Spec.Target.Name = "${inputs.service" }, metav1.StatusReasonInvalid, []string{"spec.target.name"}},
		"SystemApprover": {func(a *v1alpha1.Action) {
			a.Spec.Stages[0].Approvers = &v1alpha1.Approvers{Groups: []string{"system:serviceaccounts"}}
		}, metav1.StatusReasonInvalid, []string{"system groups never approve"}},
		"StrongerAccount": {func(a *v1alpha1.Action) { a.Spec.Execution.ServiceAccountName = "root" }, metav1.StatusReasonForbidden,
			[]string{"you (frank) may not let Actions run as ServiceAccount platform/root"}},
	} {
		t.Run(name, func(t *testing.T) {
			action := original.DeepCopy()
			action.ObjectMeta = metav1.ObjectMeta{Namespace: env.CatalogNamespace, Name: "refused"}
			tc.change(action)
			refused(t, as(t, users.Frank).Create(ctx, action), tc.status, tc.words...)
		})
	}
}
