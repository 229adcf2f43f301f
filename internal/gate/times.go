package gate

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// Duration is how long what a request does stays before it is taken back. Empty: it stays.
func Duration(action *v1alpha1.Action, spec *v1alpha1.ActionRequestSpec) v1alpha1.Duration {
	if action.Spec.Temporary == nil {
		return ""
	}
	return cmp.Or(spec.Duration, action.Spec.Temporary.DefaultDuration)
}

// duration refuses a duration that the Action does not allow. The Action may have changed since it was asked for.
func (r *run) duration(context.Context) *Problem {
	action, asked := r.out.Action.Object, r.subject.Spec.Duration
	temporary, path := action.Spec.Temporary, field.NewPath("spec", "duration")
	var refused *field.Error
	switch {
	case temporary == nil && asked == "":
		return nil
	case temporary == nil:
		refused = field.Forbidden(path, fmt.Sprintf("what Action %s does is not temporary: leave it out", r.out.Action.Ref()))
	case Duration(action, r.subject.Spec) == "":
		refused = field.Required(path, fmt.Sprintf("say for how long, at most %s, such as \"1h\": it is taken back after that", temporary.MaxDuration))
	default:
		longest, _ := temporary.MaxDuration.Value(0)
		wanted, err := asked.Value(1)
		if err == nil && wanted > 0 && wanted <= longest {
			return nil
		}
		refused = field.Invalid(path, string(asked), fmt.Sprintf("a duration of at most %s is accepted, such as \"1h30m\"", temporary.MaxDuration))
	}
	return &Problem{Reason: v1alpha1.ReasonActionUnavailable, Fields: field.ErrorList{refused}, Message: "the duration no longer fits the Action: " + refused.Error()}
}

// Delay is how long the Action leaves before a start in which the request can still be cancelled. Zero: it leaves no time, or an emergency does not wait.
func Delay(action *v1alpha1.Action, spec *v1alpha1.ActionRequestSpec) time.Duration {
	delay, err := action.Spec.Execution.Delay.Value(0)
	if err != nil || spec.BreakGlass != nil {
		return 0
	}
	return delay
}

// CheckDelay refuses the end of a new request that comes before its Action lets it start.
func CheckDelay(j *Judgement, spec *v1alpha1.ActionRequestSpec) field.ErrorList {
	delay := Delay(j.Action.Object, spec)
	start := j.Now.Add(delay)
	if delay == 0 || spec.ExpiresAt == nil || start.Before(spec.ExpiresAt.Time) {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("spec", "expiresAt"), spec.ExpiresAt.UTC().Format(time.RFC3339), fmt.Sprintf(
		"the request could never run: Action %s lets it start at %s at the earliest (execution.delay is %s). Give a later time, or leave it out",
		j.Action.Ref(), start.UTC().Format(time.RFC3339), j.Action.Object.Spec.Execution.Delay))}
}

// CheckTimes refuses times of a request that can never be kept.
func CheckTimes(spec *v1alpha1.ActionRequestSpec, now time.Time) field.ErrorList {
	var errs field.ErrorList
	path := field.NewPath("spec")
	if spec.ExpiresAt != nil && !spec.ExpiresAt.After(now) {
		errs = append(errs, field.Invalid(path.Child("expiresAt"), spec.ExpiresAt.UTC().Format(time.RFC3339), "is in the past: give a later time, or leave it out"))
	}
	if spec.NotBefore != nil && spec.ExpiresAt != nil && !spec.NotBefore.Before(spec.ExpiresAt) {
		errs = append(errs, field.Invalid(path.Child("notBefore"), spec.NotBefore.UTC().Format(time.RFC3339), "is not before expiresAt: the request could never run"))
	}
	if spec.NotBefore != nil && spec.BreakGlass != nil {
		errs = append(errs, field.Forbidden(path.Child("notBefore"), "an emergency does not wait: leave out notBefore, or breakGlass"))
	}
	return errs
}
