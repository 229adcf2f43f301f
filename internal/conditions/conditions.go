// Package conditions writes what a controller found out about an object into its status: conditions, texts for columns, and
// the one write that stores them.
package conditions

import (
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/signoff-dev/signoff/api/v1alpha1"
)

// maxMessage bounds a message. It leaves room for commands that are to be copied.
const maxMessage = 4096

// maxValue bounds how much an error repeats of a value, which may be an expression of 4,096 characters.
const maxValue = 80

// With gives a copy of conditions in which one condition is set. Where its status is the same as before, so is the time of its
// last transition.
func With(conditions []metav1.Condition, now time.Time, c metav1.Condition) []metav1.Condition {
	out := slices.Clone(conditions)
	c.Message = cut(c.Message, maxMessage)
	c.LastTransitionTime = metav1.NewTime(now)
	meta.SetStatusCondition(&out, c)
	return out
}

// Compiled is the condition Ready of an object that was compiled: False with what is wrong with it, or True with a message.
func Compiled(generation int64, errs field.ErrorList, message string) metav1.Condition {
	if len(errs) > 0 {
		return NotReady(generation, v1alpha1.ReasonInvalid, describe(errs))
	}
	return metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, ObservedGeneration: generation,
		Reason: v1alpha1.ReasonReady, Message: message,
	}
}

// NotReady is the condition Ready of an object that cannot be used.
func NotReady(generation int64, reason, message string) metav1.Condition {
	return metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, ObservedGeneration: generation,
		Reason: reason, Message: message,
	}
}

// describe puts errors into one line, in an order that does not depend on that of the list.
func describe(errs field.ErrorList) string {
	lines := make([]string, 0, len(errs))
	for _, err := range errs {
		short := *err
		if value, ok := err.BadValue.(string); ok {
			short.BadValue = cut(value, maxValue)
		}
		lines = append(lines, strings.Join(strings.Fields(short.Error()), " "))
	}
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "; ")
}
