package story

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const (
	digestOne = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	digestTwo = "sha256:2222222222222222222222222222222222222222222222222222222222222222"
)

func request(change func(*v1alpha1.ActionRequest)) *v1alpha1.ActionRequest {
	r := &v1alpha1.ActionRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: "checkout", UID: "r", CreationTimestamp: metav1.NewTime(now)},
		Spec: v1alpha1.ActionRequestSpec{
			ActionRef: v1alpha1.ActionReference{Namespace: "platform", Name: "deploy"}, Reason: "fixes it",
			Requester: &v1alpha1.Identity{Username: "alice"}, Inputs: &runtime.RawExtension{Raw: []byte(`{"b":"x","a":7}`)},
		},
		Status: v1alpha1.ActionRequestStatus{
			Phase: v1alpha1.PhaseAwaitingApproval, WaitingFor: "owners: 1 of payments", Digest: digestOne,
			Plan: []v1alpha1.PlannedChange{{Step: "roll", Operation: "patch", Object: "Deployment production/checkout", Fields: []string{"image: a → b"}}},
		},
	}
	if change != nil {
		change(r)
	}
	return r
}

func approval(change func(*v1alpha1.Approval)) v1alpha1.Approval {
	a := v1alpha1.Approval{
		ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: "one"},
		Spec: v1alpha1.ApprovalSpec{
			RequestRef: v1alpha1.RequestReference{Name: "checkout", UID: "r"}, Stage: v1alpha1.StageReference{Name: "owners"}, Digest: digestOne,
			Needs: "1 of payments", Expires: "24 Nov 17:10 UTC", Seal: &v1alpha1.Seal{},
		},
	}
	if change != nil {
		change(&a)
	}
	return a
}

