package gate

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
	"github.com/signoff-dev/signoff/internal/identity"
)

// TestMayLeave: whoever asked for something to be lent does not decide that it stays, also not with a second login or through somebody else.
func TestMayLeave(t *testing.T) {
	const role = `
---
apiVersion: signoff.dev/v1alpha1
kind: Role
metadata: {namespace: platform, name: resolver}
spec: {members: {users: [alice, alice@laptop, bob, carol]}, permissions: [{verbs: [resolve], actions: {names: ["*"]}}]}
`
	gate := gateOver(t, world+role, byLogin(), fakeFacts{}, clock.RealClock{})
	for name, tc := range map[string]struct {
		reason, caller, behalf, words string
	}{
		"Other":       {"who has not asked for it decides", "bob", "", ""},
		"Requester":   {"it would be theirs for good", "alice", "", "you cannot decide that what was lent stays: you asked for it.\n  Who can: role resolver (alice"},
		"SecondLogin": {"they are one person", "alice@laptop", "", "You are alice (as alice@laptop); it was requested by alice (as alice)"},
		"Behalf":      {"it was lent to them, if the claim is true", "carol", "carol@desk", "it was asked on your behalf, as alice says"},
		"OtherBehalf": {"it was asked for somebody else", "bob", "carol", ""},
		"NoRight":     {"who asked learns no more than others who have no right", "joe", "", "you (joe) may not resolve platform/simple"},
	} {
		t.Run(name, func(t *testing.T) {
			subject := asking("alice", "simple", "")
			if tc.behalf != "" {
				subject.Spec.OnBehalfOf = &v1alpha1.OnBehalfOf{Username: tc.behalf}
			}
			caller := &v1alpha1.Identity{Username: tc.caller, Person: strings.Split(tc.caller, "@")[0]}
			message := ""
			if problem := gate.MayLeave(t.Context(), subject, caller, monday); problem != nil {
				message = problem.Message
			}
			if (tc.words == "") != (message == "") || !strings.Contains(message, tc.words) {
				t.Errorf("%s\ngot %q, want %q", tc.reason, message, tc.words)
			}
			if problem := gate.MayResolve(t.Context(), subject, caller, monday); (problem == nil) != (tc.caller != "joe") {
				t.Errorf("how a step ended is decided by whoever holds the verb: %+v", problem)
			}
		})
	}
}

// TestBarred: who never uses a verb, whatever Roles give them. The webhook and can-i ask the same.
func TestBarred(t *testing.T) {
	cfg := config.Default()
	cfg.Requester.Agents.Users, cfg.Approvers.ServiceAccounts = []string{"robot"}, []string{"ci/gate"}
	rules, err := identity.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	all := []v1alpha1.Verb{
		v1alpha1.VerbRequest, v1alpha1.VerbApprove, v1alpha1.VerbCancel, v1alpha1.VerbBreakGlass, v1alpha1.VerbRequestOnBehalf, v1alpha1.VerbResolve, v1alpha1.VerbDelegate,
	}
	for name, tc := range map[string]struct {
		reason, who string
		want        []v1alpha1.Verb
	}{
		"Person":  {"A person may all that Roles give.", "bob", nil},
		"Agent":   {"An agent decides nothing, and passes no rule.", "robot", []v1alpha1.Verb{v1alpha1.VerbApprove, v1alpha1.VerbBreakGlass, v1alpha1.VerbResolve, v1alpha1.VerbDelegate}},
		"Account": {"A ServiceAccount is no person.", "system:serviceaccount:ci:bot", []v1alpha1.Verb{v1alpha1.VerbApprove, v1alpha1.VerbResolve, v1alpha1.VerbDelegate}},
		"Listed":  {"One that is configured decides, and lets nobody decide for it.", "system:serviceaccount:ci:gate", []v1alpha1.Verb{v1alpha1.VerbDelegate}},
		"System":  {"What Kubernetes runs decides nothing.", "system:kube-scheduler", []v1alpha1.Verb{v1alpha1.VerbApprove, v1alpha1.VerbResolve, v1alpha1.VerbDelegate}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []v1alpha1.Verb
			for _, verb := range all {
				if Barred(t.Context(), rules, verb, &v1alpha1.Identity{Username: tc.who, Person: tc.who}) != "" {
					got = append(got, verb)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}
