package gate

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/identity"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

// emergencies is a world in which every Action is kept from running by another kind of rule.
const emergencies = `
kind: Role
metadata: {namespace: platform, name: everybody}
spec:
  members: {groups: [everybody]}
  permissions: [{verbs: [request], actions: {names: ["*"]}}]
---
kind: Role
metadata: {namespace: platform, name: commander}
spec:
  members: {users: [cora, carl], serviceAccounts: [ops/pager, agents/bot]}
  permissions:
  - {verbs: [break-glass], actions: {names: [free, asked, twice, waiting, frozen, strict, broken, unreadable, elsewhere]}}
---
kind: Role
metadata: {namespace: platform, name: night}
spec:
  members: {users: [nora]}
  permissions:
  - {verbs: [break-glass], actions: {names: [frozen]}, when: "request.reason == 'night'", message: only at night}
---
kind: Role
metadata: {namespace: platform, name: machines}
spec:
  members: {groups: ["system:serviceaccounts"]}
  permissions: [{verbs: [request, break-glass], actions: {names: ["*"]}}]
---
kind: Role
metadata: {namespace: platform, name: approver}
spec:
  members: {users: [bob, sam], groups: [security]}
  permissions: [{verbs: [approve], actions: {names: [free, asked, twice, waiting, frozen, strict, broken, unreadable]}}]
---
kind: ActionPolicy
metadata: {name: freeze}
spec:
  match: {actions: {names: [frozen, strict, broken]}}
  rules:
  - name: frozen
    effect: Deny
    message: it is frozen
    override: {by: {users: [cora, nora], serviceAccounts: [ops/pager], groups: ["system:serviceaccounts"]}, review: {approvers: {groups: [security]}, within: 4h}}
---
kind: ActionPolicy
metadata: {name: later}
spec:
  match: {actions: {names: [frozen]}}
  rules:
  - {name: later, effect: Hold}
  - {name: also, effect: Deny, when: "request.reason == 'twice'", override: {by: {users: [cora]}, review: {approvers: {groups: [security]}, within: 2h30m}}}
  - {name: other, effect: Deny, when: "request.reason == 'other'", override: {by: {groups: [board]}, review: {approvers: {leadsOf: [board]}}}}
---
kind: ActionPolicy
metadata: {name: never}
spec: {match: {actions: {names: [strict]}}, rules: [{name: never, effect: Deny, message: nobody may}]}
---
kind: ActionPolicy
metadata: {name: mad}
spec: {match: {actions: {names: [broken]}}, rules: [{name: mad, effect: Hold, when: "inputs.none == 'x'"}]}
---
kind: ActionPolicy
metadata: {name: wait}
spec: {match: {actions: {names: [waiting]}}, rules: [{name: wait, effect: Hold}]}
---
kind: Team
metadata: {name: board}
spec: {members: {users: [bea]}, leads: {users: [lea]}}
`

// emergencyAction is an Action with a rule and stages.
func emergencyAction(name, spec string) string {
	return "kind: Action\nmetadata: {namespace: platform, name: " + name + "}\nspec:\n  title: T\n" + spec + `
  execution:
    serviceAccountName: deployer
    steps: [{name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: a, name: b}}]}}]
`
}

func emergencyGate(t *testing.T) *Gate {
	t.Helper()
	texts := strings.Split(emergencies, "\n---\n")
	for name, spec := range map[string]string{
		"free": "  default: {effect: Allow}", "waiting": "  default: {effect: Allow}", "frozen": "  default: {effect: Allow}",
		"strict": "  default: {effect: Allow}", "broken": "  default: {effect: Allow}", "elsewhere": "  default: {effect: Allow}",
		"asked": "  default: {effect: RequireApproval}",
		"twice": `  rules: [{name: r, effect: RequireApproval, stages: [owners, security]}]
  stages:
  - {name: owners, approvers: {users: [bob]}}
  - name: security
    after: [owners]
    requirements: [{name: guards, approvers: {groups: [security]}, count: 2}, {name: owners, approvers: {users: [bob]}}]`,
		"unreadable": `  rules: [{name: r, effect: RequireApproval, stages: [owners]}]
  stages: [{name: owners, approvers: {teams: ["${request.name}"]}}]`,
	} {
		texts = append(texts, emergencyAction(name, spec))
	}
	store := snapshot.NewStore(nil)
	for _, text := range texts {
		store.Put(anyKind(t, text))
	}
	store.MarkSynced()
	store.Rebuild()
	cfg := config.Default()
	cfg.Requester.Agents.ServiceAccounts = []string{"agents/bot"}
	rules, err := identity.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return New(store, rules, fakeFacts{}, "signoff-system", clock.RealClock{})
}

