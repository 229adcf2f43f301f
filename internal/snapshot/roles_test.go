package snapshot

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// heir is a Role that inherits others and gives nothing by itself.
func heir(name string, members v1alpha1.Subjects, inherits ...string) *v1alpha1.Role {
	r := role(name, members, v1alpha1.ActionSelector{}, "request")
	r.Spec.Permissions, r.Spec.Inherits = nil, inherits
	return r
}

func user(name string) v1alpha1.Subjects { return v1alpha1.Subjects{Users: []string{name}} }

func TestInheritedPermissions(t *testing.T) {
	deploy := v1alpha1.ActionSelector{Names: []string{"deploy"}}
	low := v1alpha1.ActionSelector{Selector: &v1alpha1.LabelSelector{MatchLabels: map[string]v1alpha1.LabelValue{"tier": "low"}}}
	for name, tc := range map[string]struct {
		reason      string
		objects     []any
		permissions []string
		granting    []string
		roles       []string
	}{
		"Over": {
			reason:      "Members hold what is inherited over others too; who can is every Role through which somebody can.",
			objects:     []any{role("base", user("bob"), deploy, "approve"), heir("middle", user("carol"), "base"), heir("top", user("alice"), "middle")},
			permissions: []string{"base"}, granting: []string{"base", "middle", "top"}, roles: []string{"base", "middle", "top"},
		},
		"NotDownwards": {
			reason:   "Who is in the inherited Role has nothing of the Role that inherits it.",
			objects:  []any{role("top", user("bob"), deploy, "approve"), heir("base", user("alice"), "top"), role("alices", user("alice"), deploy, "request")},
			granting: []string{"base", "top"}, permissions: []string{"top"}, roles: []string{"alices", "base", "top"},
		},
		"BySelector": {
			reason:      "Labels select for inherited permissions too.",
			objects:     []any{role("base", user("bob"), low, "approve"), heir("top", user("alice"), "base")},
			permissions: []string{"base"}, granting: []string{"base", "top"}, roles: []string{"base", "top"},
		},
		"TwoWays": {
			reason:      "A permission that comes on two ways is held once.",
			objects:     []any{role("base", user("alice"), deploy, "approve"), heir("a", user("alice"), "base"), heir("b", user("alice"), "base", "a")},
			permissions: []string{"base"}, granting: []string{"a", "b", "base"}, roles: []string{"a", "b", "base"},
		},
		"Circle": {
			reason: "Nothing comes through a circle.",
			objects: []any{
				role("base", user("bob"), deploy, "approve"),
				heir("a", user("alice"), "b"), heir("b", user("carol"), "a", "base"),
			},
			granting: []string{"base"}, roles: []string{"a"},
		},
		"OtherNamespace": {
			reason: "A Role of the same name in another namespace is another Role.",
			objects: []any{heir("top", user("alice"), "base"), func() any {
				other := role("base", user("bob"), deploy, "approve")
				other.Namespace = "elsewhere"
				return other
			}()},
			roles: []string{"top"},
		},
		"Broken": {
			reason: "A Role that does not compile gives nothing, and nothing comes over it.",
			objects: []any{role("base", user("bob"), deploy, "approve"), heir("top", user("alice"), "broken"), func() any {
				broken := heir("broken", user(" carol"), "base")
				return broken
			}()},
			granting: []string{"base"}, roles: []string{"top"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			snapshot := of(tc.objects...)
			alice := &v1alpha1.Identity{Username: "alice"}
			asked := action(map[string]string{"tier": "low"})
			var permissions, granting []string
			for _, p := range snapshot.Permissions(asked, v1alpha1.VerbApprove, alice) {
				permissions = append(permissions, p.Role.Object.Name)
			}
			for _, r := range snapshot.Granting(asked, v1alpha1.VerbApprove) {
				granting = append(granting, r.Object.Name)
			}
			got := [][]string{permissions, granting, snapshot.RolesOf("platform", alice)}
			if diff := cmp.Diff([][]string{tc.permissions, tc.granting, tc.roles}, got); diff != "" {
				t.Errorf("%s\nPermissions, Granting, RolesOf: -want, +got:\n%s", tc.reason, diff)
			}
			for _, r := range append(tc.roles, "nowhere") {
				if want := r != "nowhere"; snapshot.HasRole("platform", r, alice) != want {
					t.Errorf("%s\nHasRole(%s): want %v", tc.reason, r, want)
				}
			}
		})
	}
}

