package gate

import (
	"strings"
	"testing"

	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/api/v1alpha1"
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
