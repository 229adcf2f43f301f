package gate

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
)

const organisation = `
apiVersion: signoff.dev/v1alpha1
kind: Action
metadata: {namespace: platform, name: scale}
spec:
  title: Scale
  inputs: {openAPIV3Schema: {type: object, required: [case], properties: {case: {type: string, maxLength: 63}}}}
  rules:
  - {name: senior, when: "inputs.case == 'roles' && 'senior' in requester.roles && 'junior' in requester.roles", effect: Allow}
  - {name: lead, when: "inputs.case == 'leads' && 'payments' in requester.leads", effect: Allow}
  - {name: above, when: "inputs.case == 'teams' && 'engineering' in requester.teams", effect: Allow}
  - {name: team, when: "inputs.case == 'team' && requester.username in team('engineering').members", effect: Allow}
  - {name: unknown, when: "inputs.case == 'unknown' && requester.username in team('enginering').members", effect: Deny}
  - {name: ask, when: "inputs.case == 'ask'", effect: RequireApproval, stages: [reviewers]}
  stages: [{name: reviewers, approvers: {roles: [reviewer]}}]
  execution:
    serviceAccountName: scaler
    steps:
    - {name: note, apply: {manifests: [{apiVersion: v1, kind: ConfigMap, metadata: {namespace: a, name: b}}]}}
---
{apiVersion: signoff.dev/v1alpha1, kind: Team, metadata: {name: engineering}, spec: {}}
---
apiVersion: signoff.dev/v1alpha1
kind: Team
metadata: {name: payments}
spec: {parent: engineering, members: {users: [alice, bob]}, leads: {users: [dave]}}
---
apiVersion: signoff.dev/v1alpha1
kind: Team
metadata: {name: search}
spec: {parent: engineering, members: {users: [erin]}}
---
apiVersion: signoff.dev/v1alpha1
kind: Role
metadata: {namespace: platform, name: junior}
spec:
  members: {users: [joe, bob]}
  permissions: [{verbs: [request], actions: {names: [scale]}}]
---
apiVersion: signoff.dev/v1alpha1
kind: Role
metadata: {namespace: platform, name: senior}
spec:
  members: {users: [alice, dave]}
  inherits: [junior]
---
apiVersion: signoff.dev/v1alpha1
kind: Role
metadata: {namespace: platform, name: reviewer}
spec:
  members: {users: [carol]}
  permissions:
  - {verbs: [approve, cancel], actions: {names: [scale]}, when: "caller.teams.exists(t, t != 'engineering' && t in requester.teams)", message: only for your own team}
---
apiVersion: signoff.dev/v1alpha1
kind: Role
metadata: {namespace: platform, name: reviewing-lead}
spec:
  members: {users: [dave, erin, alice]}
  inherits: [reviewer]
`

func organised(t *testing.T) *Gate {
	t.Helper()
	return gateOver(t, organisation, config.Default(), fakeFacts{}, clock.RealClock{})
}

func scale(who, inputs string) *Subject {
	return &Subject{
		Namespace: "payments", Name: "r", Requester: v1alpha1.Identity{Username: who, Person: who},
		Spec: &v1alpha1.ActionRequestSpec{
			ActionRef: v1alpha1.ActionReference{Namespace: "platform", Name: "scale"},
			Inputs:    &runtime.RawExtension{Raw: []byte(inputs)},
		},
	}
}

