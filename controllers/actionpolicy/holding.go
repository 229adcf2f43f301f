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

// holder is a policy that keeps a request from starting.
type holder struct {
	policy string
	// unjudged says that a rule of the policy could not be judged for the request.
	unjudged bool
}

// holders are the policies that keep a request from starting: those with a rule that denies or holds, that demands an approval which is not
// given yet, or that nobody can judge, because no error means yes.
func holders(request *v1alpha1.ActionRequest) []holder {
	status := &request.Status
	if status.Verdict == nil || status.Outcome != "" || status.Execution != nil {
		return nil
	}
	approved := meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionApproved)
	var found []holder
	for i := range status.Verdict.Rules {
		rule := &status.Verdict.Rules[i]
		rest, ours := strings.CutPrefix(rule.Name, rulePrefix)
		if !ours || !holds(rule, approved) {
			continue
		}
		policy, _, _ := strings.Cut(rest, "/")
		if h := (holder{policy, rule.Answer == v1alpha1.RuleUnknown}); !slices.Contains(found, h) {
			found = append(found, h)
		}
	}
	return found
}

// holds tells whether a rule keeps a request from starting.
func holds(rule *v1alpha1.RuleResult, approved bool) bool {
	switch rule.Answer {
	case v1alpha1.RuleUnknown:
		return true
	case v1alpha1.RuleApplies:
		return !approved || rule.Effect != v1alpha1.EffectRequireApproval
	case v1alpha1.RuleNotApplicable, v1alpha1.RuleOverridden:
	}
	return false
}

// held is how many open requests a policy holds, and how many of them because a rule of it cannot be judged.
type held struct{ all, unjudged int32 }

// holding counts the open requests that a policy holds.
func (r *Reconciler) holding(ctx context.Context, policy string) (held, error) {
	list := &v1alpha1.ActionRequestList{}
	if err := r.Client.List(ctx, list, client.MatchingFields{heldBy: policy}, client.UnsafeDisableDeepCopy); err != nil {
		return held{}, fmt.Errorf("failed to list the requests that are held: %w", err)
	}
	out := held{all: int32(min(len(list.Items), math.MaxInt32))}
	for i := range list.Items {
		if slices.Contains(holders(&list.Items[i]), holder{policy, true}) {
			out.unjudged++
		}
	}
	return out, nil
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

func holdersOf(object client.Object) []holder {
	if request, ok := object.(*v1alpha1.ActionRequest); ok {
		return holders(request)
	}
	return nil
}

// holderNames are the policies that hold a request, each once, for the index.
func holderNames(object client.Object) []string {
	var names []string
	for _, h := range holdersOf(object) {
		names = append(names, h.policy)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// changed gives what is in one list only.
func changed(before, after []holder) []holder {
	differs := func(in []holder) func(holder) bool {
		return func(h holder) bool { return slices.Contains(in, h) }
	}
	return slices.Concat(slices.DeleteFunc(slices.Clone(before), differs(after)), slices.DeleteFunc(slices.Clone(after), differs(before)))
}

func wake(q queue, policies []holder) {
	for _, h := range policies {
		q.AddAfter(reconcile.Request{NamespacedName: types.NamespacedName{Name: h.policy}}, pause)
	}
}
