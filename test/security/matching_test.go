package security

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

// ruled is an Action with rules, that allows where none of them applies.
func ruled(name, inputs, rules string) string {
	return `{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: ` + name + `}, spec: {title: a, inputs: {openAPIV3Schema: {type: object, properties: ` + inputs + `}},
		rules: [` + rules + `], default: {effect: Allow}, execution: {serviceAccountName: deployer, steps: [{name: note, apply: {conflicts: Take, manifests: [
		{apiVersion: v1, kind: ConfigMap, metadata: {namespace: staging, name: "${request.uid}"}}]}}]}}}`
}

// refusedFor asks until the refusal has these words: what was just written may not be in force yet. It is never let in.
func refusedFor(t *testing.T, r *v1alpha1.ActionRequest, words ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("the refusal with %q", words), func() (bool, string) {
		err := as(t, users.Alice).Create(t.Context(), r.DeepCopy())
		if err == nil {
			t.Fatalf("it was let in; want a refusal with %q", words)
		}
		for _, word := range words {
			if !strings.Contains(err.Error(), word) {
				return false, err.Error()
			}
		}
		return true, ""
	})
}

const anything = `{words: {type: array, maxItems: 90, items: {type: string, maxLength: 8}}, text: {type: string, maxLength: 64}, count: {type: integer, minimum: 0, maximum: 9}}`

