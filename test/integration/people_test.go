package integration

import (
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

// aRole makes a Role in namespace people.
func aRole(t *testing.T, name, spec string) *v1alpha1.Role {
	t.Helper()
	role := &v1alpha1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "people", Name: name}}
	if err := yaml.UnmarshalStrict([]byte(spec), &role.Spec); err != nil {
		t.Fatal(err)
	}
	return role
}

func aTeam(t *testing.T, name, spec string) *v1alpha1.Team {
	t.Helper()
	team := &v1alpha1.Team{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := yaml.UnmarshalStrict([]byte(spec), &team.Spec); err != nil {
		t.Fatal(err)
	}
	return team
}

// somePeople applies who is there, and waits until Signoff has seen it: Bob holds what owners hold.
func somePeople(t *testing.T) {
	t.Helper()
	if err := cluster.ApplyFile(t.Context(), "test/integration/testdata/people.yaml"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what owners hold", func() (bool, string) {
		err := as(t, users.Bob).Create(t.Context(), aRole(t, "probe", "{members: {users: [dave]}, inherits: [owner]}"), client.DryRunAll)
		return err == nil, errText(err)
	})
	eventually(t, "what askers hold", func() (bool, string) {
		err := as(t, users.Nadia).Create(t.Context(), aRole(t, "probe", "{members: {users: [dave]}, permissions: [{verbs: [request], actions: {names: [deploy]}}]}"), client.DryRunAll)
		return err == nil, errText(err)
	})
}

// write is one write of an object.
type write func(t *testing.T, c client.Client) error

func creating(object func(t *testing.T) client.Object) write {
	return func(t *testing.T, c client.Client) error { return c.Create(t.Context(), object(t)) }
}

func creatingRole(name, spec string) write {
	return creating(func(t *testing.T) client.Object { return aRole(t, name, spec) })
}

func creatingTeam(name, spec string) write {
	return creating(func(t *testing.T) client.Object { return aTeam(t, name, spec) })
}

func merging(object client.Object, body string) write {
	return func(t *testing.T, c client.Client) error {
		return c.Patch(t.Context(), object.DeepCopyObject().(client.Object), client.RawPatch("application/merge-patch+json", []byte(body)))
	}
}

func roleKey(name string) client.Object {
	return &v1alpha1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "people", Name: name}}
}

