package actionpolicy

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// heldBy is the index of open requests by the policies that hold them.
const heldBy = "signoff.dev/held-by"

// pause is how long a change of a request waits for further ones, so that a thousand requests that are held at once are counted a few times
// and not a thousand times.
const pause = 250 * time.Millisecond

// rulePrefix begins the names of the rules of policies: "policy/<policy>/<rule>".
const rulePrefix = "policy/"

// holders names the policies that keep a request from starting: those with a rule that denies or holds, or that demands an approval which
// is not given yet.
func holders(request *v1alpha1.ActionRequest) []string {
	status := &request.Status
	if status.Verdict == nil || status.Outcome != "" || status.Execution != nil {
		return nil
	}
	approved := meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionApproved)
	var names []string
	for i := range status.Verdict.Rules {
		rule := &status.Verdict.Rules[i]
		policy, ours := strings.CutPrefix(rule.Name, rulePrefix)
		if !ours || rule.Answer != v1alpha1.RuleApplies || approved && rule.Effect == v1alpha1.EffectRequireApproval {
			continue
		}
		name, _, _ := strings.Cut(policy, "/")
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// holding counts the open requests that a policy holds.
func (r *Reconciler) holding(ctx context.Context, policy string) (int32, error) {
	list := &v1alpha1.ActionRequestList{}
	if err := r.Client.List(ctx, list, client.MatchingFields{heldBy: policy}, client.UnsafeDisableDeepCopy); err != nil {
		return 0, fmt.Errorf("failed to list the requests that are held: %w", err)
	}
	return int32(min(len(list.Items), math.MaxInt32)), nil
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// requestHandler wakes the policies that hold a request from now on, or no longer. Other changes of requests wake nobody.
func requestHandler() handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { wake(q, changed(nil, holdersOf(e.Object))) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			wake(q, changed(holdersOf(e.ObjectOld), holdersOf(e.ObjectNew)))
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { wake(q, changed(holdersOf(e.Object), nil)) },
	}
}

func holdersOf(object client.Object) []string {
	if request, ok := object.(*v1alpha1.ActionRequest); ok {
		return holders(request)
	}
	return nil
}

// changed gives the names that are in one list only.
func changed(before, after []string) []string {
	differs := func(in []string) func(string) bool {
		return func(name string) bool { return slices.Contains(in, name) }
	}
	return slices.Concat(slices.DeleteFunc(slices.Clone(before), differs(after)), slices.DeleteFunc(slices.Clone(after), differs(before)))
}

func wake(q queue, policies []string) {
	for _, name := range policies {
		q.AddAfter(reconcile.Request{NamespacedName: types.NamespacedName{Name: name}}, pause)
	}
}
