package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

// fleet is the catalog of these tests.
const fleet = "fleet"

// someLeads applies who leads whom as it is at the beginning, and waits until Signoff has seen it.
func someLeads(t *testing.T) {
	t.Helper()
	namespace(t, fleet)
	_, err := cluster.ServiceAccount(t.Context(), fleet, "sailor")
	if err == nil {
		err = signoff.Grant(t.Context(), fleet, "sailor")
	}
	if err == nil {
		err = cluster.ApplyFile(t.Context(), "test/integration/testdata/leads.yaml")
	}
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the Teams as they are at the beginning", func() (bool, string) {
		now, person := signoff.Process.Store.Current(), func(name string) *v1alpha1.Identity { return &v1alpha1.Identity{Username: name, Person: name} }
		alices := slices.DeleteFunc(slices.Clone(now.TeamsOf(person("alice"))), func(team string) bool { return !strings.HasPrefix(team, "leads-") })
		return slices.Equal(alices, []string{"leads-crew"}) && now.Leads(person("bob"), "leads-crew") && now.Leads(person("carol"), "leads-harbour"), fmt.Sprint(alices)
	})
}

// led changes a Team.
func led(t *testing.T, team, spec string) {
	t.Helper()
	apply(t, `{apiVersion: signoff.dev/v1alpha1, kind: Team, metadata: {name: `+team+`}, spec: `+spec+`}`)
}

// asked asks for an Action of the fleet, and gives the Approval once it asks whom it must.
func asked(t *testing.T, action, inputs string, want v1alpha1.Approvers) (*v1alpha1.ActionRequest, *v1alpha1.Approval) {
	t.Helper()
	r := request(action, inputs)
	r.Spec.ActionRef.Namespace = fleet
	ask(t, users.Alice, r)
	reaches(t, r, v1alpha1.PhaseAwaitingApproval)
	approval := &approvalsOf(t, r, 1)[0]
	asks(t, approval, want)
	return r, approval
}

func asks(t *testing.T, approval *v1alpha1.Approval, want v1alpha1.Approvers) {
	t.Helper()
	if diff := cmp.Diff(want, approval.Spec.Requirements[0].Approvers); diff != "" {
		t.Fatalf("whom the Approval asks (-want +got):\n%s", diff)
	}
}

// The ways to ask for agreement, and whom each asks.
var (
	byTeam, byPair, byTarget, byRole, byOwn = `{"ask":"team"}`, `{"ask":"pair"}`, `{"ask":"target"}`, `{"ask":"role"}`, `{}`
	captains, anybody                       = v1alpha1.Approvers{Roles: []string{"captain"}}, v1alpha1.Approvers{Roles: []string{"*"}}
)

func leadsOf(team string) v1alpha1.Approvers { return v1alpha1.Approvers{LeadsOf: []string{team}} }