func teamKey(name string) client.Object {
	return &v1alpha1.Team{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// TestNobodyPromotesThemself plays an administrator of a namespace who may write Roles there, and every Team, in RBAC's eyes.
func TestNobodyPromotesThemself(t *testing.T) {
	somePeople(t)
	lacksApprove := []string{"you (nadia) may not let Role people/", `"approve" on`, `or the verb "escalate" on roles.signoff.dev/`, "in namespace people", "Ask somebody who holds them"}
	owners := []string{`that takes the verb "addmember" on teams.signoff.dev/people-owners`, "What Roles and stages give to people-owners, guild, company", "who leads people-owners (user carol)", "reached at #owners"}
	below := []string{`that takes the verb "addchild" on teams.signoff.dev/people-owners`, "would count as a member of people-owners, guild, company"}
	for name, tc := range map[string]struct {
		reason string
		write  write
		words  []string
	}{
		"JoinRole":       {"A new member gets all that the Role gives.", merging(roleKey("owner"), `{"spec": {"members": {"users": ["nadia"]}}}`), lacksApprove},
		"JoinAsGroup":    {"So does a group.", merging(roleKey("owner"), `{"spec": {"members": {"groups": ["administrators"]}}}`), lacksApprove},
		"JoinAsAccount":  {"So does a ServiceAccount, whose token she can have.", merging(roleKey("owner"), `{"spec": {"members": {"serviceAccounts": ["people/bot"]}}}`), lacksApprove},
		"JoinByOwnTeam":  {"So does a Team that she is in.", merging(roleKey("owner"), `{"spec": {"members": {"teams": ["people-owners", "people-phantoms", "people-friends"]}}}`), lacksApprove},
		"AddPermission":  {"A new permission of her Role is new.", merging(roleKey("asker"), `{"spec": {"permissions": [{"verbs": ["request", "approve"], "actions": {"names": ["deploy"]}}]}}`), []string{`what you do not hold yourself: "approve" on deploy.`}},
		"WidenActions":   {"Every Action is more than one.", merging(roleKey("asker"), `{"spec": {"permissions": [{"verbs": ["request"], "actions": {"names": ["*"]}}]}}`), []string{`"request" on every Action`}},
		"DropCondition":  {"Without its condition it is another permission.", merging(roleKey("asker"), `{"spec": {"permissions": [{"verbs": ["cancel"], "actions": {"names": ["*"]}}]}}`), []string{`"cancel" on every Action`}},
		"Inherit":        {"To inherit is to be given.", merging(roleKey("asker"), `{"spec": {"inherits": ["owner"]}}`), lacksApprove},
		"InheritNothing": {"A Role that is not there yet may give anything one day.", merging(roleKey("asker"), `{"spec": {"inherits": ["tomorrow"]}}`), []string{"whatever Role tomorrow will give"}},
		"OwnRole":        {"A Role of her own gives what she says.", creatingRole("mine", `{members: {users: [nadia]}, permissions: [{verbs: [approve], actions: {names: ["*"]}}]}`), lacksApprove},
		"RoleForFriend":  {"For somebody else neither: who has a friend has two logins.", creatingRole("mine", `{members: {users: [mallory]}, permissions: [{verbs: [approve], actions: {selector: {matchLabels: {tier: low}}}}]}`), []string{`"approve" on Actions with tier=low`}},
		"GeneratedName": {"A name that the API server makes changes nothing.", creating(func(t *testing.T) client.Object {
			role := aRole(t, "", `{members: {users: [nadia]}, permissions: [{verbs: [approve], actions: {names: ["*"]}}]}`)
			role.GenerateName = "mine-"
			return role
		}), []string{`"approve" on every Action`}},
		"JoinTeam":     {"Members of a Team have what Roles give it.", merging(teamKey("people-owners"), `{"spec": {"members": {"users": ["bob", "erin", "nadia"]}}}`), append(owners, "add user nadia to Team people-owners")},
		"JoinTeamAs":   {"Groups and ServiceAccounts are members too.", merging(teamKey("people-owners"), `{"spec": {"members": {"groups": ["g"], "serviceAccounts": ["people/bot"]}}}`), append(owners, "add group g, serviceaccount people/bot to Team")},
		"LeadTeam":     {"So are leads, who may be asked for besides.", merging(teamKey("people-owners"), `{"spec": {"leads": {"users": ["carol", "nadia"]}}}`), append(owners, "add user nadia as a lead to Team")},
		"PromoteLead":  {"A member does not become a lead by moving.", merging(teamKey("people-owners"), `{"spec": {"leads": {"users": ["carol", "erin"]}}}`), append(owners, "add user erin as a lead")},
		"TeamBelow":    {"Members of a Team below are members of the Team above.", creatingTeam("people-mine", "{parent: people-owners}"), append(below, "put Team people-mine below Team people-owners")},
		"MoveTeam":     {"So are those of a Team that moves there.", merging(teamKey("people-friends"), `{"spec": {"parent": "people-owners"}}`), below},
		"PhantomTeam":  {"A Role names a Team that is not there: who creates it gets the Role.", creatingTeam("people-phantoms", "{members: {users: [nadia]}}"), []string{`"addmember" on teams.signoff.dev/people-phantoms`, "an administrator of the cluster"}},
		"PhantomBelow": {"Or puts a Team of hers below it.", merging(teamKey("people-friends"), `{"spec": {"parent": "people-phantoms"}}`), []string{`"addchild" on teams.signoff.dev/people-phantoms`}},
		"AllAtOnce": {
			"Everything that is missing is said at once.", creatingTeam("people-phantoms", "{parent: guild, members: {users: [nadia]}}"),
			[]string{`"addmember" on teams.signoff.dev/people-phantoms`, `"addchild" on teams.signoff.dev/guild`},
		},
		"GiveHerselfTheVerb": {
			"Kubernetes refuses that she gives herself the verb.", creating(func(*testing.T) client.Object {
				return &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "people", Name: "mine"}, Rules: []rbacv1.PolicyRule{{
					APIGroups: []string{"signoff.dev"}, Resources: []string{"roles"}, Verbs: []string{"escalate"},
				}}}
			}), []string{"is attempting to grant RBAC permissions not currently held"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, tc.write(t, as(t, users.Nadia)), metav1.StatusReasonForbidden, tc.words...)
		})
	}
	t.Run("DeleteAndCreate", func(t *testing.T) {
		nadia := as(t, users.Nadia)
		if err := nadia.Delete(t.Context(), roleKey("owner")); err != nil {
			t.Fatal(err)
		}
		refused(t, creatingRole("owner", `{members: {users: [nadia]}, permissions: [{verbs: [approve], actions: {names: ["*"]}}]}`)(t, nadia), metav1.StatusReasonForbidden, lacksApprove...)
		if err := nadia.Delete(t.Context(), teamKey("people-owners")); err != nil {
			t.Fatal(err)
		}
		refused(t, creatingTeam("people-owners", "{parent: guild, members: {users: [nadia]}}")(t, nadia), metav1.StatusReasonForbidden,
			`"addmember" on teams.signoff.dev/people-owners`, `"addchild" on teams.signoff.dev/guild`)
	})
}

