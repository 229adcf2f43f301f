package snapshot

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// crowd is a store with many Roles, every tenth of which approves, and a Team for each hundred people.
func crowd(roles int) *Store {
	store := NewStore(nil)
	for i := range roles {
		verb := v1alpha1.VerbRequest
		if i%10 == 0 {
			verb = v1alpha1.VerbApprove
		}
		store.Put(&v1alpha1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: fmt.Sprintf("role-%05d", i)},
			Spec: v1alpha1.RoleSpec{
				Members:     v1alpha1.Subjects{Users: []string{fmt.Sprintf("user-%05d", i)}, Groups: []string{fmt.Sprintf("group-%05d", i)}},
				Permissions: []v1alpha1.Permission{{Verbs: []v1alpha1.Verb{verb}, Actions: v1alpha1.ActionSelector{Names: []string{fmt.Sprintf("action-%03d", i%100)}}}},
			},
		})
		if i%100 == 0 {
			store.Put(&v1alpha1.Team{
				ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("team-%03d", i/100)},
				Spec:       v1alpha1.TeamSpec{Members: &v1alpha1.Subjects{Users: []string{fmt.Sprintf("user-%05d", i)}}},
			})
		}
	}
	store.MarkSynced()
	store.Rebuild()
	return store
}

func BenchmarkGranting(b *testing.B) {
	action := &v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "action-000"}}
	snapshot := crowd(10_000).Current()
	b.ReportAllocs()
	for b.Loop() {
		if len(snapshot.Granting(action, v1alpha1.VerbApprove)) != 100 {
			b.Fatal("there should be a hundred Roles")
		}
	}
}

// BenchmarkRebuild is what one change of a governing object costs.
// BenchmarkRebuild is what an edit costs until the webhook sees it.
func BenchmarkRebuild(b *testing.B) {
	for _, roles := range []int{10, 10_000} {
		store := crowd(roles)
		for edit, object := range map[string]any{
			"role":   role("role-00000", v1alpha1.Subjects{Users: []string{"alice"}}, v1alpha1.ActionSelector{Names: []string{"deploy"}}, "request"),
			"policy": policyOf("p", nil),
		} {
			b.Run(fmt.Sprintf("roles=%d/edit=%s", roles, edit), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					store.Put(object)
					store.Rebuild()
				}
			})
		}
	}
}

// BenchmarkPolicies finds the 10 of 1,000 policies that are about an Action.
func BenchmarkPolicies(b *testing.B) {
	store := crowd(10)
	store.Put(writing("deploy"))
	for i := range 1000 {
		name := "other"
		if i%100 == 0 {
			name = "deploy"
		}
		store.Put(policyOf(fmt.Sprintf("p%04d", i), &v1alpha1.PolicyMatch{Actions: &v1alpha1.PolicyActions{Names: []string{name}}}))
	}
	store.Rebuild()
	current := store.Current()
	action := current.Actions()[0].Object
	b.ReportAllocs()
	for b.Loop() {
		if len(current.Policies(action, "payments").Entries) != 10 {
			b.Fatal("ten policies are about the Action")
		}
	}
}
