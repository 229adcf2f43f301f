package integration

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/test/env"
)

// TestPolicyEditIsEffective: a policy that was just stored decides the next requests within a second, and one that is gone no longer does. Of
// several edits the fastest counts, because other tests may keep the machine busy; `make bench` measures them all.
func TestPolicyEditIsEffective(t *testing.T) {
	policy := &v1alpha1.ActionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "stop-two-stages"},
		Spec: v1alpha1.ActionPolicySpec{
			Match: &v1alpha1.PolicyMatch{Actions: &v1alpha1.PolicyActions{Names: []string{"two-stages"}}},
			Rules: []v1alpha1.PolicyRule{{Name: "stop", Effect: v1alpha1.PolicyDeny, Message: "two stages are one too many"}},
		},
	}
	attempt := func() error { return as(t, users.Alice).Create(t.Context(), request("two-stages", `{}`)) }
	stopped := func() (bool, string) {
		err := attempt()
		return err != nil && strings.Contains(err.Error(), "two stages are one too many (ActionPolicy stop-two-stages, rule stop)"), "not refused"
	}
	ask(t, users.Alice, request("two-stages", `{}`))
	if err := admin(t).Create(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The context of the test is over by now.
		if err := admin(t).Delete(context.Background(), policy); err != nil {
			t.Error(err)
		}
		eventually(t, "the end of the policy", func() (bool, string) {
			err := as(t, users.Alice).Create(context.Background(), request("two-stages", `{}`), client.DryRunAll)
			return err == nil, fmt.Sprint(err)
		})
	})
	stored := time.Now()
	eventually(t, "the refusal by the new policy", stopped)
	fastest := time.Since(stored)

	administrator := env.Person{Name: "admin", Config: cluster.Admin}
	admitted := func() (bool, string) {
		err := attempt()
		return err == nil, "still refused"
	}
	for i, edit := range []struct {
		when string
		seen func() (bool, string)
	}{{"request.namespace == 'elsewhere'", admitted}, {"true", stopped}, {"false", admitted}} {
		if err := patch(t, administrator, policy, fmt.Sprintf(`{"spec":{"rules":[{"name":"stop","effect":"Deny","when":%q,"message":"two stages are one too many"}]}}`, edit.when)); err != nil {
			t.Fatal(err)
		}
		edited := time.Now()
		eventually(t, fmt.Sprintf("edit %d", i), edit.seen)
		fastest = min(fastest, time.Since(edited))
	}
	if fastest > time.Second {
		t.Errorf("an edit decides within a second, but the fastest took %s", fastest)
	}
}
