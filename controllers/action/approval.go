package action

import (
	"slices"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
)

// What status.approval says. It speaks of requests that are let through by the rules of the Action: who is refused, or must
// wait, needs no approval for that. ActionPolicies may demand more.
const (
	approvalNever     = "never"
	approvalSometimes = "sometimes"
	approvalAlways    = "always"
)

// approval tells whether requests need approval by the rules of an Action. Each condition may hold or not, whatever the others
// do. So "sometimes" may be said of an Action whose conditions leave no case without approval, but "always" and "never" are sure.
func approval(rules []catalog.Rule, def *catalog.Rule) string {
	// Rules without condition apply to every request; the default does to some, where no rule applies to all.
	apply := slices.DeleteFunc(slices.Clone(rules), func(r catalog.Rule) bool { return r.When != nil })
	mayApply := rules
	if len(apply) == 0 {
		mayApply = append(slices.Clone(rules), *def)
	}
	switch {
	case has(apply, v1alpha1.EffectDeny) || !has(mayApply, v1alpha1.EffectRequireApproval):
		return approvalNever
	case has(apply, v1alpha1.EffectRequireApproval, v1alpha1.EffectHold) || !has(mayApply, v1alpha1.EffectAllow):
		// A Hold lets nothing through by itself: what is demanded when it ends is said by the other rules.
		return approvalAlways
	}
	return approvalSometimes
}

func has(rules []catalog.Rule, effects ...v1alpha1.Effect) bool {
	return slices.ContainsFunc(rules, func(r catalog.Rule) bool { return slices.Contains(effects, r.Effect) })
}