func TestHolding(t *testing.T) {
	snapshot := of(role("base", user("bob"), v1alpha1.ActionSelector{Names: []string{"*"}}, "approve"), heir("top", user("alice"), "middle"), heir("middle", user("carol"), "base"))
	var got []string
	for _, r := range snapshot.Holding("platform", "base") {
		got = append(got, r.Object.Name)
	}
	if diff := cmp.Diff([]string{"base", "middle", "top"}, got); diff != "" {
		t.Errorf("whoever approves as a member of a Role may be a member of one that inherits it: -want, +got:\n%s", diff)
	}
	if snapshot.Holding("platform", "gone") != nil {
		t.Error("nobody holds a Role that is not there")
	}
}

func TestTeamFacts(t *testing.T) {
	leads := &v1alpha1.Subjects{Users: []string{"dave"}, Groups: []string{"oidc:leads"}}
	snapshot := of(
		team("company", "", nil, nil), team("engineering", "company", &v1alpha1.Subjects{Users: []string{"erin"}}, nil),
		team("payments", "engineering", &v1alpha1.Subjects{Users: []string{"bob"}, ServiceAccounts: []string{"ci/bot"}}, leads),
	)
	for name, want := range map[string]map[string]any{
		"payments": {
			"name": "payments", "parent": "engineering", "ancestors": []any{"engineering", "company"},
			"leads": []any{"dave"}, "members": []any{"bob", "dave"}, "groups": []any{"oidc:leads"},
		},
		"company": {
			"name": "company", "parent": "", "ancestors": []any{}, "leads": []any{}, "members": []any{"bob", "dave", "erin"}, "groups": []any{"oidc:leads"},
		},
	} {
		for range 2 {
			got, err := snapshot.Teams().Team(name)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Team %s: -want, +got:\n%s", name, diff)
			}
		}
	}
	if _, err := snapshot.Teams().Team("paymants"); err == nil || err.Error() != `there is no Team "paymants"` {
		t.Errorf("a Team that is not there is an error that says so, got %v", err)
	}
	for name, want := range map[string][]string{"dave": {"payments"}, "bob": nil} {
		if diff := cmp.Diff(want, snapshot.Led(&v1alpha1.Identity{Username: name})); diff != "" {
			t.Errorf("Led(%s): -want, +got:\n%s", name, diff)
		}
	}
	if diff := cmp.Diff([]string{"payments"}, snapshot.Led(&v1alpha1.Identity{Username: "zoe", Groups: []string{"oidc:leads"}})); diff != "" {
		t.Errorf("a group can lead: -want, +got:\n%s", diff)
	}
}

// BenchmarkRolesOf shows that the cost is that of the Roles somebody has.
func BenchmarkRolesOf(b *testing.B) {
	for _, count := range []int{10, 10_000} {
		objects := []any{heir("mine", user("alice"), "role-1")}
		for i := range count {
			objects = append(objects, role(fmt.Sprintf("role-%d", i), user(fmt.Sprintf("user-%d", i)), v1alpha1.ActionSelector{Names: []string{"deploy"}}, "request"))
		}
		snapshot := of(objects...)
		alice := &v1alpha1.Identity{Username: "alice"}
		b.Run(fmt.Sprintf("roles=%d", count), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if len(snapshot.RolesOf("platform", alice)) != 2 {
					b.Fatal("there should be two Roles")
				}
			}
		})
	}
}
