package security

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/audit"
	"github.com/signoff-dev/signoff/test/env"
)

const roleDelegator = "signoff-delegator"

// standIn is a Delegation that lets somebody vote for a principal for an hour.
func standIn(name, principal, to string) *v1alpha1.Delegation {
	return &v1alpha1.Delegation{
		ObjectMeta: metav1.ObjectMeta{Namespace: env.CatalogNamespace, Name: name},
		Spec: v1alpha1.DelegationSpec{
			To: v1alpha1.Delegates{Users: []string{to}}, Until: metav1.NewTime(time.Now().Add(time.Hour).Truncate(time.Second)),
			Reason: "on leave", Principal: &v1alpha1.Identity{Username: principal},
		},
	}
}

// delegates lets somebody make a Delegation, once RBAC knows that they may, and waits until it counts. It is gone after the test.
func delegates(t *testing.T, who env.Person, name, to string) *v1alpha1.Delegation {
	t.Helper()
	if err := cluster.Grant(t.Context(), roleDelegator, env.CatalogNamespace, env.ToUser(who.Name)); err != nil {
		t.Fatal(err)
	}
	d := standIn(name, "whoever", to)
	eventually(t, who.Name+" makes a Delegation", func() (bool, string) {
		err := as(t, who).Create(t.Context(), d)
		return err == nil, errText(err)
	})
	c := admin(t)
	t.Cleanup(func() {
		if err := client.IgnoreNotFound(c.Delete(context.WithoutCancel(t.Context()), d)); err != nil {
			t.Error(err)
		}
	})
	hasState(t, d, v1alpha1.DelegationActive)
	return live(t, d)
}

func hasState(t *testing.T, d *v1alpha1.Delegation, want v1alpha1.DelegationState) {
	t.Helper()
	eventually(t, fmt.Sprintf("the Delegation %s is %s", d.Name, want), func() (bool, string) {
		now := live(t, d)
		return now.Status.State == want && now.Status.ObservedGeneration == now.Generation, fmt.Sprintf("%+v", now.Status)
	})
}

// stranger may vote by RBAC, and is no approver.
func stranger(t *testing.T, name string) env.Person {
	t.Helper()
	if err := cluster.Grant(t.Context(), env.RoleApprover, env.WorkNamespace, env.ToUser(name)); err != nil {
		t.Fatal(err)
	}
	return login(t, name)
}

// votesFor votes in the name of somebody, or of whom Signoff finds.
func votesFor(t *testing.T, who env.Person, approval *v1alpha1.Approval, principal string) error {
	t.Helper()
	return patch(t, who, approval, fmt.Sprintf(`{"spec":{"vote":{"decision":"Approve","principal":%q}}}`, principal))
}