func TestWhoIsAsking(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, who, about string
		reasonCode, words  string
	}{
		"Roles":        {reason: "Roles that one holds by inheritance are Roles that one holds.", who: "alice", about: "roles"},
		"NotDownwards": {reason: "Who holds the inherited Role only does not hold the other.", who: "bob", about: "roles", reasonCode: v1alpha1.ReasonDeniedByRule},
		"Leads":        {reason: "A lead leads.", who: "dave", about: "leads"},
		"LeadsNot":     {reason: "A member does not.", who: "alice", about: "leads", reasonCode: v1alpha1.ReasonDeniedByRule},
		"TeamsAbove":   {reason: "Members count as members of the Teams above.", who: "alice", about: "teams"},
		"Team":         {reason: "So says team() of the Team above.", who: "bob", about: "team"},
		"TeamNot":      {reason: "Who is in no Team is in none.", who: "joe", about: "team", reasonCode: v1alpha1.ReasonDeniedByRule},
		"UnknownTeam":  {reason: "A rule about a Team that is not there cannot be judged; nothing runs.", who: "alice", about: "unknown", reasonCode: v1alpha1.ReasonIndeterminate, words: `there is no Team "enginering"`},
		"NoRole": {
			reason: "Who can names every Role through which somebody can.", who: "mallory", about: "roles",
			reasonCode: v1alpha1.ReasonNotAuthorized, words: "Who can: role junior (joe, bob), role senior (alice, dave).",
		},
	} {
		t.Run(name, func(t *testing.T) {
			judgement := organised(t).Judge(t.Context(), scale(tc.who, `{"case": "`+tc.about+`"}`), monday)
			code, message := "", ""
			if judgement.Problem != nil {
				code, message = judgement.Problem.Reason, judgement.Problem.Message
			}
			if code != tc.reasonCode || !strings.Contains(message, tc.words) {
				t.Errorf("%s\ngot %q: %s\nwant %q with %q", tc.reason, code, message, tc.reasonCode, tc.words)
			}
		})
	}
}

func TestWhoMayApproveForWhom(t *testing.T) {
	gate := organised(t)
	for name, tc := range map[string]struct {
		reason, requester, voter string
		words                    string
	}{
		"OwnTeam":   {reason: "Dave is a reviewer by inheritance, and in the Team of Alice.", requester: "alice", voter: "dave"},
		"OtherTeam": {reason: "Erin is a reviewer too, but in another Team.", requester: "alice", voter: "erin", words: "role platform/reviewer lets you approve scale only when: only for your own team"},
		"NoTeam":    {reason: "Carol is a reviewer and in no Team.", requester: "alice", voter: "carol", words: "only for your own team"},
		"NoRole":    {reason: "Bob is in the Team, but no reviewer.", requester: "alice", voter: "bob", words: "Who can: role reviewer (carol), role reviewing-lead (dave, erin, alice)."},
	} {
		t.Run(name, func(t *testing.T) {
			judgement := gate.Judge(t.Context(), scale(tc.requester, `{"case": "ask"}`), monday)
			if judgement.Problem != nil {
				t.Fatal(judgement.Problem.Message)
			}
			requirements := judgement.Stages[0].Requirements
			voter := &v1alpha1.Identity{Username: tc.voter, Person: tc.voter}
			requester := &v1alpha1.Identity{Username: tc.requester, Person: tc.requester}
			got := gate.Eligible(t.Context(), judgement, judgement.Poll(&judgement.Stages[0], requester), voter)
			message := ""
			if got.Problem != nil {
				message = got.Problem.Message
			}
			if (tc.words == "") != (message == "") || !strings.Contains(message, tc.words) {
				t.Errorf("%s\ngot %q, want %q", tc.reason, message, tc.words)
			}
			if people := gate.People(judgement, requirements, requester); people != "carol, dave, erin" {
				t.Errorf("who could approve: got %q; members of Roles that inherit the Role count, the requester does not", people)
			}
			if tc.words == "" && !cmp.Equal([]bool{true}, got.Meets) {
				t.Errorf("%s\nthe vote meets nothing", tc.reason)
			}
		})
	}
}

func TestWhoMayCancelForWhom(t *testing.T) {
	gate := organised(t)
	for voter, may := range map[string]bool{"dave": true, "erin": false, "bob": false, "alice": true} {
		problem := gate.MayCancel(t.Context(), scale("alice", `{"case": "ask"}`), &v1alpha1.Identity{Username: voter, Person: voter}, monday)
		if (problem == nil) != may {
			t.Errorf("%s cancels a request of alice: want %v, got %v", voter, may, problem)
		}
	}
}