// TestCase36ExpressionThatCannotBeJudged writes rules that do not compile, and asks where rules fail or cost too much.
func TestCase36ExpressionThatCannotBeJudged(t *testing.T) {
	for name, when := range map[string]string{
		"Syntax": "inputs.text ==", "Unknown": "inputs.txt == 'a'", "Type": "inputs.count == 'a'", "NotABoolean": "inputs.text", "NoFunction": "exec('id')",
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, as(t, users.Frank).Create(t.Context(), object(t, ruled("uncompiled", anything, `{name: r, effect: Deny, when: "`+when+`"}`))), metav1.StatusReasonInvalid, "spec.rules[0].when")
			policy := object(t, `{apiVersion: signoff.dev/v1alpha1, kind: ActionPolicy, metadata: {name: uncompiled}, spec: {rules: [{name: r, effect: Deny, when: "`+when+`"}]}}`)
			// A policy is about many Actions, and knows the types of no inputs.
			if name == "Syntax" || name == "NoFunction" {
				refused(t, as(t, users.Grace).Create(t.Context(), policy), metav1.StatusReasonInvalid, "spec.rules[0].when")
			}
		})
	}
	words := `["` + strings.Repeat(`word","`, 88) + `w"]`
	for name, tc := range map[string]struct{ rule, inputs string }{
		"missing-field": {`{name: fails, effect: RequireApproval, when: "inputs.text == 'a'"}`, `{}`},
		"divides":       {`{name: fails, effect: RequireApproval, when: "10 / inputs.count > 1"}`, `{"count":0}`},
		"converts":      {`{name: fails, effect: Hold, when: "int(inputs.text) > 1"}`, `{"text":"many"}`},
		"index":         {`{name: fails, effect: Hold, when: "inputs.words[5] == 'a'"}`, `{"words":["a"]}`},
		"costs": { // costs are bounded when it is judged: nobody knows before how long a list will be
			`{name: fails, effect: Deny, when: "inputs.words.exists(a, inputs.words.exists(b, inputs.words.exists(c, inputs.words.exists(d, a + b + c + d == 'a'))))"}`,
			`{"words":` + words + `}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			apply(t, ruled(name, anything, tc.rule))
			refusedFor(t, request(name, tc.inputs), "fails", "Nothing was stored.")
		})
	}
}

// TestCase37DenialThatFails lets a Deny rule fail, of an Action and of a policy: nothing passes it.
func TestCase37DenialThatFails(t *testing.T) {
	apply(t, ruled("denial-fails", anything, `{name: never, effect: Deny, when: "inputs.text.startsWith('evil')"}`))
	refusedFor(t, request("denial-fails", `{}`), "never", "Nothing was stored.")
	reaches(t, ask(t, users.Alice, request("denial-fails", `{"text":"good"}`)), v1alpha1.PhaseSucceeded)
	apply(t, ruled("denial-of-policy", anything, ``))
	policy(t, "denial-of-policy", `{match: {actions: {names: [denial-of-policy]}}, rules: [{name: never, effect: Deny, when: "inputs.text.startsWith('evil')"}]}`)
	refusedFor(t, request("denial-of-policy", `{}`), "denial-of-policy", "never")
	refusedFor(t, request("denial-of-policy", `{"text":"evil"}`), "ActionPolicy denial-of-policy, rule never")
}

// TestCase38NamesMatchAsAWhole gives rights and makes policies for names that are the beginning of others.
func TestCase38NamesMatchAsAWhole(t *testing.T) {
	for _, name := range []string{"deploy-*", "dep", "prod*", "^deploy$", ".*"} {
		role := object(t, `{apiVersion: signoff.dev/v1alpha1, kind: Role, metadata: {namespace: platform, name: pattern}, spec: {members: {users: [ada]}, permissions: [{verbs: [request], actions: {names: ["`+name+`"]}}]}}`)
		if err := as(t, users.Ada).Create(t.Context(), role, client.DryRunAll); err == nil && name != "dep" {
			t.Errorf("%q looks like a pattern, and is none", name)
		}
	}
	wendy := login(t, "wendy")
	if err := cluster.Grant(t.Context(), env.RoleRequester, env.WorkNamespace, env.ToUser("wendy")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"prod", "prod-test", "test-prod"} {
		apply(t, ruled(name, `{}`, ``))
	}
	apply(t, `{apiVersion: signoff.dev/v1alpha1, kind: Role, metadata: {namespace: platform, name: wendy}, spec: {members: {users: [wendy], groups: [team-a]}, permissions: [{verbs: [request], actions: {names: [prod]}}]}}`)
	reaches(t, ask(t, wendy, request("prod", `{}`)), v1alpha1.PhaseSucceeded)
	for _, name := range []string{"prod-test", "test-prod"} {
		eventually(t, "the Action is in force", func() (bool, string) {
			err := as(t, users.Alice).Create(t.Context(), request(name, `{}`), client.DryRunAll)
			return err == nil, errText(err)
		})
		refused(t, as(t, wendy).Create(t.Context(), request(name, `{}`)), metav1.StatusReasonForbidden, "you (wendy) may not request")
	}
	for _, who := range []env.Person{login(t, "wendy2"), login(t, "wend"), login(t, "xavier", "team-a-evil"), login(t, "yannick", "Team-A")} {
		if err := cluster.Grant(t.Context(), env.RoleRequester, env.WorkNamespace, env.ToUser(who.Name)); err != nil {
			t.Fatal(err)
		}
		refused(t, as(t, who).Create(t.Context(), request("prod", `{}`)), metav1.StatusReasonForbidden, "you ("+who.Name+") may not request")
	}
	policy(t, "whole-names", `{match: {actions: {names: [prod]}, requestNamespaces: {names: [payments]}}, rules: [{name: closed, effect: Deny}]}`)
	policy(t, "part-of-names", `{match: {actions: {names: [pro]}, requestNamespaces: {names: [pay]}}, rules: [{name: too-much, effect: Deny}]}`)
	refusedFor(t, request("prod", `{}`), "whole-names")
	reaches(t, ask(t, users.Alice, request("prod-test", `{}`)), v1alpha1.PhaseSucceeded)
}

// TestCase39FactChangedAfterTheDecision changes a ConfigMap that allowed a request before it starts. What was read is told with the request.
func TestCase39FactChangedAfterTheDecision(t *testing.T) {
	quota := func(open string) {
		apply(t, `{apiVersion: v1, kind: ConfigMap, metadata: {namespace: production, name: gate}, data: {open: "`+open+`"}}`)
	}
	quota("yes")
	apply(t, `{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {namespace: production, name: reader}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view},
		subjects: [{kind: ServiceAccount, namespace: platform, name: deployer-read}]}`)
	apply(t, `{apiVersion: signoff.dev/v1alpha1, kind: Action, metadata: {namespace: platform, name: by-fact}, spec: {title: a,
		lookups: [{as: gate, object: {apiVersion: v1, kind: ConfigMap, namespace: production, name: gate}}],
		rules: [{name: open, when: "gate.data.open == 'yes'", effect: RequireApproval, stages: [a]}], stages: [{name: a, approvers: {users: [bob]}}],
		execution: {serviceAccountName: deployer, readServiceAccountName: deployer-read, steps: [{name: note, apply: {conflicts: Take, manifests: [
		{apiVersion: v1, kind: ConfigMap, metadata: {namespace: staging, name: "${request.uid}"}}]}}]}}}`)
	eventually(t, "the fact can be read", func() (bool, string) {
		err := as(t, users.Alice).Create(t.Context(), request("by-fact", `{}`), client.DryRunAll)
		return err == nil, errText(err)
	})
	r, _, release := agreed(t, request("by-fact", `{}`), users.Bob)
	facts := live(t, r).Status.Verdict.Facts
	if len(facts) != 1 || facts[0].Object != "ConfigMap production/gate" || facts[0].Version == "" || facts[0].ReadAs != "platform/deployer-read" {
		t.Errorf("it must say what was read: %+v", facts)
	}
	quota("no")
	release()
	eventually(t, "the denial", func() (bool, string) {
		ready := meta.FindStatusCondition(live(t, r).Status.Conditions, v1alpha1.ConditionReady)
		return ready.Reason == v1alpha1.ReasonDeniedByRule, fmt.Sprintf("%+v", ready)
	})
	neverStarts(t, r, v1alpha1.PhaseHeld)
	quota("yes")
	reaches(t, r, v1alpha1.PhaseSucceeded)
	// And the Record keeps what the start rested on, sealed, when nobody can read it from the request any more.
	record := recordOf(t, r)
	kept := record.Spec.Verdict
	if kept == nil || kept.Effect != v1alpha1.EffectRequireApproval || len(kept.Rules) != 1 || kept.Rules[0].Name != "open" || kept.Rules[0].Answer != v1alpha1.RuleApplies ||
		!slices.Contains(kept.Rules[0].Because, `gate.data.open is "yes"`) {
		t.Fatalf("the Record must say by which rule, and why: %+v", kept)
	}
	if len(kept.Facts) != 1 || kept.Facts[0].Object != facts[0].Object || kept.Facts[0].Version == "" || kept.Facts[0].Version == facts[0].Version {
		t.Errorf("the Record must say what was read at the start, which was changed twice since: %+v, then %+v", facts, kept.Facts)
	}
	record.Spec.Verdict.Facts[0].Version = facts[0].Version
	refused(t, admin(t).Update(t.Context(), record), metav1.StatusReasonInvalid, "a claim never changes")
}
