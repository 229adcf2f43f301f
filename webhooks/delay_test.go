package webhooks

import (
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/catalog"
	"github.com/signoff-dev/signoff/internal/gate"
	"github.com/signoff-dev/signoff/internal/record"
)

// delaying is a judgement about an Action that leaves time to think again.
func delaying(now time.Time, delay v1alpha1.Duration) *gate.Judgement {
	action := &v1alpha1.Action{ObjectMeta: metav1.ObjectMeta{Namespace: "platform", Name: "note"}}
	action.Spec.Execution.Delay = delay
	return &gate.Judgement{Action: catalog.Uncompiled(action), Now: now}
}

// TestStarts: who agrees last is told when the request starts, and that it does not where it is over by then.
func TestStarts(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		reason             string
		delay              v1alpha1.Duration
		notBefore, expires time.Duration
		emergency          bool
		tense              *tense
		want               string
	}{
		"Now":          {"nothing keeps it", "", 0, time.Hour, false, &happened, "; the request starts now"},
		"Past":         {"notBefore is over", "", -time.Hour, time.Hour, false, &happened, "; the request starts now"},
		"NotBefore":    {"it starts when it was asked for", "", time.Minute, time.Hour, false, &happened, "; the request will start Fri 27 Nov 12:01 UTC"},
		"Delay":        {"there is time to think again", "10m", 0, time.Hour, false, &happened, "; the request will start in 10m0s, and can be cancelled until then"},
		"Both":         {"the later one counts", "10m", 30 * time.Minute, time.Hour, false, &tried, "; the request would start Fri 27 Nov 12:30 UTC"},
		"DelayIsLater": {"whichever it is", "40m", 30 * time.Minute, time.Hour, false, &tried, "; the request would start in 40m0s, and can be cancelled until then"},
		"Emergency":    {"it does not wait", "10m", 0, 5 * time.Minute, true, &happened, "; the request starts now"},
		"DelayTooLong": {"it is over by then", "90m", 0, time.Hour, false, &happened,
			"; the request will not start before Fri 27 Nov 13:30 UTC, expires before that, Fri 27 Nov 13:00 UTC, and never runs as things are"},
		"NotBeforeTooLate": {"it is over by then", "", 2 * time.Hour, time.Hour, false, &tried,
			"; the request would not start before Fri 27 Nov 14:00 UTC, expires before that, Fri 27 Nov 13:00 UTC, and never runs as things are"},
	} {
		t.Run(name, func(t *testing.T) {
			request := &v1alpha1.ActionRequest{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(now.Add(-time.Hour))}}
			request.Spec.ExpiresAt = &metav1.Time{Time: now.Add(tc.expires)}
			if tc.notBefore != 0 {
				request.Spec.NotBefore = &metav1.Time{Time: now.Add(tc.notBefore)}
			}
			if tc.emergency {
				request.Spec.BreakGlass = &v1alpha1.BreakGlass{Reason: "fire"}
			}
			if got := tc.tense.starts(delaying(now, tc.delay), request, now); got != tc.want {
				t.Errorf("%s: it says %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

// TestHurried: a request that ends before it may start is refused, but one that was executed before starts nothing.
func TestHurried(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	request := &v1alpha1.ActionRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: "sale"}}
	request.Spec.ExpiresAt = &metav1.Time{Time: now.Add(time.Hour)}
	name, err := record.Name(request)
	if err != nil {
		t.Fatal(err)
	}
	first := &v1alpha1.Record{ObjectMeta: metav1.ObjectMeta{Namespace: "signoff-system", Name: name}}
	for name, tc := range map[string]struct {
		reason  string
		delay   v1alpha1.Duration
		before  *v1alpha1.Record
		down    error
		refused bool
	}{
		"InTime":     {"there is time left", "59m", nil, nil, false},
		"TooLate":    {"there is none", "1h", nil, nil, true},
		"MadeAgain":  {"it gets the end of the first", "1h", first, nil, false},
		"Unreadable": {"it may have been executed", "1h", nil, errors.New("down"), false},
	} {
		t.Run(name, func(t *testing.T) {
			w := &actionRequests{&Deps{OperatorNamespace: "signoff-system", Reader: holding(t, tc.down, tc.before)}}
			errs := w.hurried(t.Context(), delaying(now, tc.delay), request)
			if (len(errs) > 0) != tc.refused {
				t.Errorf("%s: %v", tc.reason, errs)
			}
			const want = `spec.expiresAt: Invalid value: "2026-11-27T13:00:00Z": the request could never run: Action platform/note lets it start at 2026-11-27T13:00:00Z at the earliest ` +
				`(execution.delay is 1h). Give a later time, or leave it out`
			if tc.refused && errs.ToAggregate().Error() != want {
				t.Errorf("it says %q", errs.ToAggregate())
			}
		})
	}
}