// TestCase80StandIn lets somebody vote for an approver who is away: by a Delegation, for as long as it is there, and as one voice.
func TestCase80StandIn(t *testing.T) {
	dora := stranger(t, "dora")
	_, approval := opened(t, users.Alice, request("stood-for", `{}`))
	eventually(t, "dora is refused by Signoff", func() (bool, string) {
		err := vote(t, dora, approval, v1alpha1.DecisionApprove, "")
		return err != nil && strings.Contains(err.Error(), "you (dora) may not approve platform/stood-for"), errText(err)
	})
	refused(t, votesFor(t, dora, approval, "bob"), metav1.StatusReasonForbidden, "no Delegation of theirs in namespace platform lets you")

	given := delegates(t, users.Bob, "bob-to-dora", dora.Name)
	if given.Spec.Principal.Username != "bob" {
		t.Fatalf("whoever writes it is the principal, whatever they write: %+v", given.Spec.Principal)
	}
	r, approval, release := agreed(t, request("stood-for", `{}`), dora)
	cast := live(t, approval).Spec.Votes[0]
	if cast.Voter.Username != "dora" || cast.Delegation == nil || cast.Delegation.Principal != "bob" || cast.Delegation.UID != given.UID {
		t.Errorf("the vote says who gave it, and for whom: %+v", cast)
	}
	if decided := strings.Join(live(t, approval).Status.Decided, " "); !strings.Contains(decided, "dora for bob") {
		t.Errorf("people read who decided for whom: %q", decided)
	}
	eventually(t, "the audit log says who lets whom vote, and who did", func() (bool, string) {
		made := told(t, audit.TypeDelegated, "delegations/platform/bob-to-dora")
		cast := told(t, audit.TypeStageVoted, r.Namespace+"/"+r.Name)
		if len(made) != 1 || len(cast) != 1 {
			return false, fmt.Sprintf("%d and %d lines", len(made), len(cast))
		}
		vote := string(cast[0].Data.Seals.Vote.Payload)
		return made[0].Data.Delegation.UID == string(given.UID) && strings.Contains(vote, `"delegation":{"principal":"bob","seal":"sha256:`) && strings.Contains(vote, string(given.UID)), vote
	})
	// Bob takes it back before anything has run.
	if err := as(t, users.Bob).Delete(t.Context(), given); err != nil {
		t.Fatal(err)
	}
	neverStarts(t, r, v1alpha1.PhaseAwaitingApproval)
	eventually(t, "the vote no longer counts", func() (bool, string) {
		now := live(t, approval)
		return now.Status.State == v1alpha1.ApprovalSuperseded, fmt.Sprintf("%+v", now.Status)
	})
	release()

	t.Run("OneVoice", func(t *testing.T) {
		delegates(t, users.Bob, "bob-to-dora-again", dora.Name)
		delegates(t, users.Bob, "bob-to-carol", users.Carol.Name)
		_, both := opened(t, users.Alice, request("stood-for-both", `{}`))
		votes(t, dora, both, v1alpha1.DecisionApprove)
		votes(t, users.Bob, both, v1alpha1.DecisionApprove)
		eventually(t, "bob and who stands for him are one", func() (bool, string) {
			now := live(t, both)
			return now.Status.Seal != nil && now.Status.Seal.Votes == 2 && now.Status.State == v1alpha1.ApprovalOpen, fmt.Sprintf("%+v", now.Status)
		})
		// Carol has one vote, in her own name or in his.
		if err := votesFor(t, users.Carol, both, "bob"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "three people say one thing for one", func() (bool, string) {
			now := live(t, both)
			return now.Status.Seal != nil && now.Status.Seal.Votes == 3 && now.Status.State == v1alpha1.ApprovalOpen, fmt.Sprintf("%+v", now.Status)
		})
		votes(t, users.Carol, both, v1alpha1.DecisionApprove)
		closes(t, both, v1alpha1.ApprovalApproved)
	})

	t.Run("Chain", func(t *testing.T) {
		delegates(t, users.Bob, "bob-to-dora-in-a-chain", dora.Name)
		delegates(t, users.Carol, "carol-to-bob", users.Bob.Name)
		_, both := opened(t, users.Alice, request("stood-for-both", `{}`))
		if err := votesFor(t, users.Bob, both, "carol"); err != nil {
			t.Fatal(err)
		}
		votes(t, dora, both, v1alpha1.DecisionApprove)
		eventually(t, "bob counts once, as a voter and as who is voted for", func() (bool, string) {
			now := live(t, both)
			return now.Status.Seal != nil && now.Status.Seal.Votes == 2 && now.Status.State == v1alpha1.ApprovalOpen, fmt.Sprintf("%+v", now.Status)
		})
		if err := votesFor(t, users.Bob, both, "bob"); err != nil {
			t.Fatal(err)
		}
		votes(t, users.Carol, both, v1alpha1.DecisionApprove)
		closes(t, both, v1alpha1.ApprovalApproved)
	})
}

// TestCase81StandInOfTheWrongPerson tries to agree to one's own request through an approver, and as what is no person.
func TestCase81StandInOfTheWrongPerson(t *testing.T) {
	_, approval := opened(t, users.Alice, request("stood-for", `{}`))
	for name, tc := range map[string]struct {
		who   env.Person
		words string
	}{
		"Requester":  {users.Alice, "you asked for it"},
		"OtherLogin": {engineer(t, "alice@laptop"), "you asked for it"},
		"Agent":      {engineer(t, assistant), "is an agent"},
	} {
		t.Run(name, func(t *testing.T) {
			delegates(t, users.Bob, "wrong-"+strings.ToLower(name), tc.who.Name)
			refused(t, votesFor(t, tc.who, approval, "bob"), metav1.StatusReasonForbidden, tc.words)
			refused(t, vote(t, tc.who, approval, v1alpha1.DecisionApprove, ""), metav1.StatusReasonForbidden)
		})
	}
	t.Run("ForTheRequester", func(t *testing.T) {
		dora := stranger(t, "dora")
		delegates(t, users.Carol, "carol-to-dora", dora.Name)
		_, hers := opened(t, users.Carol, request("stood-for-both", `{}`))
		eventually(t, "dora is refused by Signoff", func() (bool, string) {
			err := votesFor(t, dora, hers, "carol")
			return err != nil && strings.Contains(err.Error(), "who could not vote here either"), errText(err)
		})
	})
	t.Run("Account", func(t *testing.T) {
		if err := cluster.Grant(t.Context(), roleDelegator, env.CatalogNamespace, env.ToServiceAccount(env.AgentNamespace, "bot")); err != nil {
			t.Fatal(err)
		}
		eventually(t, "what is no person lets nobody vote", func() (bool, string) {
			err := as(t, users.Agent).Create(t.Context(), standIn("by-a-bot", "bot", "dora"))
			return err != nil && strings.Contains(err.Error(), "only people can"), errText(err)
		})
	})
	if now := live(t, approval); len(now.Spec.Votes) != 0 {
		t.Errorf("a refused vote left something: %+v", now.Spec.Votes)
	}
}