// TestWhoMayGive plays those who may, and what needs no right beyond writing.
func TestWhoMayGive(t *testing.T) {
	somePeople(t)
	for _, tc := range []struct {
		name, reason string
		who          env.Person
		write        write
	}{
		{"Held", "What one holds one can give, by whatever Role one holds it.", users.Bob, creatingRole("second", `{members: {users: [dave]}, permissions: [{verbs: [approve], actions: {names: [deploy]}}]}`)},
		{"HeldByInheritance", "An inherited permission is held like any other.", users.Bob, merging(roleKey("second"), `{"spec": {"inherits": ["owner"]}}`)},
		{"HeldUnderCondition", "Under the same condition.", users.Nadia, creatingRole("nadias", `{members: {users: [dave]}, permissions: [{verbs: [cancel], actions: {names: [deploy]}, when: "requester.person == caller.person"}]}`)},
		{"Reapplied", "What does not change is not judged again: Nadia holds nothing of this.", users.Nadia, merging(roleKey("owner"), `{"metadata": {"labels": {"by": "gitops"}}, "spec": {"members": {"teams": ["people-owners", "people-phantoms"]}}}`)},
		{"Taken", "Who takes away gives nothing.", users.Nadia, merging(roleKey("owner"), `{"spec": {"permissions": [{"verbs": ["approve"], "actions": {"names": ["deploy"]}, "when": "!caller.isAgent"}]}}`)},
		{"MemberTaken", "Neither does who removes a member.", users.Nadia, merging(roleKey("owner"), `{"spec": {"members": {"teams": ["people-owners"]}}}`)},
		{"Escalate", "The verb allows to give what one does not hold, in that Role.", users.Frank, creatingRole("franks", `{members: {users: [frank]}, permissions: [{verbs: [approve], actions: {names: ["*"]}}]}`)},
		{"EscalateUnknown", "Also what nobody can know yet.", users.Frank, merging(roleKey("franks"), `{"spec": {"inherits": ["tomorrow"]}}`)},
		{"Administrator", "Who may do everything may do this.", users.Ada, creatingRole("adas", `{members: {users: [ada]}, permissions: [{verbs: [approve], actions: {names: ["*"]}}]}`)},
		{"EmptyTeam", "A Team with nobody in it gives nobody anything.", users.Nadia, creatingTeam("people-empty", "{contact: {text: nobody}}")},
		{"TeamReapplied", "What does not change is not judged again.", users.Nadia, merging(teamKey("people-owners"), `{"metadata": {"labels": {"by": "gitops"}}, "spec": {"parent": "guild"}}`)},
		{"TeamContact", "A contact is no member.", users.Nadia, merging(teamKey("people-owners"), `{"spec": {"contact": {"text": "#elsewhere"}}}`)},
		{"TeamMemberTaken", "Who removes a member adds none.", users.Nadia, merging(teamKey("people-owners"), `{"spec": {"members": {"users": ["bob"]}}}`)},
		{"TeamMember", "The verb allows to add.", users.Carol, merging(teamKey("people-owners"), `{"spec": {"members": {"users": ["bob", "dave"]}}}`)},
		{"TeamBelow", "And to put a Team below.", users.Carol, creatingTeam("people-juniors", "{parent: people-owners}")},
		{"TeamMovedUp", "Who takes a Team out from below another one gives nothing.", users.Nadia, merging(teamKey("people-owners"), `{"spec": {"parent": null}}`)},
		{"AdministratorOfTeams", "Who may do everything may do this.", users.Ada, creatingTeam("people-adas", "{parent: company, members: {users: [ada]}}")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			// What was written just before may not have been seen yet.
			eventually(t, tc.reason, func() (bool, string) {
				err := tc.write(t, as(t, tc.who))
				return err == nil, errText(err)
			})
		})
	}
	t.Run("OtherRole", func(t *testing.T) {
		// Through the Role franks, Frank holds approve by now, and may give it.
		refused(t, creatingRole("franks-too", `{members: {users: [frank]}, permissions: [{verbs: [cancel], actions: {names: ["*"]}}]}`)(t, as(t, users.Frank)),
			metav1.StatusReasonForbidden, `"escalate" on roles.signoff.dev/franks-too`)
	})
	t.Run("OtherTeam", func(t *testing.T) {
		refused(t, creatingTeam("people-carols", "{parent: guild}")(t, as(t, users.Carol)), metav1.StatusReasonForbidden, `"addchild" on teams.signoff.dev/guild`)
	})
	for _, name := range []string{"second", "nadias", "franks", "adas"} {
		if err := admin(t).Delete(t.Context(), roleKey(name)); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"people-empty", "people-juniors", "people-adas"} {
		if err := admin(t).Delete(t.Context(), teamKey(name)); err != nil {
			t.Error(err)
		}
	}
}

