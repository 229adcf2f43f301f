package webhooks

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/snapshot"
)

// What is found out about a policy for the warnings is bounded, so that a policy is stored in any case.
const (
	// maxWarning is the length of a warning in characters. The API server may cut longer ones.
	maxWarning = 240
	// maxWarnings is how many warnings of one sort are given.
	maxWarnings = 3
	// lookTime is how long open requests are looked at.
	lookTime = time.Second
)

// policy compiles an ActionPolicy, and tells its writer what it will do to requests that are open, and what was hardly meant.
func (w *governing) policy(ctx context.Context, req *admission.Request) admission.Response {
	var compiled *catalog.Policy
	response := check(req, func(o, _ *v1alpha1.ActionPolicy) field.ErrorList {
		var errs field.ErrorList
		compiled, errs = catalog.CompilePolicy(o)
		return errs
	}, func(o *v1alpha1.ActionPolicy) any { return o.Spec })
	if !response.Allowed || compiled == nil {
		return response
	}
	warnings := slices.Concat(w.affected(ctx, compiled), w.pointless(compiled), w.nowhere(ctx, compiled),
		contradictions(compiled), contradicted(compiled, w.Store.Current().AllPolicies()), w.absentInPolicy(compiled), partly(compiled.PartialMatches()))
	for i := range warnings {
		warnings[i] = gate.Cut(warnings[i], maxWarning)
	}
	return response.WithWarnings(warnings...)
}

// partly bounds the warnings of conditions that hold for a part of a text.
func partly(warnings []string) []string {
	return bounded(warnings, "more conditions that hold for a part of a text")
}

// affected says which open requests the policy is about. Those of which nobody can tell count, because the policy stops them.
func (w *governing) affected(ctx context.Context, policy *catalog.Policy) []string {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	open := &v1alpha1.ActionRequestList{}
	if err := w.Requests.List(ctx, open, client.UnsafeDisableDeepCopy); err != nil {
		return []string{"nobody can tell just now which open requests this policy is about; see: kubectl get actionpolicies"}
	}
	var names []string
	looked := 0
	for i := range open.Items {
		request := &open.Items[i]
		if ctx.Err() != nil {
			break
		}
		looked++
		if request.Status.Outcome != "" || request.Status.Execution != nil {
			continue
		}
		if about, err := w.Gate.About(ctx, policy, gate.SubjectOf(request), w.Clock.Now()); about || err != nil && ctx.Err() == nil {
			names = append(names, request.Namespace+"/"+request.Name)
		}
	}
	more := ""
	if looked < len(open.Items) {
		more = "at least "
	}
	return aboutText(names, more)
}

func aboutText(names []string, more string) []string {
	if len(names) == 0 && more == "" {
		return nil
	}
	slices.Sort(names)
	requests := "requests"
	if len(names) == 1 {
		requests = "request"
	}
	text := fmt.Sprintf("this policy is about %s%d open %s", more, len(names), requests)
	for i, name := range names {
		longer := text + ", " + name
		if i == 0 {
			longer = text + ": " + name
		}
		if len([]rune(longer)) > maxWarning-3 {
			return []string{text + ", …"}
		}
		text = longer
	}
	return []string{text}
}

// pointless says that the policy is about no Action that there is.
func (w *governing) pointless(policy *catalog.Policy) []string {
	snap := w.Store.Current()
	if !snap.Synced() || policy.Object.Spec.Match == nil {
		return nil
	}
	for _, action := range snap.Actions() {
		if policy.About(action) {
			return nil
		}
	}
	return []string{"this policy is about no Action that there is today: check spec.match, or see: kubectl get actions -A"}
}

// contradictions names the rules that can never matter, because another rule denies whatever the policy is about.
func contradictions(policy *catalog.Policy) []string {
	deny := always(policy)
	if deny == "" {
		return nil
	}
	var warnings []string
	for i := range policy.Object.Spec.Rules {
		rule := &policy.Object.Spec.Rules[i]
		if rule.Name == deny || len(warnings) == maxWarnings {
			continue
		}
		what := "rule %q can never matter"
		if rule.Effect == v1alpha1.PolicyRequireApproval {
			what = "the approval that rule %q asks for can never matter"
		}
		warnings = append(warnings, fmt.Sprintf(what+": rule %q has no condition and denies everything that this policy is about", rule.Name, deny))
	}
	return warnings
}

// always names the rule of a policy that denies without a condition, which nobody can pass. Empty: there is none.
func always(policy *catalog.Policy) string {
	for i := range policy.Object.Spec.Rules {
		rule := &policy.Object.Spec.Rules[i]
		if rule.Effect == v1alpha1.PolicyDeny && rule.When == "" && rule.During == nil && rule.Override == nil {
			return rule.Name
		}
	}
	return ""
}

// contradicted names other policies that make this one pointless, or that this one makes pointless.
func contradicted(policy *catalog.Policy, others []snapshot.PolicyEntry) []string {
	var stronger, weaker []string
	for _, entry := range others {
		other := entry.Policy
		if other.Object.Name == policy.Object.Name {
			continue
		}
		if always(other) != "" && covers(other, policy) {
			stronger = append(stronger, other.Object.Name)
		}
		if always(policy) != "" && covers(policy, other) {
			weaker = append(weaker, other.Object.Name)
		}
	}
	var warnings []string
	if len(stronger) > 0 {
		warnings = append(warnings, "this policy can never matter while these deny everything that it is about: "+strings.Join(stronger, ", "))
	}
	if len(weaker) > 0 {
		warnings = append(warnings, "this policy denies everything that these are about, so they can never matter while it is there: "+strings.Join(weaker, ", "))
	}
	return warnings
}

// covers tells whether a policy is certainly about every request that another one is about.
func covers(policy, other *catalog.Policy) bool {
	return policy.Object.Spec.Match == nil || apiequality.Semantic.DeepEqual(policy.Object.Spec.Match, other.Object.Spec.Match)
}