// TestCase82StandInForged makes, changes, takes over and restores Delegations that are others'.
func TestCase82StandInForged(t *testing.T) {
	dora := stranger(t, "dora")
	given := delegates(t, users.Bob, "bob-to-carol-only", users.Carol.Name)
	mallory := as(t, users.Mallory)
	if err := cluster.Grant(t.Context(), roleDelegator, env.CatalogNamespace, env.ToUser(users.Mallory.Name)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nobody lets others vote without the verb", func() (bool, string) {
		err := mallory.Create(t.Context(), standIn("mallorys", "bob", users.Mallory.Name))
		return err != nil && strings.Contains(err.Error(), "is you: name somebody else"), errText(err)
	})
	refused(t, mallory.Create(t.Context(), standIn("mallorys", "bob", dora.Name)), metav1.StatusReasonForbidden, `gives you the verb "delegate"`)
	refused(t, mallory.Delete(t.Context(), given.DeepCopy()), metav1.StatusReasonForbidden, "is of bob")
	long := standIn("long", "", dora.Name)
	long.Spec.Until = metav1.NewTime(time.Now().Add(31 * 24 * time.Hour).Truncate(time.Second))
	refused(t, as(t, users.Bob).Create(t.Context(), long), metav1.StatusReasonInvalid, "spec.until", "more than 30 days")
	refused(t, patch(t, olga(t), given, `{"spec":{"to":{"users":["dora"]}}}`), metav1.StatusReasonInvalid, "cannot change")

	_, approval := opened(t, users.Alice, request("stood-for", `{}`))
	eventually(t, "dora is refused by Signoff", func() (bool, string) {
		err := votesFor(t, dora, approval, "bob")
		return err != nil && strings.Contains(err.Error(), "no Delegation of theirs"), errText(err)
	})
	// What was taken back is stored again, as it was, past the webhooks; and one is made in his name.
	if err := as(t, users.Bob).Delete(t.Context(), given.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	forged, restored := standIn("forged", "bob", dora.Name), given.DeepCopy()
	restored.ResourceVersion, restored.UID, restored.CreationTimestamp, restored.ManagedFields = "", types.UID(""), metav1.Time{}, nil
	restored.Spec.To.Users = []string{dora.Name}
	moved := given.DeepCopy()
	moved.ResourceVersion, moved.UID, moved.CreationTimestamp, moved.ManagedFields, moved.Name = "", types.UID(""), metav1.Time{}, nil, "moved"
	unguarded(t, func() {
		for _, d := range []*v1alpha1.Delegation{forged, restored, moved} {
			written(t, func() error { return admin(t).Create(t.Context(), d) })
		}
	})
	guarded(t)
	for _, d := range []*v1alpha1.Delegation{forged, restored, moved} {
		hasState(t, d, v1alpha1.DelegationInvalid)
		t.Cleanup(func() { _ = admin(t).Delete(context.WithoutCancel(t.Context()), d) })
	}
	_, approval = opened(t, users.Alice, request("stood-for", `{}`))
	refused(t, votesFor(t, dora, approval, "bob"), metav1.StatusReasonForbidden, "you (dora) cannot vote for bob")
	refused(t, votesFor(t, users.Carol, approval, "bob"), metav1.StatusReasonForbidden, "you (carol) cannot vote for bob")
	if now := live(t, approval); len(now.Spec.Votes) != 0 {
		t.Errorf("a refused vote left something: %+v", now.Spec.Votes)
	}
}
