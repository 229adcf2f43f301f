package actionpolicy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/calendar"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/conditions"
	"github.com/signoff-dev/signoff/internal/expression"
)

// situation is what the status of a policy is judged on.
type situation struct {
	now      time.Time
	holding  held
	calendar func(name string) (*calendar.Calendar, error)
}

// The values of status.active.
const (
	active        = "True"
	inactive      = "False"
	activeUnknown = "Unknown"
)

// stops begins what is said of a policy that nobody can judge.
const stops = "Requests that this policy is about are refused or wait, because nobody can tell what it demands: "

// status is what there is to say about an ActionPolicy, and when time changes it. The effect is shown for an invalid one too, because it
// is not without effect: what it is about cannot be decided.
func status(policy *v1alpha1.ActionPolicy, s *situation) (v1alpha1.ActionPolicyStatus, time.Time, error) {
	compiled, errs := catalog.CompilePolicy(policy)
	ready := conditions.Compiled(policy.Generation, errs, "in force")
	if len(errs) > 0 {
		ready.Message = stops + ready.Message
	}
	out := v1alpha1.ActionPolicyStatus{
		ObservedGeneration: policy.Generation, Effect: string(strongest(policy.Spec.Rules)), Holding: s.holding.all,
	}
	missing, err := s.missing(policy, compiled)
	if err != nil {
		return out, time.Time{}, err
	}
	if len(missing) > 0 && len(errs) == 0 {
		ready = conditions.NotReady(policy.Generation, v1alpha1.ReasonCalendarMissing, stops+strings.Join(missing, "; "))
	}
	if n := s.holding.unjudged; n > 0 && len(errs) == 0 && len(missing) == 0 {
		ready = conditions.NotReady(policy.Generation, v1alpha1.ReasonIndeterminate, unjudged(n))
	}
	out.Conditions = conditions.With(policy.Status.Conditions, s.now, ready)
	next, err := s.times(policy, &out)
	return out, next, err
}

// unjudged says how many of the requests that a policy holds wait because nobody can tell what it demands of them.
func unjudged(n int32) string {
	waits := "1 request waits"
	if n > 1 {
		waits = fmt.Sprintf("%d requests wait", n)
	}
	return "in force, but " + waits + " because a rule of this policy cannot be judged; status.verdict of such a request says which and why"
}

// missing says which Calendars that rules name cannot be used.
func (s *situation) missing(policy *v1alpha1.ActionPolicy, compiled *catalog.Policy) ([]string, error) {
	names := during(policy)
	if compiled != nil {
		names = compiled.Calendars()
	}
	var missing []string
	for _, name := range names {
		_, err := s.calendar(name)
		if conditions.IsCalendarMissing(err) {
			missing = append(missing, err.Error())
		} else if err != nil {
			return nil, err
		}
	}
	return missing, nil
}

// during names the Calendars within which rules apply, each once.
func during(policy *v1alpha1.ActionPolicy) []string {
	var names []string
	for i := range policy.Spec.Rules {
		if rule := &policy.Spec.Rules[i]; rule.During != nil && !slices.Contains(names, rule.During.Calendar) {
			names = append(names, rule.During.Calendar)
		}
	}
	return names
}

// times fills in whether a rule can apply now and until when that stays so, and gives the instant.
func (s *situation) times(policy *v1alpha1.ActionPolicy, out *v1alpha1.ActionPolicyStatus) (time.Time, error) {
	var calendars []*calendar.Calendar
	out.Active = activeUnknown
	for _, name := range during(policy) {
		found, err := s.calendar(name)
		if conditions.IsCalendarMissing(err) {
			return time.Time{}, nil
		} else if err != nil {
			return time.Time{}, err
		}
		calendars = append(calendars, found)
	}
	if slices.ContainsFunc(policy.Spec.Rules, func(r v1alpha1.PolicyRule) bool { return r.During == nil }) {
		out.Active = active
		return time.Time{}, nil
	}
	open := anyOpen(calendars, s.now)
	out.Active = inactive
	if open {
		out.Active = active
	}
	next, zone := nextChange(calendars, s.now, open)
	if !next.IsZero() {
		out.Until = Until(next.In(zone), open)
	}
	return next, nil
}

func anyOpen(calendars []*calendar.Calendar, at time.Time) bool {
	return slices.ContainsFunc(calendars, func(c *calendar.Calendar) bool { return c.Contains(at) })
}

// maxEdges bounds how many edges of calendars are looked at. More than that alternate for ever.
const maxEdges = 1000

// nextChange finds when all calendars together next open or close, and the zone of the one that does it. Zero: never.
func nextChange(calendars []*calendar.Calendar, now time.Time, open bool) (time.Time, *time.Location) {
	for range maxEdges {
		var next time.Time
		var zone *time.Location
		for _, c := range calendars {
			if at, ok := c.NextChange(now); ok && (next.IsZero() || at.Before(next)) {
				next, zone = at, c.Location()
			}
		}
		if next.IsZero() || anyOpen(calendars, next) != open {
			return next, zone
		}
		now = next
	}
	return time.Time{}, nil
}

// Until shows an instant to people. The end of a day on which something was still open is 23:59 of that day.
func Until(at time.Time, open bool) string {
	if open {
		at = expression.LastMinute(at)
	}
	return at.Format("Mon 2 Jan 2006 15:04")
}

// byStrength are the effects, the weakest first.
var byStrength = []v1alpha1.PolicyEffect{v1alpha1.PolicyRequireApproval, v1alpha1.PolicyHold, v1alpha1.PolicyDeny}

func strongest(rules []v1alpha1.PolicyRule) v1alpha1.PolicyEffect {
	strength := -1
	for i := range rules {
		strength = max(strength, slices.Index(byStrength, rules[i].Effect))
	}
	if strength < 0 {
		return ""
	}
	return byStrength[strength]
}
