package catalog

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// relatives compiles Roles that inherit as told, each with a permission of its own.
func relatives(t testing.TB, inherits map[string]string) map[string]*Role {
	t.Helper()
	roles := map[string]*Role{}
	for name, parents := range inherits {
		object := &v1alpha1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: name},
			Spec: v1alpha1.RoleSpec{
				Members: v1alpha1.Subjects{Users: []string{"alice"}}, Inherits: strings.Fields(parents),
				Permissions: []v1alpha1.Permission{{Verbs: []v1alpha1.Verb{v1alpha1.VerbApprove}, Actions: v1alpha1.ActionSelector{Names: []string{"of-" + name}}}},
			},
		}
		role, errs := CompileRole(object)
		if len(errs) > 0 {
			t.Fatal(errs.ToAggregate())
		}
		roles[name] = role
	}
	return roles
}

func finder(roles map[string]*Role) func(string) *Role {
	return func(name string) *Role { return roles[name] }
}

func names(roles []*Role) []string {
	var out []string
	for _, role := range roles {
		out = append(out, role.Object.Name)
	}
	return out
}

func TestFamily(t *testing.T) {
	long := map[string]string{"of": "r00", fmt.Sprintf("r%02d", MaxInherited): ""}
	for i := range MaxInherited {
		long[fmt.Sprintf("r%02d", i)] = fmt.Sprintf("r%02d", i+1)
	}
	for name, tc := range map[string]struct {
		reason    string
		inherits  map[string]string
		groups    []string
		inherited []string
		missing   []string
		err       string
	}{
		"Nothing": {reason: "Most Roles inherit nothing.", inherits: map[string]string{"of": "", "other": "of"}},
		"Over":    {reason: "What is inherited brings what it inherits.", inherits: map[string]string{"of": "b", "b": "c", "c": ""}, inherited: []string{"b", "c"}},
		"Diamond": {reason: "What comes on two ways comes once.", inherits: map[string]string{"of": "b c", "b": "d", "c": "d", "d": ""}, inherited: []string{"b", "c", "d"}},
		"Missing": {
			reason:    "A Role that is not there gives nothing, the others do.",
			inherits:  map[string]string{"of": "gone b", "b": "lost"},
			inherited: []string{"b"}, missing: []string{"gone"},
		},
		"Itself": {
			reason: "The smallest circle.", inherits: map[string]string{"of": "b of", "b": ""},
			err: `spec.inherits[1]: Invalid value: "of": Roles would inherit each other in a circle: of → of`,
		},
		"Circle": {
			reason: "Who is in a circle inherits nothing, not even what is outside.", inherits: map[string]string{"of": "x b", "b": "c", "c": "of", "x": ""},
			err: `spec.inherits[1]: Invalid value: "b": Roles would inherit each other in a circle: of → b → c → of`,
		},
		"OverCircle": {
			reason:   "Who inherits a Role in a circle gets what that Role gives by itself, and nothing through the circle.",
			inherits: map[string]string{"of": "b", "b": "c", "c": "b d", "d": ""}, inherited: []string{"b"},
		},
		"LongCircle": {
			reason: "A long way is cut in the middle.", inherits: map[string]string{"of": "a", "a": "b", "b": "c", "c": "d", "d": "e", "e": "f", "f": "g", "g": "of"},
			err: `spec.inherits[0]: Invalid value: "a": Roles would inherit each other in a circle: of → a → b → c → d → e → … → of`,
		},
		"TooMany": {
			reason: "The cost of one Role is bounded.", inherits: long,
			err: "spec.inherits: Invalid value: 65: a Role inherits at most 64 Roles, those that others bring included",
		},
		"SystemGroup": {
			reason:   "All ServiceAccounts together must not approve, by inheritance neither.",
			inherits: map[string]string{"of": "b", "b": ""}, groups: []string{"system:serviceaccounts"},
			err: `spec.inherits: Invalid value: "b": it gives "approve", and group system:serviceaccounts is a member: system groups never approve: they hold identities that are not people; name a group of people`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			roles := relatives(t, tc.inherits)
			roles["of"].Object.Spec.Members.Groups = tc.groups
			got := NewFamily(finder(roles)).Of(roles["of"])
			err := ""
			if len(got.Errs) > 0 {
				err = got.Errs.ToAggregate().Error()
			}
			if diff := cmp.Diff([]any{tc.inherited, tc.missing, tc.err}, []any{names(got.Inherited), got.Missing, err}); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// TestFamilyAsOneWouldDoItByHand compares with a slow and simple definition, over random Roles, in random orders: a Role is in a circle
// where it can be reached from itself; it then inherits nothing; any other inherits what it names and what that inherits.
func TestFamilyAsOneWouldDoItByHand(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 1))
	circles, chains := 0, 0
	for round := range 2000 {
		inherits := map[string]string{}
		count := 1 + random.IntN(9)
		for i := range count {
			var parents []string
			for range random.IntN(3) {
				// One in count+1 is not there.
				if parent := fmt.Sprintf("r%d", random.IntN(count+1)); !slices.Contains(parents, parent) {
					parents = append(parents, parent)
				}
			}
			inherits[fmt.Sprintf("r%d", i)] = strings.Join(parents, " ")
		}
		roles := relatives(t, inherits)
		order := slices.Sorted(maps.Keys(roles))
		random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		family := NewFamily(finder(roles))
		for _, name := range order {
			got := family.Of(roles[name])
			want := naive(roles, name)
			if diff := cmp.Diff(want, names(got.Inherited), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("round %d, Role %s of %v, asked in the order %v: -want, +got:\n%s", round, name, inherits, order, diff)
			}
			if inCircle(roles, name) != (len(got.Errs) > 0) {
				t.Fatalf("round %d, Role %s of %v: in a circle: %v, errors: %v", round, name, inherits, inCircle(roles, name), got.Errs)
			}
			circles += len(got.Errs)
			chains += max(0, len(want)-len(strings.Fields(inherits[name])))
		}
	}
	if circles < 100 || chains < 100 {
		t.Errorf("the Roles are too simple to prove anything: %d in circles, %d inherited over others", circles, chains)
	}
}

func reach(roles map[string]*Role, name string, seen map[string]bool) map[string]bool {
	if role := roles[name]; role != nil {
		for _, parent := range role.Object.Spec.Inherits {
			if roles[parent] != nil && !seen[parent] {
				seen[parent] = true
				reach(roles, parent, seen)
			}
		}
	}
	return seen
}

func inCircle(roles map[string]*Role, name string) bool {
	return reach(roles, name, map[string]bool{})[name]
}

func naive(roles map[string]*Role, name string) []string {
	if inCircle(roles, name) {
		return nil
	}
	all := map[string]bool{}
	for _, parent := range roles[name].Object.Spec.Inherits {
		if roles[parent] == nil {
			continue
		}
		all[parent] = true
		for _, over := range naive(roles, parent) {
			all[over] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

func TestLineagePermissions(t *testing.T) {
	roles := relatives(t, map[string]string{"a": "b", "b": "c", "c": ""})
	lineage := NewFamily(finder(roles)).Of(roles["a"])
	var got []string
	for _, p := range lineage.Permissions() {
		got = append(got, p.Role.Object.Name+" gives "+p.Names[0])
	}
	if diff := cmp.Diff([]string{"a gives of-a", "b gives of-b", "c gives of-c"}, got); diff != "" {
		t.Errorf("members hold their own and every inherited permission: -want, +got:\n%s", diff)
	}
	for name, want := range map[string]bool{"a": true, "c": true, "d": false} {
		if lineage.Includes(name) != want {
			t.Errorf("Includes(%s): want %v", name, want)
		}
	}
}
