package snapshot

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

func team(name, parent string, members, leads *v1alpha1.Subjects) *v1alpha1.Team {
	return &v1alpha1.Team{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.TeamSpec{Parent: parent, Members: members, Leads: leads}}
}

func role(name string, members v1alpha1.Subjects, actions v1alpha1.ActionSelector, verbs ...v1alpha1.Verb) *v1alpha1.Role {
	return &v1alpha1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: name},
		Spec:       v1alpha1.RoleSpec{Members: members, Permissions: []v1alpha1.Permission{{Verbs: verbs, Actions: actions}}},
	}
}

func of(objects ...any) *Snapshot {
	store := NewStore(nil)
	for _, object := range objects {
		store.Put(object)
	}
	store.MarkSynced()
	store.Rebuild()
	return store.Current()
}

func action(labels map[string]string) *v1alpha1.Action {
	return &v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "deploy", Labels: labels}}
}

func TestPermissions(t *testing.T) {
	alice := v1alpha1.Identity{Username: "alice", Groups: []string{"developers"}}
	bot := v1alpha1.Identity{Username: "system:serviceaccount:agents:bot", Groups: []string{"system:serviceaccounts"}}
	byName := v1alpha1.ActionSelector{Names: []string{"deploy"}}
	for name, tc := range map[string]struct {
		reason  string
		objects []any
		who     v1alpha1.Identity
		action  *v1alpha1.Action
		verb    v1alpha1.Verb
		want    []string
	}{
		"ByUser":  {reason: "A user is named exactly.", who: alice, objects: []any{role("r", v1alpha1.Subjects{Users: []string{"alice"}}, byName, "request")}, want: []string{"r"}},
		"ByGroup": {reason: "So is a group.", who: alice, objects: []any{role("r", v1alpha1.Subjects{Groups: []string{"developers"}}, byName, "request")}, want: []string{"r"}},
		"GroupIsNoUser": {
			reason: "A group of the same name is not the user.", who: alice,
			objects: []any{role("r", v1alpha1.Subjects{Groups: []string{"alice"}}, byName, "request")},
		},
		"ServiceAccount": {
			reason: "A ServiceAccount is named by namespace and name, not by its user name.", who: bot,
			objects: []any{
				role("r", v1alpha1.Subjects{ServiceAccounts: []string{"agents/bot"}}, byName, "request"),
				role("by-username", v1alpha1.Subjects{Users: []string{bot.Username}}, byName, "request"),
			},
			want: []string{"r"},
		},
		"TeamBelow": {
			reason: "Members of a Team below count as members of the Team above, and leads as members.", who: alice,
			objects: []any{
				team("engineering", "", nil, nil), team("web", "engineering", nil, nil),
				team("checkout", "web", nil, &v1alpha1.Subjects{Users: []string{"alice"}}),
				role("r", v1alpha1.Subjects{Teams: []string{"engineering"}}, byName, "request"),
			},
			want: []string{"r"},
		},
		"TeamAbove": {
			reason: "A member of the Team above is no member of the Team below.", who: alice,
			objects: []any{
				team("engineering", "", &v1alpha1.Subjects{Users: []string{"alice"}}, nil), team("web", "engineering", nil, nil),
				role("r", v1alpha1.Subjects{Teams: []string{"web"}}, byName, "request"),
			},
		},
		"OtherVerb": {
			reason: "A permission for one verb is none for another.", who: alice, verb: "approve",
			objects: []any{role("r", v1alpha1.Subjects{Users: []string{"alice"}}, byName, "request")},
		},
		"EveryAction": {
			reason: "The star means every Action.", who: alice,
			objects: []any{role("r", v1alpha1.Subjects{Users: []string{"alice"}}, v1alpha1.ActionSelector{Names: []string{"*"}}, "request")}, want: []string{"r"},
		},
		"PrefixIsNotName": {
			reason: "Names are compared whole.", who: alice,
			objects: []any{role("r", v1alpha1.Subjects{Users: []string{"alice"}}, v1alpha1.ActionSelector{Names: []string{"deploy-evil", "depl"}}, "request")},
		},
		"BySelector": {
			reason: "A selector selects by the labels of the Action.", who: alice, action: action(map[string]string{"tier": "low"}),
			objects: []any{
				role("low", v1alpha1.Subjects{Users: []string{"alice"}}, v1alpha1.ActionSelector{Selector: &v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{"tier": "low"}}}, "request"),
				role("high", v1alpha1.Subjects{Users: []string{"alice"}}, v1alpha1.ActionSelector{Selector: &v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{"tier": "high"}}}, "request"),
			},
			want: []string{"low"},
		},
		"OtherNamespace": {
			reason: "A Role is about the Actions beside it only.", who: alice,
			objects: []any{&v1alpha1.Role{
				ObjectMeta: metav1.ObjectMeta{Namespace: "elsewhere", Name: "r"},
				Spec: v1alpha1.RoleSpec{Members: v1alpha1.Subjects{Users: []string{"alice"}},
					Permissions: []v1alpha1.Permission{{Verbs: []v1alpha1.Verb{"request"}, Actions: byName}}},
			}},
		},
		"TwoWays": {
			reason: "Who is named twice holds the permission once.", who: alice,
			objects: []any{role("r", v1alpha1.Subjects{Users: []string{"alice"}, Groups: []string{"developers"}}, byName, "request")}, want: []string{"r"},
		},
		"BrokenRole": {
			reason: "A Role that does not compile grants nothing.", who: alice,
			objects: []any{&v1alpha1.Role{
				ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "r"},
				Spec: v1alpha1.RoleSpec{Members: v1alpha1.Subjects{Users: []string{"alice"}},
					Permissions: []v1alpha1.Permission{{Verbs: []v1alpha1.Verb{"request"}, Actions: byName, When: "1 +"}}},
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.action == nil {
				tc.action = action(nil)
			}
			if tc.verb == "" {
				tc.verb = v1alpha1.VerbRequest
			}
			var got []string
			for _, permission := range of(tc.objects...).Permissions(tc.action, tc.verb, &tc.who) {
				got = append(got, permission.Role.Object.Name)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\nPermissions(...): -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestTeamsInACircle(t *testing.T) {
	alice := &v1alpha1.Identity{Username: "alice"}
	snapshot := of(team("a", "b", &v1alpha1.Subjects{Users: []string{"alice"}}, nil), team("b", "a", nil, nil))
	if diff := cmp.Diff([]string{"a", "b"}, snapshot.TeamsOf(alice)); diff != "" {
		t.Errorf("Teams that are above each other must not hang or grow: -want, +got:\n%s", diff)
	}
	users, groups := snapshot.PeopleOf(&v1alpha1.Subjects{Teams: []string{"b"}})
	if diff := cmp.Diff([]string{"alice"}, users); diff != "" || groups {
		t.Errorf("PeopleOf(b): -want, +got:\n%s (groups: %v)", diff, groups)
	}
}

func TestBrokenPolicyStillMatches(t *testing.T) {
	policy := &v1alpha1.ActionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: v1alpha1.ActionPolicySpec{
		Rules: []v1alpha1.PolicyRule{{Name: "r", When: "inputs.", Effect: "Deny"}},
	}}
	matching := of(policy).Policies(action(nil), "payments").Entries
	if len(matching) != 1 || matching[0].Err == nil {
		t.Errorf("a policy that does not compile must match with its error, so that requests wait; got %v", matching)
	}
}

func TestRemove(t *testing.T) {
	store := NewStore(nil)
	granted := role("r", v1alpha1.Subjects{Users: []string{"alice"}}, v1alpha1.ActionSelector{Names: []string{"deploy"}}, "request")
	store.Put(granted)
	store.Rebuild()
	before := store.Current()
	store.Remove(granted)
	store.Rebuild()
	alice := &v1alpha1.Identity{Username: "alice"}
	if got := len(before.Permissions(action(nil), "request", alice)); got != 1 {
		t.Errorf("an earlier snapshot never changes: want 1 permission, got %d", got)
	}
	if got := len(store.Current().Permissions(action(nil), "request", alice)); got != 0 {
		t.Errorf("a Role that is gone grants nothing: want 0 permissions, got %d", got)
	}
}

func TestNotSyncedAtFirst(t *testing.T) {
	store := NewStore(nil)
	if store.Current().Synced() {
		t.Error("a store that has not been told that it is in sync must not say so")
	}
}

func BenchmarkPermissions(b *testing.B) {
	for _, count := range []int{10, 10_000} {
		var objects []any
		for i := range count {
			objects = append(objects, role(fmt.Sprintf("role-%d", i), v1alpha1.Subjects{Groups: []string{fmt.Sprintf("group-%d", i)}}, v1alpha1.ActionSelector{Names: []string{"deploy"}}, "request"))
		}
		snapshot := of(objects...)
		who := &v1alpha1.Identity{Username: "alice", Groups: []string{"group-1", "system:authenticated"}}
		b.Run(fmt.Sprintf("roles=%d", count), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if len(snapshot.Permissions(action(nil), "request", who)) != 1 {
					b.Fatal("the permission was not found")
				}
			}
		})
	}
}

// TestSystemGroupsAreInNoTeam reads a Team that was stored before system groups were refused in it, or without the webhook.
func TestSystemGroupsAreInNoTeam(t *testing.T) {
	snapshot := of(&v1alpha1.Team{ObjectMeta: metav1.ObjectMeta{Name: "all"}, Spec: v1alpha1.TeamSpec{
		Members: &v1alpha1.Subjects{Groups: []string{"system:authenticated", "people"}}, Leads: &v1alpha1.Subjects{Groups: []string{"system:masters"}},
	}})
	anybody := &v1alpha1.Identity{Username: "x", Groups: []string{"system:authenticated", "system:masters"}}
	if teams := snapshot.TeamsOf(anybody); len(teams) > 0 || snapshot.Leads(anybody, "all") {
		t.Errorf("whoever logs in is in no Team by that: got %v", teams)
	}
	if groups := snapshot.GroupsOf(&v1alpha1.Subjects{Teams: []string{"all"}}); !slices.Equal(groups, []string{"people"}) {
		t.Errorf("only groups of people are in a Team: got %v", groups)
	}
}