// TestCirclesAreRefused writes what would come back to itself.
func TestCirclesAreRefused(t *testing.T) {
	somePeople(t)
	ada := as(t, users.Ada)
	for _, object := range []client.Object{
		aRole(t, "circle-a", "{members: {users: [ada]}, inherits: [circle-b]}"),
		aRole(t, "everybody", `{members: {groups: ["system:authenticated"]}, inherits: [harmless]}`),
		aRole(t, "harmless", "{members: {users: [ada]}, permissions: [{verbs: [request], actions: {names: [a]}}]}"),
		aTeam(t, "circle-a", "{parent: circle-b}"),
	} {
		if err := ada.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.IgnoreNotFound(admin(t).Delete(t.Context(), object)) })
	}
	for name, tc := range map[string]struct {
		reason string
		object client.Object
		words  []string
	}{
		"Role": {"The second of two closes the circle.", aRole(t, "circle-b", "{members: {users: [ada]}, inherits: [harmless, circle-a]}"),
			[]string{`spec.inherits[1]: Invalid value: "circle-a": Roles would inherit each other in a circle: circle-b → circle-a → circle-b`}},
		"Itself": {"The smallest one.", aRole(t, "circle-c", "{members: {users: [ada]}, inherits: [circle-c]}"), []string{"spec.inherits[0]", "circle-c → circle-c"}},
		"Team":   {"Teams too.", aTeam(t, "circle-b", "{parent: circle-a}"), []string{`spec.parent: Invalid value: "circle-a"`, "circle-b → circle-a → circle-b"}},
	} {
		t.Run(name, func(t *testing.T) {
			eventually(t, tc.reason, func() (bool, string) {
				err := ada.Create(t.Context(), tc.object.DeepCopyObject().(client.Object), client.DryRunAll)
				return err != nil && containsAll(err.Error(), tc.words), errText(err)
			})
		})
	}
	t.Run("HeirSuffers", func(t *testing.T) {
		eventually(t, "the refusal of approve for everybody", func() (bool, string) {
			err := ada.Patch(t.Context(), roleKey("harmless"), client.RawPatch("application/merge-patch+json",
				[]byte(`{"spec": {"permissions": [{"verbs": ["approve"], "actions": {"names": ["a"]}}]}}`)), client.DryRunAll)
			return err != nil && containsAll(err.Error(), []string{"Role everybody inherits this one, and would then be wrong", "system groups never approve"}), errText(err)
		})
	})
}

func containsAll(text string, words []string) bool {
	for _, word := range words {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}
