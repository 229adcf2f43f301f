package conditions

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

var (
	noon    = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	earlier = metav1.NewTime(noon.Add(-time.Hour))
)

func TestWith(t *testing.T) {
	ready := func(status metav1.ConditionStatus, at metav1.Time) metav1.Condition {
		return metav1.Condition{Type: "Ready", Status: status, Reason: "R", Message: "m", ObservedGeneration: 1, LastTransitionTime: at}
	}
	other := metav1.Condition{Type: "Other", Status: "True", Reason: "R", LastTransitionTime: earlier}
	long := ready("True", metav1.Time{})
	long.Message = strings.Repeat("ä", maxMessage+1)
	longCut := ready("True", metav1.NewTime(noon))
	longCut.Message = strings.Repeat("ä", maxMessage-1) + "…"
	for name, tc := range map[string]struct {
		reason string
		before []metav1.Condition
		set    metav1.Condition
		want   []metav1.Condition
	}{
		"First": {
			reason: "A condition that is new begins now.",
			set:    ready("True", metav1.Time{}),
			want:   []metav1.Condition{ready("True", metav1.NewTime(noon))},
		},
		"SameStatus": {
			reason: "The time is that of the last change of the status, not of the last look.",
			before: []metav1.Condition{other, ready("True", earlier)},
			set:    ready("True", metav1.Time{}),
			want:   []metav1.Condition{other, ready("True", earlier)},
		},
		"OtherStatus": {
			reason: "A change of the status is a transition; other conditions stay.",
			before: []metav1.Condition{ready("False", earlier), other},
			set:    ready("True", metav1.Time{}),
			want:   []metav1.Condition{ready("True", metav1.NewTime(noon)), other},
		},
		"LongMessage": {
			reason: "A message is bounded, in characters and not in bytes.",
			set:    long,
			want:   []metav1.Condition{longCut},
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := append([]metav1.Condition(nil), tc.before...)
			if diff := cmp.Diff(tc.want, With(tc.before, noon, tc.set)); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(before, tc.before); diff != "" {
				t.Errorf("the conditions that were given changed: -before, +after:\n%s", diff)
			}
		})
	}
}

func TestCompiled(t *testing.T) {
	path := field.NewPath("spec", "rules")
	for name, tc := range map[string]struct {
		reason string
		errs   field.ErrorList
		want   metav1.Condition
	}{
		"Compiles": {
			reason: "Without errors the message is the one that was given.",
			want:   metav1.Condition{Type: "Ready", Status: "True", Reason: "Ready", Message: "in force", ObservedGeneration: 2},
		},
		"Errors": {
			reason: "Errors are sorted, said once, and each is on one line and short.",
			errs: field.ErrorList{
				field.Invalid(path.Index(1).Child("when"), strings.Repeat("x", maxValue+1), "one\n  two"),
				field.Required(path.Index(0), "needed"), field.Required(path.Index(0), "needed"),
			},
			want: metav1.Condition{
				Type: "Ready", Status: "False", Reason: "Invalid", ObservedGeneration: 2,
				Message: `spec.rules[0]: Required value: needed; spec.rules[1].when: Invalid value: "` + strings.Repeat("x", maxValue-1) + `…": one two`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Compiled(2, tc.errs, "in force")); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestColumn(t *testing.T) {
	for name, tc := range map[string]struct {
		reason    string
		items     []string
		separator string
		want      string
	}{
		"None":  {"An empty list is an empty cell.", nil, ",", ""},
		"All":   {"What fits is shown.", []string{"service", "environment", "image"}, ",", "service,environment,image"},
		"Exact": {"The width itself fits.", []string{strings.Repeat("a", 30), strings.Repeat("b", 28)}, ", ", strings.Repeat("a", 30) + ", " + strings.Repeat("b", 28)},
		"Some":  {"What is left out is counted.", []string{"first", strings.Repeat("b", 50), "third", "fourth"}, ", ", "first, " + strings.Repeat("b", 50) + " +2"},
		"Long":  {"The first is shown in any case.", []string{strings.Repeat("é", 70), "b"}, ",", strings.Repeat("é", 59) + "… +1"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Column(tc.items, tc.separator)); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}
