package actionrequest

import (
	"errors"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/signoff-dev/signoff/api/v1alpha1"
	"github.com/signoff-dev/signoff/internal/execution"
)

// TestDoneSoFar is about what people read where an execution was stopped.
func TestDoneSoFar(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	writes := func(operation v1alpha1.WriteOperation) v1alpha1.RenderedStep {
		return v1alpha1.RenderedStep{Name: "a", Writes: []v1alpha1.RenderedWrite{{Operation: operation}}}
	}
	calls := v1alpha1.RenderedStep{Name: "a", HTTP: &v1alpha1.RenderedHTTP{}}
	const written = "written:5"
	for name, tc := range map[string]struct {
		step     v1alpha1.RenderedStep
		duration v1alpha1.Duration
		status   []v1alpha1.StepStatus
		want     string
	}{
		"nothing has begun":         {step: writes(v1alpha1.WriteApply), want: "Nothing was executed."},
		"it could not be done":      {step: writes(v1alpha1.WriteApply), status: []v1alpha1.StepStatus{{}}, want: "Nothing was executed."},
		"a write waits":             {step: writes(v1alpha1.WriteApply), status: []v1alpha1.StepStatus{{Basis: written}}, want: "Step a had written its objects and was waiting; what it wrote stays."},
		"a write that is lent":      {step: writes(v1alpha1.WriteApply), duration: "1h", status: []v1alpha1.StepStatus{{Basis: written}}, want: "Step a had written its objects and was waiting."},
		"a call waits":              {step: calls, status: []v1alpha1.StepStatus{{Basis: written}}, want: "Step a had made its call and was waiting for what that began; what the call did stays, and goes on there."},
		"a call was not sent":       {step: calls, status: []v1alpha1.StepStatus{{Basis: "call:x"}}, want: "It stopped before step a; earlier steps stay."},
		"a deletion waits":          {step: writes(v1alpha1.WriteDelete), status: []v1alpha1.StepStatus{{Basis: written}}, want: "Step a had deleted its object and was waiting until that is gone; the deletion goes on."},
		"a patch that was sent":     {step: writes(v1alpha1.WriteJSONPatch), status: []v1alpha1.StepStatus{{Basis: "intent:5/x"}}, want: "It stopped at step a, and it cannot be told whether that was done: sending it was interrupted. Look at what it writes; earlier steps stay."},
		"it waited for another try": {step: writes(v1alpha1.WriteApply), status: []v1alpha1.StepStatus{{Attempts: 1}}, want: "It stopped before another attempt of step a; what was done stays."},
		"a lent one waited for it":  {step: writes(v1alpha1.WriteApply), duration: "1h", status: []v1alpha1.StepStatus{{Attempts: 1}}, want: "It stopped before another attempt of step a."},
	} {
		t.Run(name, func(t *testing.T) {
			runner := execution.NewRunner(nil, nil, clocktesting.NewFakePassiveClock(now), nil, nil)
			s := &scope{Reconciler: &Reconciler{Runner: runner}}
			record := &v1alpha1.Record{Spec: v1alpha1.RecordSpec{Duration: tc.duration, ClaimedAt: metav1.NewMicroTime(now), Steps: []v1alpha1.RenderedStep{tc.step}}}
			for i := range tc.status {
				tc.status[i].Name, tc.status[i].State = "a", v1alpha1.StepStarted
			}
			record.Status.Steps = tc.status
			runner.Claimed(record)
			if got := s.doneSoFar(record, 0); got != tc.want {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
		})
	}
}

// TestStoppedTellsOfLastSteps: nobody stops the steps of finally, and nobody is told that nothing follows where they do.
func TestStoppedTellsOfLastSteps(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		last []v1alpha1.RenderedStep
		want string
	}{
		"none": {nil, "Deleted. It waits for step a to end, and begins nothing after that. Running step a."},
		"some": {[]v1alpha1.RenderedStep{{Name: "z"}}, "Deleted. It waits for step a to end, and begins nothing after that but the steps of finally. Running step a."},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scope{Reconciler: &Reconciler{Events: events.NewFakeRecorder(8)}, request: &v1alpha1.ActionRequest{}, now: now}
			s.request.DeletionTimestamp = &metav1.Time{Time: now}
			s.showExecuting(&v1alpha1.Record{Spec: v1alpha1.RecordSpec{Finally: tc.last}}, &v1alpha1.RenderedStep{Name: "a"}, nil)
			if got := meta.FindStatusCondition(s.request.Status.Conditions, v1alpha1.ConditionReady); got == nil || got.Message != tc.want {
				t.Errorf("got %+v, want %q", got, tc.want)
			}
		})
	}
}

// TestUnstorable: a Record that is too large is told, rather than tried in silence until the time is over.
func TestUnstorable(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"etcd":       {apierrors.NewInternalError(errors.New("etcdserver: request is too large")), "Running step a: cannot go on: its Record has become too large to be stored: "},
		"API server": {apierrors.NewRequestEntityTooLargeError("limit is 3145728"), "Running step a: cannot go on: its Record has become too large to be stored: "},
		"conflict":   {apierrors.NewConflict(schema.GroupResource{}, "r", errors.New("changed")), ""},
		"none":       {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scope{Reconciler: &Reconciler{Events: events.NewFakeRecorder(8)}, request: &v1alpha1.ActionRequest{}, orphan: true}
			record := &v1alpha1.Record{Status: v1alpha1.RecordStatus{Steps: []v1alpha1.StepStatus{{Name: "a", State: v1alpha1.StepDone}}}}
			if err := s.unstorable(t.Context(), record, &v1alpha1.RenderedStep{Name: "a"}, 0, tc.err); !errors.Is(err, tc.err) {
				t.Errorf("the error must be given back: %v", err)
			}
			ready := meta.FindStatusCondition(s.request.Status.Conditions, v1alpha1.ConditionReady)
			if (ready != nil) != (tc.want != "") || ready != nil && !strings.HasPrefix(ready.Message, tc.want) {
				t.Errorf("got %+v, want %q", ready, tc.want)
			}
		})
	}
}