// cannot expects that somebody may not vote, because nothing names them, or the condition of their Role does not hold.
func cannot(t *testing.T, who env.Person, approval *v1alpha1.Approval) {
	t.Helper()
	eventually(t, "the refusal of the vote of "+who.Name, func() (bool, string) {
		body := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"vote":{"decision":"Approve"}}}`))
		return as(t, who).Patch(t.Context(), approval.DeepCopy(), body, client.DryRunAll) != nil, "the vote would count"
	})
	words := fmt.Sprintf("you (%s) cannot approve", who.Name)
	if approval.Spec.ActionRef.Name == "moor" {
		words = "only who leads the requester"
	}
	refused(t, vote(t, who, approval, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden, words)
}

// replaced waits until something else is asked, and gives it.
func replaced(t *testing.T, r *v1alpha1.ActionRequest, before *v1alpha1.Approval) *v1alpha1.Approval {
	t.Helper()
	closes(t, before, v1alpha1.ApprovalSuperseded)
	for _, approval := range approvalsOf(t, r, 2) {
		if approval.UID != before.UID {
			return &approval
		}
	}
	t.Fatal("nothing else is asked")
	return nil
}

// TestLeadsAndRolesApprove plays who may agree where leads of the requester's Team, leads of the target's Team or members of a Role are asked, and
// who may not: members, leads of another Team, and whoever asked, also where they lead.
func TestLeadsAndRolesApprove(t *testing.T) {
	for name, tc := range map[string]struct {
		reason string
		action string
		inputs string
		asks   v1alpha1.Approvers
		may    []env.Person
		mayNot []env.Person
	}{
		"Requester": {"Who leads the Team of whoever asks.", "sail", byTeam, leadsOf("leads-crew"), []env.Person{users.Bob}, []env.Person{users.Carol, users.Dave, users.Erin}},
		"Condition": {"Who leads a Team of whoever asks, by a condition of a Role.", "moor", byOwn, anybody, []env.Person{users.Bob}, []env.Person{users.Carol, users.Dave, users.Erin}},
		"Target":    {"Who leads the Team of what is changed.", "sail", byTarget, leadsOf("leads-harbour"), []env.Person{users.Carol}, []env.Person{users.Bob, users.Dave, users.Erin}},
		"Role":      {"Members, and those of a Role that inherits it.", "sail", byRole, captains, []env.Person{users.Erin, users.Dave}, []env.Person{users.Bob, users.Carol}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, who := range tc.may {
				someLeads(t)
				r, approval := asked(t, tc.action, tc.inputs, tc.asks)
				for _, other := range tc.mayNot {
					cannot(t, other, approval)
				}
				votes(t, who, approval, v1alpha1.DecisionApprove, "")
				reaches(t, r, v1alpha1.PhaseSucceeded)
			}
		})
	}
	t.Run("LeadsThemself", func(t *testing.T) {
		someLeads(t)
		led(t, "leads-crew", `{members: {users: [dave]}, leads: {users: [alice, bob]}}`)
		r, approval := asked(t, "sail", byTeam, leadsOf("leads-crew"))
		refused(t, vote(t, users.Alice, approval, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden, "you cannot approve this: you asked for it")
		votes(t, users.Bob, approval, v1alpha1.DecisionApprove, "")
		reaches(t, r, v1alpha1.PhaseSucceeded)
	})
}

// TestLeadChangesWhileItWaits changes who leads, while a request waits: who leads when they vote, and still does at the start, counts.
func TestLeadChangesWhileItWaits(t *testing.T) {
	t.Run("BeforeTheVote", func(t *testing.T) {
		someLeads(t)
		r, approval := asked(t, "sail", byTeam, leadsOf("leads-crew"))
		led(t, "leads-crew", `{members: {users: [alice, bob]}, leads: {users: [carol]}}`)
		cannot(t, users.Bob, approval)
		votes(t, users.Carol, approval, v1alpha1.DecisionApprove, "")
		reaches(t, r, v1alpha1.PhaseSucceeded)
	})
	t.Run("ByACondition", func(t *testing.T) {
		someLeads(t)
		r, approval := asked(t, "moor", byOwn, anybody)
		led(t, "leads-lighthouse", `{members: {users: [alice]}, leads: {users: [erin]}}`)
		led(t, "leads-crew", `{members: {users: [dave]}, leads: {users: [bob]}}`)
		cannot(t, users.Bob, approval)
		votes(t, users.Erin, approval, v1alpha1.DecisionApprove, "")
		reaches(t, r, v1alpha1.PhaseSucceeded)
	})
	t.Run("AfterTheVote", func(t *testing.T) {
		someLeads(t)
		led(t, "leads-crew", `{members: {users: [alice]}, leads: {users: [bob, carol]}}`)
		r, approval := asked(t, "sail", byPair, leadsOf("leads-crew"))
		votes(t, users.Bob, approval, v1alpha1.DecisionApprove, "")
		shows(t, approval, "1 of leads of leads-crew")
		led(t, "leads-crew", `{members: {users: [alice, bob]}, leads: {users: [carol, dave]}}`)
		shows(t, approval, "2 of leads of leads-crew")
		votes(t, users.Carol, approval, v1alpha1.DecisionApprove, "")
		shows(t, approval, "1 of leads of leads-crew")
		votes(t, users.Dave, approval, v1alpha1.DecisionApprove, "")
		done := reaches(t, r, v1alpha1.PhaseSucceeded)
		if text := strings.Join(done.Status.Summary, "\n"); strings.Contains(text, "bob") {
			t.Errorf("who no longer leads has agreed to nothing:\n%s", text)
		}
	})
	t.Run("RequesterMoves", func(t *testing.T) {
		someLeads(t)
		r, before := asked(t, "sail", byTeam, leadsOf("leads-crew"))
		led(t, "leads-lighthouse", `{members: {users: [alice]}, leads: {users: [erin]}}`)
		led(t, "leads-crew", `{members: {users: [dave]}, leads: {users: [bob]}}`)
		var now *v1alpha1.Approval
		for _, approval := range approvalsOf(t, r, 2) {
			if approval.UID != before.UID {
				now = &approval
			}
		}
		asks(t, now, leadsOf("leads-lighthouse"))
		cannot(t, users.Bob, now)
		eventually(t, "only who leads the other Team is asked", func() (bool, string) {
			live := &v1alpha1.ActionRequest{}
			err := admin(t).Get(t.Context(), client.ObjectKeyFromObject(r), live)
			approved := meta.FindStatusCondition(live.Status.Conditions, v1alpha1.ConditionApproved)
			return err == nil && strings.Contains(approved.Message, "leads-lighthouse") && !strings.Contains(approved.Message, "crew"), fmt.Sprintf("%v %+v", err, approved)
		})
		// Where he led, he can still deny; his agreement is not asked any more.
		votes(t, users.Bob, before, v1alpha1.DecisionApprove, "")
		reaches(t, r, v1alpha1.PhaseAwaitingApproval)
		votes(t, users.Erin, now, v1alpha1.DecisionApprove, "")
		reaches(t, r, v1alpha1.PhaseSucceeded)
		closes(t, before, v1alpha1.ApprovalSuperseded)
	})
	t.Run("NobodyLeads", func(t *testing.T) {
		someLeads(t)
		r, approval := asked(t, "sail", byTarget, leadsOf("leads-harbour"))
		led(t, "leads-harbour", `{members: {users: [dave]}}`)
		cannot(t, users.Carol, approval)
		led(t, "leads-harbour", `{members: {users: [carol]}, leads: {users: [dave]}}`)
		votes(t, users.Dave, approval, v1alpha1.DecisionApprove, "")
		reaches(t, r, v1alpha1.PhaseSucceeded)
	})
	t.Run("LeavesTheRole", func(t *testing.T) {
		someLeads(t)
		r, approval := asked(t, "sail", byRole, captains)
		apply(t, `{apiVersion: signoff.dev/v1alpha1, kind: Role, metadata: {namespace: fleet, name: mate}, spec: {members: {users: [bob]}, inherits: [captain]}}`)
		cannot(t, users.Dave, approval)
		votes(t, users.Bob, approval, v1alpha1.DecisionApprove, "")
		reaches(t, r, v1alpha1.PhaseSucceeded)
	})
	t.Run("TargetMoves", func(t *testing.T) {
		someLeads(t)
		r, before := asked(t, "sail", byTarget, leadsOf("leads-harbour"))
		apply(t, `{apiVersion: v1, kind: ConfigMap, metadata: {namespace: fleet, name: ship, labels: {team: leads-lighthouse}}}`)
		now := replaced(t, r, before)
		asks(t, now, leadsOf("leads-lighthouse"))
		cannot(t, users.Carol, now)
		votes(t, users.Erin, now, v1alpha1.DecisionApprove, "")
		reaches(t, r, v1alpha1.PhaseSucceeded)
	})
}