func anyKind(t *testing.T, text string) any {
	t.Helper()
	if !strings.Contains(text, "kind: ActionPolicy") {
		return parse(t, text)
	}
	policy := &v1alpha1.ActionPolicy{}
	if err := yaml.UnmarshalStrict([]byte(text), policy); err != nil {
		t.Fatal(err)
	}
	return policy
}

// inEmergency is a request that breaks the glass. Everybody is in the group everybody.
func inEmergency(user, action, reason string) *Subject {
	s := asking(user, action, "")
	s.Requester.Groups = []string{"everybody"}
	if strings.HasPrefix(user, "system:serviceaccount:") {
		s.Requester.Groups = append(s.Requester.Groups, "system:serviceaccounts")
	}
	s.Spec.Reason, s.Spec.BreakGlass = reason, &v1alpha1.BreakGlass{Reason: "it burns"}
	return s
}

func calmly(user, action, reason string) *Subject {
	s := inEmergency(user, action, reason)
	s.Spec.BreakGlass = nil
	return s
}

func TestBreakGlass(t *testing.T) {
	gate := emergencyGate(t)
	type want struct {
		Reason  string
		Passed  []string
		Reviews string
		Within  time.Duration
		Message []string
	}
	for name, tc := range map[string]struct {
		reason  string
		subject *Subject
		want    want
	}{
		"PassesDenialAndHold": {
			"A denial with an override and a hold are passed; the reviewers are those of the override.", inEmergency("cora", "frozen", "x"),
			want{Passed: []string{"policy/freeze/frozen", "policy/later/later"}, Reviews: "1 of security", Within: 4 * time.Hour},
		},
		"TwoOverrides": {
			"The same reviewers review once, within the shorter time.", inEmergency("cora", "frozen", "twice"),
			want{Passed: []string{"policy/freeze/frozen", "policy/later/also", "policy/later/later"}, Reviews: "1 of security", Within: 150 * time.Minute},
		},
		"OneOverrideOfTwo": {
			"Every denial must let the requester pass.", inEmergency("cora", "frozen", "other"),
			want{Reason: v1alpha1.ReasonDeniedByRule, Message: []string{
				"spec.breakGlass does not pass ActionPolicy later, rule other: members of board may, and you (cora) are not one of them.",
			}},
		},
		"NoOverride": {
			"A denial without an override stays.", inEmergency("cora", "strict", "x"),
			want{Reason: v1alpha1.ReasonDeniedByRule, Message: []string{"spec.breakGlass does not pass ActionPolicy never, rule never: it has no override"}},
		},
		"NotInBy": {
			"The verb alone does not pass a denial.", inEmergency("carl", "frozen", "x"),
			want{Reason: v1alpha1.ReasonDeniedByRule, Message: []string{"it is frozen", "and you (carl) are not one of them"}},
		},
		"NoVerb": {
			"Who may ask may not therefore break the glass; the answer says who can.", inEmergency("alice", "frozen", "x"),
			want{Reason: v1alpha1.ReasonNotAuthorized, Message: []string{
				"you (alice) may not break-glass platform/frozen", `no Role in namespace platform gives "break-glass" on frozen to alice`,
				"role commander (cora, carl", withoutBreakGlass,
			}},
		},
		"Condition": {
			"The condition of a Role counts in an emergency too.", inEmergency("nora", "frozen", "day"),
			want{Reason: v1alpha1.ReasonNotAuthorized, Message: []string{"lets you break-glass frozen only when: only at night"}},
		},
		"ConditionHolds": {
			"The condition of a Role counts in an emergency too.", inEmergency("nora", "frozen", "night"),
			want{Passed: []string{"policy/freeze/frozen", "policy/later/later"}, Reviews: "1 of security", Within: 4 * time.Hour},
		},
		"Approval": {
			"Whoever would have had to agree reviews.", inEmergency("cora", "asked", "x"),
			want{Passed: []string{"default"}, Reviews: "1 of approvers", Within: defaultWithin},
		},
		"Stages": {
			"All requirements of all stages, the same people once.", inEmergency("cora", "twice", "x"),
			want{Passed: []string{"r"}, Reviews: "1 of bob + 2 of security", Within: defaultWithin},
		},
		"Hold": {
			"Without stages, whoever may approve reviews.", inEmergency("cora", "waiting", "x"),
			want{Passed: []string{"policy/wait/wait"}, Reviews: "1 of approvers", Within: defaultWithin},
		},
		"NothingPassed": {
			"Breaking the glass is reviewed, also where it was not needed.", inEmergency("cora", "free", "x"),
			want{Reviews: "1 of approvers", Within: defaultWithin},
		},
		"Indeterminate": {
			"No error means yes, also in an emergency.", inEmergency("cora", "broken", "x"),
			want{Reason: v1alpha1.ReasonIndeterminate, Message: []string{"cannot decide on platform/broken", "policy/mad/mad"}},
		},
		"NobodyCouldReview": {
			"An emergency that nobody could review is none.", inEmergency("cora", "elsewhere", "x"),
			want{Reason: v1alpha1.ReasonIndeterminate, Message: []string{"nobody could review this emergency afterwards", `no Role in namespace platform gives "approve" on elsewhere`}},
		},
		"UnknownReviewers": {
			"A stage that names nobody gives no reviewers.", inEmergency("cora", "unreadable", "x"),
			want{Reason: v1alpha1.ReasonIndeterminate, Message: []string{"nobody could review this emergency afterwards", `there is no Team "r"`}},
		},
		"Agent": {
			"An agent never breaks the glass, although a Role names it.", inEmergency("system:serviceaccount:agents:bot", "frozen", "x"),
			want{Reason: v1alpha1.ReasonNotAuthorized, Message: []string{"an agent never breaks the glass"}},
		},
		"ServiceAccountByName": {
			"A ServiceAccount that is named one by one may.", inEmergency("system:serviceaccount:ops:pager", "frozen", "x"),
			want{Passed: []string{"policy/freeze/frozen", "policy/later/later"}, Reviews: "1 of security", Within: 4 * time.Hour},
		},
		"ServiceAccountByGroup": {
			"A group of all ServiceAccounts gives none of them the right.", inEmergency("system:serviceaccount:ops:other", "frozen", "x"),
			want{Reason: v1alpha1.ReasonNotAuthorized, Message: []string{"may not break-glass platform/frozen"}},
		},
		"ToldHow": {
			"A refused freeze tells everybody who may pass it, and who reviews.", calmly("alice", "frozen", "twice"),
			want{Reason: v1alpha1.ReasonDeniedByRule, Message: []string{
				"Emergency: members of system:serviceaccounts or cora, nora, ops/pager, who are also cora may set spec.breakGlass.reason; security reviews it within 2 h 30 m.",
			}},
		},
		"NoWay": {
			"Where one denial lets nobody pass, no way through is promised.", calmly("alice", "strict", "x"),
			want{Reason: v1alpha1.ReasonDeniedByRule, Message: []string{"nobody may (ActionPolicy never, rule never)"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			j := gate.Judge(t.Context(), tc.subject, monday)
			got := want{Message: tc.want.Message}
			if j.Verdict != nil {
				for i := range j.Verdict.Overridden {
					got.Passed = append(got.Passed, j.Verdict.Overridden[i].Name)
				}
				slices.Sort(got.Passed)
			}
			if j.Review != nil {
				got.Reviews, got.Within = Needs(j.Review.Requirements, nil), j.Review.Within
			}
			if j.Problem != nil {
				got.Reason = j.Problem.Reason
				if tc.want.Reason == v1alpha1.ReasonIndeterminate {
					got.Passed = nil
				}
				for _, words := range tc.want.Message {
					if !strings.Contains(j.Problem.Message, words) {
						t.Errorf("%s\nthe refusal does not say %q:\n%s", tc.reason, words, j.Problem.Message)
					}
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\nJudge(...): -want, +got:\n%s\n%+v", tc.reason, diff, j.Problem)
			}
		})
	}
}

func TestNoWayThroughIsPromised(t *testing.T) {
	j := emergencyGate(t).Judge(t.Context(), calmly("alice", "strict", "x"), monday)
	if strings.Contains(j.Problem.Message, "Emergency") {
		t.Errorf("one denial has no override, so no commander could pass:\n%s", j.Problem.Message)
	}
}

func TestBreakGlassWarnings(t *testing.T) {
	gate := emergencyGate(t)
	subject := inEmergency("cora", "frozen", "x")
	j := gate.Judge(t.Context(), subject, monday)
	want := []string{
		"you break the glass: it runs at once and passes ActionPolicy freeze, rule frozen, ActionPolicy later, rule later.",
		"a review opens: 1 of security must agree by Mon 23 Nov 16:00 UTC (members of group security; not you). Until then the request cannot be deleted.",
	}
	if diff := cmp.Diff(want, gate.Warnings(j, subject)); diff != "" {
		t.Errorf("Warnings(...): -want, +got:\n%s", diff)
	}
	status := VerdictStatus(j)
	var passed []string
	for _, rule := range status.Rules {
		if rule.Answer == v1alpha1.RuleOverridden {
			passed = append(passed, rule.Name)
		}
	}
	if diff := cmp.Diff([]string{"policy/freeze/frozen", "policy/later/later"}, passed); diff != "" {
		t.Errorf("rules that were passed say so: -want, +got:\n%s", diff)
	}
	if status.Effect != v1alpha1.EffectAllow {
		t.Errorf("effect: want Allow, got %s", status.Effect)
	}
}
