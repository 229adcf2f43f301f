package security

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

// refitted is an Action that takes one input by a name, so that requests of before do not fit it once that changes.
func refitted(name, input, rest string) string {
	return `{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: ` + name + `}, spec: {title: a, ` + rest + `
		inputs: {openAPIV3Schema: {type: object, required: [` + input + `], properties: {` + input + `: {type: string, maxLength: 20}}}},
		execution: {serviceAccountName: deployer, steps: [{name: note, apply: {conflicts: Take, manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: staging, name: "${request.uid}"}}]}}]}}}`
}

// allowedOn gives people verbs on an Action.
func allowedOn(t *testing.T, action, verb string, users string) {
	t.Helper()
	apply(t, `{apiVersion: signoff.dev/v1alpha1, kind: Role, metadata: {namespace: platform, name: `+action+"-"+verb+`}, spec: {members: {users: [`+users+`]}, permissions: [{verbs: [`+verb+`], actions: {names: [`+action+`]}}]}}`)
}

// TestCase83StoppedAlthoughTheInputsAreOthers changes the inputs that an Action takes while requests for it are open: nothing runs, and whoever may say no still can.
func TestCase83StoppedAlthoughTheInputsAreOthers(t *testing.T) {
	const stage = `default: {effect: RequireApproval, stages: [a]}, stages: [{name: a, approvers: {users: [bob]}}],`
	apply(t, refitted("refitted", "a", stage))
	allowedOn(t, "refitted", "request", "alice")
	allowedOn(t, "refitted", "approve", "bob")
	allowedOn(t, "refitted", "cancel", "carol")
	denied, approval := opened(t, users.Alice, request("refitted", `{"a":"x"}`))
	cancelled, _ := opened(t, users.Alice, request("refitted", `{"a":"y"}`))
	apply(t, refitted("refitted", "b", stage))
	eventually(t, "the requests fit no more", func() (bool, string) {
		waits := live(t, denied).Status.WaitingFor
		return strings.Contains(waits, "inputs"), waits
	})
	if err := vote(t, users.Bob, approval, v1alpha1.DecisionDeny, "this is not what we do any more"); err != nil {
		t.Errorf("a no must be possible: %v", err)
	}
	reaches(t, denied, v1alpha1.PhaseDenied)
	refused(t, patch(t, users.Dave, cancelled, `{"spec":{"cancellation":{"reason":"stop"}}}`), metav1.StatusReasonForbidden, "you (dave) may not cancel")
	if err := patch(t, users.Carol, cancelled, `{"spec":{"cancellation":{"reason":"stop"}}}`); err != nil {
		t.Errorf("whoever may cancel still may: %v", err)
	}
	reaches(t, cancelled, v1alpha1.PhaseCancelled)
}

