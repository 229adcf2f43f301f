package gate

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
)

// computing takes approvers from an expression over a fact.
const computing = `
kind: Action
metadata: {namespace: platform, name: own}
spec:
  title: Own
  target: {apiVersion: apps/v1, kind: Deployment, namespace: web, name: checkout}
  default: {effect: RequireApproval, stages: [owners]}
  stages: [{name: owners, approvers: {users: [dave], expression: "namespaceObject.metadata.labels['owners'].split('.').filter(o, o != '')"}}]
  execution: {serviceAccountName: a, steps: [{name: note, patch: {merge: {a: b}}}]}
---
kind: Action
metadata: {namespace: platform, name: only}
spec:
  title: Only
  target: {apiVersion: apps/v1, kind: Deployment, namespace: web, name: checkout}
  default: {effect: RequireApproval, stages: [owners]}
  stages: [{name: owners, approvers: {expression: "namespaceObject.metadata.labels['owners'].split('.').filter(o, o != '')"}}]
  execution: {serviceAccountName: a, steps: [{name: note, patch: {merge: {a: b}}}]}
---
kind: Action
metadata: {namespace: platform, name: dynamic}
spec:
  title: Dynamic
  inputs: {openAPIV3Schema: {type: object, required: [who], properties: {who: {type: string, maxLength: 63}}}}
  default: {effect: RequireApproval, stages: [owners]}
  stages: [{name: owners, approvers: {expression: "{'text': dyn('bob'), 'number': dyn([dyn('bob'), dyn(1)]), 'list': dyn(['bob'])}[inputs.who]"}}]
  execution: {serviceAccountName: a, steps: [{name: note, patch: {target: {apiVersion: v1, kind: ConfigMap, namespace: a, name: b}, merge: {a: b}}}]}
---
kind: Role
metadata: {namespace: platform, name: all}
spec: {members: {users: [alice, bob, mallory]}, permissions: [{verbs: [request, approve], actions: {names: ["*"]}}]}
`

// labelled is a namespace that the requester may or may not change.
type labelled struct {
	fakeFacts
	writable bool
	unknown  error
}

func (l labelled) MayWrite(context.Context, *v1alpha1.Identity, bool, ...Query) (bool, error) {
	return l.writable, l.unknown
}

// TestApproversByExpression resolves stages whose approvers are computed.
func TestApproversByExpression(t *testing.T) {
	owners := func(value string) labelled {
		return labelled{fakeFacts: fakeFacts{labels: map[string]any{"owners": value}}}
	}
	many := make([]string, maxUsers+1)
	for i := range many {
		many[i] = fmt.Sprintf("user-%d", i)
	}
	for name, tc := range map[string]struct {
		reason  string
		action  string
		inputs  string
		facts   labelled
		users   []string
		problem string
		words   string
		again   bool
	}{
		"Names":     {reason: "Who it gives stands beside who is written down, once, in order.", action: "own", facts: owners("mallory.bob.bob"), users: []string{"bob", "dave", "mallory"}},
		"Alone":     {reason: "It can stand alone.", action: "only", facts: owners("bob"), users: []string{"bob"}},
		"OthersToo": {reason: "Where it gives nobody, the others remain.", action: "own", facts: owners(""), users: []string{"dave"}},
		"Nobody":    {reason: "Where nobody remains, nobody can ever agree.", action: "only", facts: owners(""), problem: v1alpha1.ReasonUnsatisfiable, words: `in stage "owners", it names nobody`},
		"NoLabel":   {reason: "An error is no answer.", action: "own", facts: labelled{}, problem: v1alpha1.ReasonIndeterminate, words: `stage "owners" asks for namespaceObject.metadata.labels['owners']`},
		"System":    {reason: "Whoever may never approve cannot be computed either.", action: "own", facts: owners("system:masters"), problem: v1alpha1.ReasonIndeterminate, words: "system identities never approve"},
		"TooMany":   {reason: "An Approval holds so many.", action: "own", facts: owners(strings.Join(many, ".")), problem: v1alpha1.ReasonIndeterminate, words: "more than the 64 users"},
		"Writable": {reason: "A requester who chose the approvers would choose a friend.", action: "own",
			facts: labelled{fakeFacts: owners("mallory").fakeFacts, writable: true}, problem: v1alpha1.ReasonIndeterminate, words: "can be changed by you (alice)"},
		"Unknown": {reason: "Nobody can tell, so it is asked again.", action: "own",
			facts: labelled{fakeFacts: owners("mallory").fakeFacts, unknown: context.DeadlineExceeded}, problem: v1alpha1.ReasonIndeterminate, words: "nobody could tell", again: true},
		"NoList":  {reason: "What has no type is looked at when it is there.", action: "dynamic", inputs: `{"who":"text"}`, problem: v1alpha1.ReasonIndeterminate, words: "a list of strings is needed"},
		"NoTexts": {reason: "A number is nobody.", action: "dynamic", inputs: `{"who":"number"}`, problem: v1alpha1.ReasonIndeterminate, words: "element 1 is no string"},
		"Input":   {reason: "An author may let the requester choose among approvers.", action: "dynamic", inputs: `{"who":"list"}`, users: []string{"bob"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := gateOver(t, computing, config.Default(), tc.facts, clock.RealClock{})
			j := g.Judge(t.Context(), asking("alice", tc.action, tc.inputs), monday)
			if tc.problem != "" {
				if j.Problem == nil || j.Problem.Reason != tc.problem || !strings.Contains(j.Problem.Message, tc.words) || j.Problem.Transient != tc.again {
					t.Errorf("%s\ngot %+v, want %s with %q", tc.reason, j.Problem, tc.problem, tc.words)
				}
				return
			}
			if j.Problem != nil {
				t.Fatalf("%s\ngot %s", tc.reason, j.Problem.Message)
			}
			want := v1alpha1.Approvers{Users: tc.users}
			if diff := cmp.Diff(want, j.Stages[0].Requirements[0].Approvers); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestComputedApproversNeedTheVerb plays somebody whom an expression names and whom no Role lets approve.
func TestComputedApproversNeedTheVerb(t *testing.T) {
	facts := labelled{fakeFacts: fakeFacts{labels: map[string]any{"owners": "bob.eve"}}}
	g := gateOver(t, computing, config.Default(), facts, clock.RealClock{})
	subject := asking("alice", "only", "")
	j := g.Judge(t.Context(), subject, monday)
	if j.Problem != nil {
		t.Fatal(j.Problem.Message)
	}
	poll := j.Poll(&j.Stages[0], &subject.Requester)
	if got := g.Eligible(t.Context(), j, poll, &v1alpha1.Identity{Username: "bob", Person: "bob"}); got.Problem != nil {
		t.Errorf("bob holds the verb: %s", got.Problem.Message)
	}
	got := g.Eligible(t.Context(), j, poll, &v1alpha1.Identity{Username: "eve", Person: "eve"})
	if got.Problem == nil || !strings.Contains(got.Problem.Message, "you (eve) may not approve platform/only") {
		t.Errorf("eve holds no verb: %+v", got.Problem)
	}
}