func TestWhole(t *testing.T) {
	voted := approval(func(a *v1alpha1.Approval) {
		a.Spec.Votes = []v1alpha1.Vote{{Voter: v1alpha1.Identity{Username: "bob"}, Decision: v1alpha1.DecisionApprove, At: metav1.NewMicroTime(now), Comment: "ok", Seal: "s"}}
	})
	want := `payments/checkout: AwaitingApproval
Waiting for: owners: 1 of payments
Action: platform/deploy
Asked by: alice, Mon 23 Nov 12:00 UTC
Reason: "fixes it"
Inputs:
  a: 7
  b: "x"
Digest: ` + digestOne + `
Plan, as the request shows it; not checked, because you did not ask for it:
  patch Deployment production/checkout (step roll)
    image: a → b
Approvals:
  one, stage owners: Open, needs 1 of payments, until 24 Nov 17:10 UTC
    bob: Approve at Mon 23 Nov 12:00 UTC ("ok")
Next:
  kubectl signoff approve -n payments one --digest 11111111
  kubectl signoff deny -n payments one --digest 11111111 --comment "…"
  kubectl signoff wait -n payments checkout
  kubectl signoff cancel -n payments checkout --reason "…"`
	if diff := cmp.Diff(want, strings.Join(Of(request(nil), []v1alpha1.Approval{voted}, nil, now), "\n")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestParts(t *testing.T) {
	type r = *v1alpha1.ActionRequest
	type a = *v1alpha1.Approval
	cases := map[string]struct {
		reason    string
		request   func(r)
		approval  func(a)
		has, lack []string
	}{
		"Fits":  {"an Approval of what will be done", nil, nil, nil, []string{"NOTE"}},
		"Other": {"an Approval of something else", nil, func(x a) { x.Spec.Digest = digestTwo }, []string{"NOTE: it is about 22222222, and not about 11111111, which is what will be done"}, nil},
		"Superseded": {"one that was replaced says what changed", nil, func(x a) {
			x.Spec.Digest, x.Status.State, x.Status.Decided = digestTwo, v1alpha1.ApprovalSuperseded, []string{"Changed: image"}
		}, []string{"one, stage owners: Superseded", "    Changed: image"}, []string{"NOTE", "signoff approve"}},
		"Claimed": {"what runs counts, not what would be planned now", func(x r) {
			x.Status.Digest, x.Status.Execution = digestTwo, &v1alpha1.ExecutionClaim{Digest: digestOne}
		}, nil, nil, []string{"NOTE"}},
		"Forged":     {"an Approval without a seal", nil, func(x a) { x.Spec.Seal = nil }, []string{"NOTE: it is not sealed, so it was not opened by Signoff and never counts"}, nil},
		"ForgedVote": {"a vote without a seal", nil, func(x a) { x.Spec.Votes = []v1alpha1.Vote{{Voter: v1alpha1.Identity{Username: "eve"}}} }, []string{"eve: ", "NOTE: it is not sealed and never counts"}, nil},
		"Foreign":    {"an Approval of an earlier request of that name", nil, func(x a) { x.Spec.RequestRef.UID = "other" }, nil, []string{"Approvals:", "signoff approve"}},
		"Unstamped":  {"a request that nobody knows the origin of", func(x r) { x.Spec.Requester = nil }, nil, []string{"Asked by: nobody knows"}, nil},
		"New":        {"a request that was not looked at yet", func(x r) { x.Status = v1alpha1.ActionRequestStatus{} }, func(x a) { x.Status.State = v1alpha1.ApprovalSuperseded }, []string{"payments/checkout: Pending"}, []string{"Plan", "Digest"}},
		"Emptied":    {"a status that says nothing while people are asked", func(x r) { x.Status = v1alpha1.ActionRequestStatus{} }, nil, []string{"Digest: " + digestOne}, []string{"Plan"}},
		"Unchecked":  {"why nothing is checked", func(x r) { x.Status.Execution = &v1alpha1.ExecutionClaim{Digest: digestOne} }, func(x a) { x.Status.State = v1alpha1.ApprovalApproved }, []string{"Plan, as the request shows it; not checked, because it has begun:"}, nil},
		"Over":       {"a request that is over", func(x r) { x.Status.Outcome, x.Status.Phase = v1alpha1.OutcomeFailed, v1alpha1.PhaseFailed }, func(x a) { x.Status.State = v1alpha1.ApprovalApproved }, []string{"payments/checkout: Failed", "kubectl signoff request -n payments --from checkout"}, []string{"signoff cancel", "signoff approve"}},
		"Lent": {"for a time", func(x r) {
			until := metav1.NewTime(now.Add(time.Hour))
			x.Status.ActiveUntil, x.Spec.Duration = &until, "1h"
		}, nil, []string{"Stays until: Mon 23 Nov 13:00 UTC", "For: 1h"}, nil},
		"Times":  {"bounds of time", func(x r) { at := metav1.NewTime(now); x.Spec.NotBefore, x.Spec.ExpiresAt = &at, &at }, nil, []string{"Not before: Mon 23 Nov 12:00 UTC", "Expires: Mon 23 Nov 12:00 UTC"}, nil},
		"Glass":  {"an emergency", func(x r) { x.Spec.BreakGlass = &v1alpha1.BreakGlass{Reason: "down"} }, func(x a) { x.Spec.Review = true }, []string{`Emergency: "down"`, "needs 1 of payments, a review"}, nil},
		"Behalf": {"for whom it was asked is a claim", func(x r) { x.Spec.OnBehalfOf = &v1alpha1.OnBehalfOf{Username: "dave\x1b"} }, nil, []string{"Asked by: alice, Mon 23 Nov 12:00 UTC\n  as it says on behalf of \"dave\\x1b\"\nReason:"}, nil},
		"Reverting": {"what is over does not stay, and how a person ends what cannot be taken back", func(x r) {
			until := metav1.NewTime(now.Add(-time.Hour))
			x.Status.ActiveUntil, x.Status.Phase, x.Status.WaitingFor = &until, v1alpha1.PhaseReverting, "ConfigMap a/b is left: no"
			x.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonRevertFailed}}
		}, nil, []string{"Waiting for: ConfigMap a/b is left: no", `kubectl signoff resolve -n payments checkout --outcome succeeded --comment "…"`}, []string{"Stays until"}},
		"RevertingAnother": {"nobody decides here about the request before it", func(x r) {
			x.Status.Phase, x.Status.Conditions = v1alpha1.PhaseReverting, []metav1.Condition{{Type: v1alpha1.ConditionReady, Reason: v1alpha1.ReasonAlreadyExecuted}}
		}, nil, nil, []string{"signoff resolve"}},
		"Left": {"who let stay what is left", func(x r) {
			x.Spec.Resolutions = []v1alpha1.Resolution{{NewResolution: v1alpha1.NewResolution{Step: "revert", Outcome: v1alpha1.StepSucceeded, Comment: "ok"}, By: v1alpha1.Identity{Username: "carol"}}}
		}, nil, []string{`carol decided that what is left is taken back by hand or may stay: "ok"`}, nil},
		"StepOfThatName": {"a step can be called so", func(x r) {
			x.Status.Steps = []v1alpha1.StepStatus{{Name: "revert", State: v1alpha1.StepFailed, UnknownSince: new(metav1.NewTime(now))}}
			x.Spec.Resolutions = []v1alpha1.Resolution{{NewResolution: v1alpha1.NewResolution{Step: "revert", Outcome: v1alpha1.StepDidFail, Comment: "ok"}, By: v1alpha1.Identity{Username: "carol"}}}
		}, nil, []string{`carol decided that step revert failed: "ok"`}, nil},
		"Cancelled": {"a cancellation", func(x r) {
			x.Spec.Cancellation = &v1alpha1.Cancellation{Reason: "no", By: &v1alpha1.Identity{Username: "carol"}}
		}, nil, []string{`Cancelled by carol: "no"`}, nil},
		"Rules": {"rules that apply, with their reasons", func(x r) {
			x.Status.Verdict = &v1alpha1.Verdict{Rules: []v1alpha1.RuleResult{
				{Name: "owned", Effect: v1alpha1.EffectRequireApproval, Answer: v1alpha1.RuleApplies, Message: "m", Because: []string{"b"}},
				{Name: "other", Effect: v1alpha1.EffectDeny, Answer: v1alpha1.RuleNotApplicable},
			}}
		}, nil, []string{"  owned (RequireApproval): m\n    because b\n"}, []string{"other"}},
		"Job": {"how a Job ended", func(x r) {
			x.Status.Steps = []v1alpha1.StepStatus{{Name: "run", State: v1alpha1.StepFailed, Message: "it failed", Job: &v1alpha1.JobResult{ExitCode: 3, Message: "m", Log: "one\ntwo\x1b[0m\n"}}}
		}, nil, []string{"  run: Failed, it failed\n    exit code 3\n    message: \"m\"\n    log:\n      | one\n      | two\\x1b[0m\n"}, []string{"\x1b"}},
		"Outputs": {"what a step gave", func(x r) {
			x.Status.Steps = []v1alpha1.StepStatus{{Name: "run", State: v1alpha1.StepDone, Outputs: &runtime.RawExtension{Raw: []byte(`{"size":3,"id":"b-1"}`)}}}
		}, nil, []string{"Steps:\n  run: Done\n    id: \"b-1\"\n    size: 3\n"}, nil},
		"Planned": {"what people agree to, in full", func(x r) {
			until := metav1.NewTime(now.Add(time.Hour))
			x.Status.Planning = &v1alpha1.Planning{ValidUntil: &until, Steps: []v1alpha1.StepStatus{{
				Name: "plan", State: v1alpha1.StepDone, Job: &v1alpha1.JobResult{Message: "twice"}, Outputs: &runtime.RawExtension{Raw: []byte(`{"text":"+ a\n- b\u001b"}`)},
			}}}
		}, nil, []string{"Plan steps:\n  What they gave holds until: Mon 23 Nov 13:00 UTC\n  plan: Done\n    text:\n      | + a\n      | - b\\x1b\nDigest: "}, []string{"twice"}},
		"PlanFailed": {"why nobody was asked", func(x r) {
			x.Status.Planning = &v1alpha1.Planning{Steps: []v1alpha1.StepStatus{{Name: "plan", State: v1alpha1.StepFailed, Message: "no", Job: &v1alpha1.JobResult{ExitCode: 1, Message: "m"}}}}
		}, nil, []string{"Plan steps:\n  plan: Failed, no\n    exit code 1\n    message: \"m\"\n"}, nil},
		"Hostile": {"nothing hidden passes, wherever it stands", func(x r) {
			bad := "a\x1b[2J\u202e\u200b"
			x.Spec.Reason, x.Status.WaitingFor, x.Spec.Requester.Username = bad, bad, bad
			x.Spec.Inputs.Raw = []byte(`{"a\u001b": "x\u202e", "b": ["\u200b\u001b"]}`)
			x.Status.Plan[0].Fields, x.Status.Plan[0].Object = []string{bad}, bad
			x.Status.Steps = []v1alpha1.StepStatus{{Name: bad, Message: bad}}
		}, func(x a) { x.Name, x.Spec.Needs, x.Spec.Stage.Name = "a\x1b\u202e", "a\n\u202e", "\x1b" }, []string{`a\x1b[2J\u202e\u200b`}, []string{"\x1b", "\u202e", "\u200b"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			text := strings.Join(Of(request(tc.request), []v1alpha1.Approval{approval(tc.approval)}, nil, now), "\n") + "\n"
			for _, word := range tc.has {
				if !strings.Contains(text, word) {
					t.Errorf("%s: it does not say %q:\n%s", tc.reason, word, text)
				}
			}
			for _, word := range tc.lack {
				if strings.Contains(text, word) {
					t.Errorf("%s: it says %q:\n%s", tc.reason, word, text)
				}
			}
		})
	}
}

// TestFullText shows a plan that no summary has room for, in full.
func TestFullText(t *testing.T) {
	long := strings.Repeat("x", 3000)
	lines := Of(request(func(r *v1alpha1.ActionRequest) {
		r.Status.Plan = nil
		for range 60 {
			r.Status.Plan = append(r.Status.Plan, v1alpha1.PlannedChange{Operation: "apply", Object: "ConfigMap a/b", Fields: []string{long}})
		}
	}), nil, nil, now)
	found := 0
	for _, line := range lines {
		if strings.TrimSpace(line) == long {
			found++
		}
	}
	if found != 60 {
		t.Errorf("%d of 60 long lines are shown", found)
	}
}
