package gate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/utils/clock"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/config"
)

// TestShort: a stage that nobody is able to meet is called so at once, also where it names somebody who is never allowed to vote.
func TestShort(t *testing.T) {
	cfg := config.Default()
	cfg.Approvers.ServiceAccounts = []string{"agents/checker", "platform/deployer"}
	cfg.Requester.Agents.Users = []string{"robot"}
	gate := gateOver(t, world+holding("users: [robot, system:admin], serviceAccounts: [agents/checker, platform/deployer]"), cfg, readable{fakeFacts{labels: map[string]any{"team": "payments"}}}, clock.RealClock{})
	judgement := gate.Judge(t.Context(), asking("alice", "deploy", `{"service":"checkout","environment":"production"}`), monday)
	if judgement.Problem != nil {
		t.Fatal(judgement.Problem.Message)
	}
	for name, tc := range map[string]struct {
		reason    string
		approvers v1alpha1.Approvers
		requester string
		want      int
	}{
		"Configured":   {"A ServiceAccount that the configuration lists may vote.", v1alpha1.Approvers{ServiceAccounts: []string{"agents/checker"}}, "alice", 0},
		"Unconfigured": {"One that it does not list never can.", v1alpha1.Approvers{ServiceAccounts: []string{"agents/bot"}}, "alice", 1},
		"Itself":       {"One that asked cannot agree.", v1alpha1.Approvers{ServiceAccounts: []string{"agents/checker"}}, "system:serviceaccount:agents:checker", 1},
		"AgentUser":    {"A user whom the configuration counts as an agent cannot.", v1alpha1.Approvers{Users: []string{"robot"}}, "alice", 1},
		"SystemUser":   {"Nor can a system identity.", v1alpha1.Approvers{Users: []string{"system:admin"}}, "alice", 1},
		"Person":       {"A person can.", v1alpha1.Approvers{Users: []string{"robot", "bob"}}, "alice", 0},
		"NoRole":       {"A user to whom no Role gives approve cannot.", v1alpha1.Approvers{Users: []string{"zoe"}}, "alice", 1},
		"OtherVerb":    {"Nor one who holds another verb.", v1alpha1.Approvers{Users: []string{"joe"}}, "alice", 1},
		"Executor":     {"The ServiceAccount as which the Action acts never approves it.", v1alpha1.Approvers{ServiceAccounts: []string{"platform/deployer"}}, "alice", 1},
		"Group":        {"In a group whose members nobody can list there may be somebody.", v1alpha1.Approvers{Groups: []string{"security"}}, "alice", 0},
	} {
		t.Run(name, func(t *testing.T) {
			requester := &v1alpha1.Identity{Username: tc.requester, Person: tc.requester}
			got := gate.Short(judgement, &Poll{Requirements: []v1alpha1.Requirement{{Name: "r", Count: 1, Approvers: tc.approvers}}, Requester: requester})
			if diff := cmp.Diff([]int{tc.want}, got); diff != "" {
				t.Errorf("%s\nShort(...): -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// holding is a Role that gives approve to some.
func holding(members string) string {
	return `
---
apiVersion: signoff.dev/v1alpha1
kind: Role
metadata: {namespace: platform, name: holding}
spec: {members: {` + members + `}, permissions: [{verbs: [approve], actions: {names: [deploy]}, when: "inputs.environment == 'staging'"}]}
`
}

// TestShortByRoles: whom no Role can give approve is nobody who could agree, and whom one could give it by a group or by a Team may be.
func TestShortByRoles(t *testing.T) {
	zoe, group := v1alpha1.Approvers{Users: []string{"zoe"}}, v1alpha1.Approvers{Groups: []string{"security"}}
	const team = "\n---\napiVersion: signoff.dev/v1alpha1\nkind: Team\nmetadata: {name: guards}\nspec: {members: {%s}}\n"
	for name, tc := range map[string]struct {
		reason, roles string
		approvers     v1alpha1.Approvers
		want          int
	}{
		"NobodyGroup":  {"Where no Role gives it, nobody in any group can agree.", "", group, 1},
		"Nobody":       {"Nor can a user.", "", zoe, 1},
		"Conditional":  {"A condition may hold when somebody votes.", holding("users: [zoe]"), zoe, 0},
		"SomebodyElse": {"A Role of others gives a user nothing.", holding("users: [yan]"), zoe, 1},
		"GroupOfOther": {"But a member of a group may be who the Role names.", holding("users: [yan]"), group, 0},
		"ByGroup":      {"Whoever is named may be in the group that a Role names.", holding("groups: [engineering]"), zoe, 0},
		"BySystem":     {"A system group gives nobody approve.", holding("groups: ['system:authenticated']"), zoe, 1},
		"ByTeam":       {"A Team gives it to its members.", holding("teams: [guards]") + fmt.Sprintf(team, "users: [zoe]"), zoe, 0},
		"ByTeamGroup":  {"Also by a group.", holding("teams: [guards]") + fmt.Sprintf(team, "groups: [engineering]"), zoe, 0},
		"ByTeamNot":    {"And to nobody else.", holding("teams: [guards]") + fmt.Sprintf(team, "users: [yan]"), zoe, 1},
		"Account": {"A Team can have a ServiceAccount.", holding("teams: [guards]") + fmt.Sprintf(team, "serviceAccounts: [agents/checker]"),
			v1alpha1.Approvers{ServiceAccounts: []string{"agents/checker"}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config.Default()
			cfg.Approvers.ServiceAccounts = []string{"agents/checker"}
			before, _, _ := strings.Cut(world, "metadata: {namespace: platform, name: approver}")
			before = strings.TrimSuffix(before, "---\napiVersion: signoff.dev/v1alpha1\nkind: Role\n")
			g := gateOver(t, before+tc.roles, cfg, readable{fakeFacts{labels: map[string]any{"team": "payments"}}}, clock.RealClock{})
			j := g.Judge(t.Context(), asking("alice", "deploy", `{"service":"checkout","environment":"production"}`), monday)
			if j.Problem != nil {
				t.Fatal(j.Problem.Message)
			}
			poll := &Poll{Requirements: []v1alpha1.Requirement{{Name: "r", Count: 1, Approvers: tc.approvers}}, Requester: &v1alpha1.Identity{Username: "alice", Person: "alice"}}
			if diff := cmp.Diff([]int{tc.want}, g.Short(j, poll)); diff != "" {
				t.Errorf("%s\nShort(...): -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestStillNeeded: nobody is told to wait for a requirement whose members have all voted.
func TestStillNeeded(t *testing.T) {
	gate := newGate(t, readable{fakeFacts{labels: map[string]any{"team": "payments"}}})
	judgement := gate.Judge(t.Context(), asking("alice", "deploy", `{"service":"checkout","environment":"production"}`), monday)
	if judgement.Problem != nil {
		t.Fatal(judgement.Problem.Message)
	}
	approval := &v1alpha1.Approval{Spec: v1alpha1.ApprovalSpec{
		Digest: "d", Requester: v1alpha1.Identity{Username: "alice", Person: "alice"},
		Requirements: []v1alpha1.Requirement{
			{Name: "team", Count: 1, Approvers: v1alpha1.Approvers{Teams: []string{"payments"}}},
			{Name: "expert", Count: 1, Approvers: v1alpha1.Approvers{Users: []string{"bob"}}},
		},
		Votes: []v1alpha1.Vote{{Voter: v1alpha1.Identity{Username: "bob", Person: "bob"}, Decision: v1alpha1.DecisionApprove, Digest: "d"}},
	}}
	result, err := gate.Count(t.Context(), judgement, approval)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := Needs(approval.Spec.Requirements, result.Missing), "1 of payments"; got != want {
		t.Errorf("bob is the only expert and has agreed, so carol must: want %q, got %q", want, got)
	}
}

const several = `
kind: Action
metadata: {namespace: platform, name: restart}
spec:
  title: Restart
  default: {effect: RequireApproval, stages: [two]}
  stages: [{name: two, count: 2, approvers: {users: [bob, robert, carol]}}]
  execution: {serviceAccountName: restarter, steps: [{name: note, patch: {target: {apiVersion: v1, kind: ConfigMap, namespace: a, name: b}, merge: {a: b}}}]}
---
kind: Role
metadata: {namespace: platform, name: all}
spec:
  members: {users: [alice, bob, robert, carol]}
  permissions: [{verbs: [request, approve], actions: {names: ["*"]}}]
`

// TestOnePersonByAnotherExpression counts votes that were cast while person.expression was another one: whoever was one person then, or is one now, counts
// once, and a denial of one is not replaced by what the other says.
func TestOnePersonByAnotherExpression(t *testing.T) {
	by := func(username, person string, decision v1alpha1.Decision) v1alpha1.Vote {
		return v1alpha1.Vote{Voter: v1alpha1.Identity{Username: username, Person: person}, Decision: decision, Digest: "d"}
	}
	const approve, deny = v1alpha1.DecisionApprove, v1alpha1.DecisionDeny
	for name, tc := range map[string]struct {
		reason, expression string
		votes              []v1alpha1.Vote
		want               v1alpha1.ApprovalState
	}{
		"TwoPeople":   {"two people are two", "user.username", []v1alpha1.Vote{by("bob", "bob", approve), by("carol", "carol", approve)}, v1alpha1.ApprovalApproved},
		"OneThen":     {"who was one person when they voted is one", "user.username", []v1alpha1.Vote{by("bob", "b", approve), by("robert", "b", approve)}, v1alpha1.ApprovalOpen},
		"OneNow":      {"who is one person now is one", "user.username == 'robert' ? 'bob' : user.username", []v1alpha1.Vote{by("bob", "bob", approve), by("robert", "robert", approve)}, v1alpha1.ApprovalOpen},
		"OneBetween":  {"who was the person that another one is now is one", "user.username", []v1alpha1.Vote{by("bob", "bob", approve), by("robert", "bob", approve)}, v1alpha1.ApprovalOpen},
		"DeniedAsOne": {"what one of them denies is denied", "user.username", []v1alpha1.Vote{by("bob", "b", deny), by("robert", "b", approve)}, v1alpha1.ApprovalDenied},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config.Default()
			cfg.Person.Expression = tc.expression
			g := gateOver(t, several, cfg, fakeFacts{}, clock.RealClock{})
			j := g.Judge(t.Context(), asking("alice", "restart", ""), monday)
			if j.Problem != nil {
				t.Fatal(j.Problem.Message)
			}
			approval := &v1alpha1.Approval{Spec: v1alpha1.ApprovalSpec{
				Digest: "d", Requester: v1alpha1.Identity{Username: "alice", Person: "alice"}, Requirements: j.Stages[0].Requirements, Votes: tc.votes,
			}}
			got, err := g.Count(t.Context(), j, approval)
			if err != nil || got.State != tc.want {
				t.Errorf("%s: want %s, got %s with %v missing, %v", tc.reason, tc.want, got.State, got.Missing, err)
			}
		})
	}
}

// TestSamePersonByEveryGroup: who votes is compared with who asked by all groups, those of Kubernetes included, which the person expression may
// read. Left out they are only where somebody is looked for among approvers.
func TestSamePersonByEveryGroup(t *testing.T) {
	cfg := config.Default()
	cfg.Person.Expression = "user.groups.exists(g, g.startsWith('system:crew:')) ? user.groups.filter(g, g.startsWith('system:crew:'))[0] : user.username"
	gate := gateOver(t, world, cfg, readable{fakeFacts{labels: map[string]any{"team": "payments"}}}, clock.RealClock{})
	judgement := gate.Judge(t.Context(), asking("alice", "deploy", `{"service":"checkout","environment":"production"}`), monday)
	if judgement.Problem != nil {
		t.Fatal(judgement.Problem.Message)
	}
	requester := &v1alpha1.Identity{Username: "alice", Groups: []string{"system:crew:7", "people"}}
	for crew, want := range map[string]string{"system:crew:7": v1alpha1.ReasonSelfApproval, "system:crew:8": ""} {
		voter := &v1alpha1.Identity{Username: "bob", Groups: []string{"people", crew}}
		got := ""
		if eligible := gate.Eligible(t.Context(), judgement, judgement.Poll(&judgement.Stages[0], requester), voter); eligible.Problem != nil {
			got = eligible.Problem.Reason
		}
		if got != want {
			t.Errorf("bob of %s votes on what alice of crew 7 asked for: got %q, want %q", crew, got, want)
		}
	}
}
