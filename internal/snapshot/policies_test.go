package snapshot

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
)

// writing is an Action that writes ConfigMaps.
func writing(name string) *v1alpha1.Action {
	return &v1alpha1.Action{
		ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: name, Labels: map[string]string{"tier": "low"}},
		Spec: v1alpha1.ActionSpec{Title: name, Default: &v1alpha1.DefaultRule{Effect: v1alpha1.EffectAllow}, Execution: v1alpha1.Execution{
			ServiceAccountName: "deployer",
			Steps: []v1alpha1.Step{{Name: "a", Apply: &v1alpha1.ApplyStep{Manifests: []v1alpha1.Manifest{{RawExtension: runtime.RawExtension{
				Raw: []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"a","name":"b"}}`),
			}}}}}},
		}},
	}
}

func policyOf(name string, match *v1alpha1.PolicyMatch) *v1alpha1.ActionPolicy {
	return &v1alpha1.ActionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.ActionPolicySpec{
		Match: match, Rules: []v1alpha1.PolicyRule{{Name: "r", Effect: v1alpha1.PolicyHold}},
	}}
}

// someMatch is a match of every shape, by chance.
func someMatch(random *rand.Rand) *v1alpha1.PolicyMatch {
	match := &v1alpha1.PolicyMatch{}
	if random.IntN(2) == 0 {
		match.Actions = &v1alpha1.PolicyActions{Names: []string{fmt.Sprintf("action-%d", random.IntN(3))}}
	}
	if random.IntN(2) == 0 {
		match.RequestNamespaces = &v1alpha1.PolicyNamespaces{Names: []string{fmt.Sprintf("team-%d", random.IntN(3))}}
	}
	if random.IntN(2) == 0 {
		match.Objects = []v1alpha1.PolicyObjects{{Kinds: []string{[]string{"ConfigMap", "Secret"}[random.IntN(2)]}}}
	}
	if match.Objects != nil && random.IntN(2) == 0 {
		match.Objects[0].Namespaces = []string{someNamespace(random), someNamespace(random)}
	}
	if match.Objects != nil && random.IntN(4) == 0 {
		match.Objects = append(match.Objects, v1alpha1.PolicyObjects{Namespaces: []string{someNamespace(random)}})
	}
	if match.Actions == nil && match.RequestNamespaces == nil && match.Objects == nil {
		return nil
	}
	return match
}

func someNamespace(random *rand.Rand) string { return []string{"", "a", "b", "c"}[random.IntN(4)] }

// anywhereIn gives the policies that select objects in at least one of some namespaces, by a look at each.
func anywhereIn(entries []PolicyEntry, namespaces []string) []string {
	found := []string{}
	for _, entry := range entries {
		selects := func(m catalog.ObjectMatch) bool { return slices.ContainsFunc(namespaces, m.In) }
		if len(entry.Policy.Objects) == 0 || slices.ContainsFunc(entry.Policy.Objects, selects) {
			found = append(found, entry.Policy.Object.Name)
		}
	}
	return found
}

func names(entries []PolicyEntry) []string {
	found := []string{}
	for _, entry := range entries {
		found = append(found, entry.Policy.Object.Name)
	}
	return found
}

// TestPoliciesAreIndexed compares what is remembered with a look at every policy, before and after edits.
func TestPoliciesAreIndexed(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	store := NewStore(nil)
	for i := range 3 {
		store.Put(writing(fmt.Sprintf("action-%d", i)))
	}
	for round := range 200 {
		store.Put(policyOf(fmt.Sprintf("p%02d", random.IntN(20)), someMatch(random)))
		if round%3 == 0 {
			store.Remove(policyOf(fmt.Sprintf("p%02d", random.IntN(20)), nil))
		}
		store.Rebuild()
		current := store.Current()
		for _, action := range current.Actions() {
			namespace := fmt.Sprintf("team-%d", random.IntN(4))
			var want, got, again []string
			for _, entry := range current.AllPolicies() {
				if entry.Policy.Matches(action.Object, namespace) && entry.Policy.Writes(action.Steps.Kinds()) {
					want = append(want, entry.Policy.Object.Name)
				}
			}
			for _, entry := range current.Policies(action.Object, namespace).Entries {
				got = append(got, entry.Policy.Object.Name)
			}
			writes, found := []string{someNamespace(random), someNamespace(random)}, current.Policies(action.Object, namespace)
			if diff := cmp.Diff(anywhereIn(found.Entries, writes), names(found.Writing(writes))); diff != "" {
				t.Fatalf("round %d, writing to %q: -want, +got:\n%s", round, writes, diff)
			}
			for _, entry := range found.Entries {
				again = append(again, entry.Policy.Object.Name)
			}
			if diff := cmp.Diff(want, got) + cmp.Diff(want, again); diff != "" {
				t.Fatalf("round %d, %s from %s: -want, +got:\n%s", round, action.Object.Name, namespace, diff)
			}
		}
	}
}

func TestPolicyMemoryIsBounded(t *testing.T) {
	store := NewStore(nil)
	store.Put(writing("a"))
	store.Put(policyOf("p", nil))
	store.Rebuild()
	current := store.Current()
	action := current.Actions()[0]
	for i := range 2 * maxRemembered {
		if got := current.Policies(action.Object, fmt.Sprintf("team-%d", i)); len(got.Entries) != 1 {
			t.Fatalf("namespace %d: want 1 policy, got %d", i, len(got.Entries))
		}
	}
	kept := 0
	current.policies.memory.Load().answers.Range(func(any, any) bool { kept++; return true })
	if kept > maxRemembered {
		t.Errorf("whoever makes namespaces must not fill the memory: want at most %d, got %d", maxRemembered, kept)
	}
}

// TestRebuildShares: what did not change is shared, and what changed is not.
func TestRebuildShares(t *testing.T) {
	store := crowd(10)
	before := store.Current()
	store.Put(policyOf("p", nil))
	store.Rebuild()
	after := store.Current()
	if got := len(before.AllPolicies()); got != 0 {
		t.Errorf("an earlier snapshot never changes: want no policy, got %d", got)
	}
	if got := len(after.AllPolicies()); got != 1 || !after.Synced() {
		t.Errorf("the next one has the policy: got %d", got)
	}
	if len(after.Roles("platform")) != 10 || after.Team("team-000") == nil {
		t.Error("and everything else that was there")
	}
}

func TestInvalid(t *testing.T) {
	broken := policyOf("broken", nil)
	broken.Spec.Rules[0].When = "inputs."
	missing := role("r", v1alpha1.Subjects{Users: []string{"alice"}}, v1alpha1.ActionSelector{Names: []string{"deploy"}}, "request")
	missing.Spec.Permissions[0].When = "1 +"
	nowhere := &v1alpha1.Calendar{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "b"}, Spec: v1alpha1.CalendarSpec{TimeZone: "Europe/Atlantis"}}
	empty := &v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "empty"}}
	above := &v1alpha1.Team{ObjectMeta: metav1.ObjectMeta{Name: "above"}, Spec: v1alpha1.TeamSpec{Parent: "above"}}
	below := &v1alpha1.Team{ObjectMeta: metav1.ObjectMeta{Name: "below"}}
	got := of(broken, policyOf("fine", nil), missing, nowhere, empty, writing("fine"), above, below).Invalid()
	if diff := cmp.Diff(map[string]int{"Action": 1, "Role": 1, "Calendar": 1, "ActionPolicy": 1, "Team": 1}, got); diff != "" {
		t.Errorf("Invalid(): -want, +got:\n%s", diff)
	}
}