// TestCase83ReviewedAlthoughTheActionIsAnother changes, and deletes, an Action that ran in an emergency: who broke the glass does not escape the review by it.
func TestCase83ReviewedAlthoughTheActionIsAnother(t *testing.T) {
	frozen(t)
	const free = `default: {effect: Allow},`
	for name, after := range map[string]func(action string){
		"Changed": func(action string) { apply(t, refitted(action, "b", free)) },
		"Deleted": func(action string) {
			if err := as(t, users.Frank).Delete(t.Context(), &v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{Namespace: env.CatalogNamespace, Name: action}}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			action := "escapes-" + strings.ToLower(name)
			apply(t, refitted(action, "a", free))
			for verb, who := range map[string]string{"request": "alice", "break-glass": "alice", "approve": "erin"} {
				allowedOn(t, action, verb, who)
			}
			policy(t, action, `{match: {actions: {names: [`+action+`]}}, rules: [{name: closed, effect: Deny, override: {by: {users: [alice]}, review: {approvers: {users: [erin]}, within: 8h}}}]}`)
			r := request(action, `{"a":"x"}`)
			r.Spec.BreakGlass = &v1alpha1.BreakGlass{Reason: "checkout is down"}
			r = ask(t, users.Alice, r)
			reaches(t, r, v1alpha1.PhaseSucceeded)
			open := review(t, r)
			after(action)
			refused(t, vote(t, users.Alice, open, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden, "you asked for it")
			refused(t, vote(t, users.Bob, open, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden, "you (bob)")
			eventually(t, "erin reviews it", func() (bool, string) {
				err := vote(t, users.Erin, open, v1alpha1.DecisionApprove, "it was needed")
				return err == nil, fmt.Sprint(err)
			})
			closes(t, open, v1alpha1.ApprovalApproved)
			hasReviewed(t, r, metav1.ConditionTrue, v1alpha1.ReasonReviewed)
		})
	}
}

// TestCase84TakenBackWithoutTheRight: who agreed by membership of a group can take it back after they left the group, for as long as the vote counts.
func TestCase84TakenBackWithoutTheRight(t *testing.T) {
	apply(t, ruled("two-of-group", `{}`, `{name: r, effect: RequireApproval, stages: [a]}], stages: [{name: a, approvers: {groups: [agreeing]}, count: 2}`))
	allowedOn(t, "two-of-group", "request", "alice")
	apply(t, `{apiVersion: signoff.dev/v1alpha1, kind: Role, metadata: {namespace: platform, name: two-of-group-approve}, spec: {members: {groups: [agreeing]}, permissions: [{verbs: [approve], actions: {names: [two-of-group]}}]}}`)
	member, left, other := login(t, "gina", "agreeing"), login(t, "gina"), login(t, "hans", "agreeing")
	for _, name := range []string{"gina", "hans"} {
		if err := cluster.Grant(t.Context(), env.RoleApprover, env.WorkNamespace, env.ToUser(name)); err != nil {
			t.Fatal(err)
		}
	}
	r, approval := opened(t, users.Alice, request("two-of-group", `{}`))
	refused(t, vote(t, left, approval, v1alpha1.DecisionWithdraw, ""), metav1.StatusReasonForbidden, "you have no vote here to take back")
	votes(t, member, approval, v1alpha1.DecisionApprove)
	refused(t, vote(t, left, approval, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden, "you (gina)")
	votes(t, left, approval, v1alpha1.DecisionWithdraw)
	votes(t, other, approval, v1alpha1.DecisionApprove)
	eventually(t, "only one counts", func() (bool, string) {
		missing := live(t, approval).Status.WaitingFor
		return strings.Contains(missing, "1 of agreeing"), missing
	})
	neverStarts(t, r, v1alpha1.PhaseAwaitingApproval)
	votes(t, member, approval, v1alpha1.DecisionApprove)
	reaches(t, r, v1alpha1.PhaseSucceeded)
}

// TestCase85DenialFitsBesideLargeVotes: votes name the groups of who gives them, and neither those nor annotations crowd out a denial.
func TestCase85DenialFitsBesideLargeVotes(t *testing.T) {
	apply(t, ruled("crowded", `{}`, `{name: r, effect: RequireApproval, stages: [a]}], stages: [{name: a, approvers: {users: [ida, jan, dave]}, count: 3}`))
	allowedOn(t, "crowded", "request", "alice")
	allowedOn(t, "crowded", "approve", "ida, jan, dave")
	var groups []string
	for i := range 900 {
		groups = append(groups, fmt.Sprintf("%0115d", i))
	}
	large := []env.Person{login(t, "ida", groups...), login(t, "jan", groups...)}
	for _, name := range []string{"ida", "jan"} {
		if err := cluster.Grant(t.Context(), env.RoleApprover, env.WorkNamespace, env.ToUser(name)); err != nil {
			t.Fatal(err)
		}
	}
	r, approval := opened(t, users.Alice, request("crowded", `{}`))
	full := false
	for i := range 24 {
		decision := []v1alpha1.Decision{v1alpha1.DecisionApprove, v1alpha1.DecisionWithdraw}[i/2%2]
		if err := vote(t, large[i%2], approval, decision, ""); err != nil {
			refused(t, err, metav1.StatusReasonForbidden, "A denial is still possible")
			full = true
		}
	}
	if !full {
		t.Error("no end was found to what fits")
	}
	note := strings.Repeat("a", 60<<10)
	if err := patch(t, large[0], approval, `{"metadata":{"annotations":{"note":"`+note+`"}}}`); err != nil {
		t.Errorf("people may write notes: %v", err)
	}
	refused(t, patch(t, large[0], approval, `{"metadata":{"annotations":{"more":"`+note+`"}}}`), metav1.StatusReasonInvalid, "metadata.annotations", "votes must fit beside them")
	votes(t, users.Dave, approval, v1alpha1.DecisionDeny)
	reaches(t, r, v1alpha1.PhaseDenied)
}
